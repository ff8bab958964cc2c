"""How the report says the names that the artifacts use."""

WORDS = {
    "adgan": "ADGAN",
    "pg2": "PG2",
    "spt": "SPT",
    "dpig": "DPIG",
    "scagan": "SCA-GAN",
    "copy_source": "copy the source",
    "mean_person": "mean person",
    "nearest_pose": "training picture of the nearest pose",
    "oracle": "the target itself",
    "ssim": "SSIM",
    "ssim_mask": "SSIM in the person's mask",
    "ssim_256": "SSIM over the generated range",
    "ssim_masked": "SSIM of masked pictures",
    "joint_error_px": "joint error, px",
    "ds_pose": "detection score (our pose network)",
    "parsing_miou": "mIoU of the layout",
    "likeness_lite0": "likeness of the person (Lite0)",
    "rank1_lite0": "person found again, Rank-1 (Lite0)",
    "ap_lite0": "person found again, mAP (Lite0)",
    "sharpness": "sharpness",
    "psnr": "PSNR, dB",
    "psnr_mask": "PSNR in the person's mask, dB",
    "l1": "L1",
    "l1_mask": "L1 in the person's mask",
    "fid": "FID",
    "kid": "KID",
    "lpips": "LPIPS",
    "lpips_hed": "LPIPS on HED's VGG-16",
    "cx_gs": "CX to the source",
    "cx_gt": "CX to the target",
    "fd_lite0": "Fréchet distance on Lite0",
    "kd_lite0": "kernel distance on Lite0",
    "is_lite0": "inception score on Lite0",
    "is_lite0_masked": "inception score of masked pictures on Lite0",
    "pckh": "PCKh@0.5",
    "miou": "mIoU",
    "figures": "rendered people",
    "ingest": "pictures read",
    "crop": "cropped",
    "keypoints": "key points found",
    "parsing": "parsed into labels",
    "edges": "edges drawn",
    "pairs": "pairs formed",
    "pack": "packed",
    "pseudo_labels": "pseudo labels searched",
    "scratch": "the same steps from random weights",
    "persons": "persons",
    "pictures": "target pictures (too few persons): they hold for these persons alone",
    "pretrain": "Pretraining",
    "finetune": "Fine-tuning",
}


def spoken(name: str) -> str:
    """The name as one says it; an unknown one without its underscores."""
    if name.endswith("_pretrained"):
        return f"{spoken(name.removesuffix('_pretrained'))} before fine-tuning"
    if name.endswith("_scratch"):
        return f"{spoken(name.removesuffix('_scratch'))} from random weights"
    return WORDS.get(name, name.replace("_", " "))


_BRIEF = {"ssim_mask": "SSIM", "joint_error_px": "px off", "likeness_lite0": "likeness"}


def brief(name: str) -> str:
    """The name of a score where there is little room."""
    return _BRIEF.get(name, spoken(name))
