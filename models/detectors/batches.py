"""Pictures of any size through a network whose results must not depend on their company."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

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
