"""Pictures of any size through a network whose results must not depend on their company."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Picture = NDArray[np.uint8]


def fit_edge(picture: Picture, edge_px: int) -> Picture:
    """The picture scaled so that its longer edge has `edge_px` pixels; itself when it has."""
    height, width = picture.shape[:2]
    if max(height, width) == edge_px:
        return picture
    scale = edge_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def same_size_batches(sizes: Sequence[tuple[int, ...]], batch: int) -> Iterator[list[int]]:
    """Positions in lists of at most `batch`, each list of one size, in order of first appearance."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, size in enumerate(sizes):
        groups.setdefault(size, []).append(position)
    for positions in groups.values():
        for start in range(0, len(positions), batch):
            yield positions[start : start + batch]


def fill(tensors: list[torch.Tensor], batch: int) -> torch.Tensor:
    """The tensors stacked and zeros after them up to `batch`: a network's rounding depends on the size of its batch."""
    blank = torch.zeros_like(tensors[0])
    return torch.stack(tensors + [blank] * (batch - len(tensors)))


@contextlib.contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Run with so many threads inside an operation, then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fused(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation that takes half the time: float32, but with other last bits.

    Batch norms become part of the convolutions before them. The network itself comes back, channels-last, where they
    do not follow the convolutions that they are listed after.
    """
    quick = _folded(copy.deepcopy(network)).to(memory_format=torch.channels_last)
    for module in quick.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
            # A single tap has nothing to dilate, but in one thread torch leaves oneDNN's kernels only to such.
            module.dilation = (2, 2)
    example = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    with torch.inference_mode():
        pairs = zip(_tensors(network(example)), _tensors(quick(example)), strict=True)
        is_same = all(torch.allclose(slow, fast, rtol=1e-3, atol=1e-3) for slow, fast in pairs)
    return quick if is_same else network.to(memory_format=torch.channels_last)


def _folded(module: nn.Module) -> nn.Module:
    """The module, every batch norm that stands after a convolution in one with it."""
    before = ""
    for name, child in list(module.named_children()):
        conv: Any = getattr(module, before) if before else None
        follows = isinstance(child, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d)
        if follows and conv.out_channels == child.num_features:
            setattr(module, before, fuse_conv_bn_eval(conv, child))
            # timm's batch norms hold the activation after them.
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            _folded(child)
        before = name
    return module


def _tensors(output: Any) -> list[torch.Tensor]:
    return [output] if isinstance(output, torch.Tensor) else list(output)


class Bfloat16(nn.Module):
    """A network computed in bfloat16 where torch does so without harm; float32 comes out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Any:
        """What the network gives."""
        with torch.autocast("cpu", torch.bfloat16):
            output = self.network(x)
        return output.float() if isinstance(output, torch.Tensor) else [field.float() for field in output]
