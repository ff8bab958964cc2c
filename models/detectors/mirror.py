"""A second look at the mirror image: the mean of both answers of a pose network, in openpifpaf's fields."""

from collections.abc import Sequence
from typing import Any

import openpifpaf
import torch
from openpifpaf.plugins.coco.constants import HFLIP
from torch import Tensor, nn


class Mirrored(nn.Module):
    """The fields of `network` for pictures (B, 3, H, W) and for their mirror images, in one.

    Confidences are averaged, places and sizes weighted by the confidences of both. `metas` describe the fields. Widths
    must be 1 more than a multiple of the stride, as openpifpaf's padding makes them: then cells have mirror images.
    """

    def __init__(self, network: nn.Module, metas: Sequence[Any]) -> None:
        super().__init__()
        self.network = network
        self._mirrors = [_Mirror(meta) for meta in metas]

    def forward(self, x: Tensor) -> list[Tensor]:
        """A list of fields (B, F, C, H', W'), as the network gives them."""
        there, mirrored = self.network(x), self.network(x.flip(-1))
        pairs = zip(there, mirrored, self._mirrors, strict=True)
        return [_mean(field, mirror(other)) for field, other, mirror in pairs]


class _Mirror:
    """Turns fields of a mirror image into fields of the picture.

    Components are a spread, a confidence, the places x, y of each vector in cells, and one size per vector.
    """

    def __init__(self, meta: Any) -> None:
        self.vectors = 2 if isinstance(meta, openpifpaf.headmeta.Caf) else 1
        swap = [meta.keypoints.index(HFLIP.get(name, name)) for name in meta.keypoints]
        fields: list[tuple[int, ...]] = [(index,) for index in range(len(swap))]
        if self.vectors == 2:
            fields = [(start - 1, end - 1) for start, end in meta.skeleton]
        wanted = [tuple(swap[joint] for joint in field) for field in fields]
        # A limb between the body's sides is its own mirror image, from the other end.
        self.reversed = torch.tensor([field not in fields for field in wanted])
        self.order = [fields.index(field if field in fields else field[::-1]) for field in wanted]

    def __call__(self, field: Tensor) -> Tensor:
        field = field[:, self.order].flip(-1)
        last = 2 + 2 * self.vectors
        field[:, :, 2:last:2] = field.shape[-1] - 1 - field[:, :, 2:last:2]
        if self.vectors == 2:
            ends = [0, 1, 4, 5, 2, 3, 7, 6]
            field[:, self.reversed] = field[:, self.reversed][:, :, ends]
        return field


def _mean(one: Tensor, other: Tensor) -> Tensor:
    """The mean of two fields, weighted by their confidences (component 1)."""
    weight = (one[:, :, 1:2] + 1e-6) / (one[:, :, 1:2] + other[:, :, 1:2] + 2e-6)
    mean = other + weight * (one - other)
    mean[:, :, 1] = (one[:, :, 1] + other[:, :, 1]) / 2
    return mean
