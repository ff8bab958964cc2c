"""What SPT's networks are given beside warps: pictures, and what is known of persons, at full and at half size.

Shape suffixes: B batch, H W rows and columns, J the 18 joints.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from models.data import Batch, pose_maps
from pipeline.people.parts import TEN_LABELS

_LEAST = 64  # a smaller side has too few pixels for six levels: it is padded

Sizes = tuple[Tensor, Tensor]  # at full and at half size


@dataclass(frozen=True)
class Look:
    """A person without a picture: joints, pose maps, and the nine label maps without background, or none."""

    joints: Sizes
    poses: Sizes
    labels: Sizes | None

    def planes(self, size: int) -> list[Tensor]:
        """Label maps, where there are any, and pose maps at full (0) or half (1) size."""
        return [*([self.labels[size]] if self.labels else []), self.poses[size]]


def make_look(
    joints_BJ3: Tensor, labels_BHW: Tensor | None, size: tuple[int, int], *, sigma_px: float, cut: bool = False
) -> Look:
    """The look of joints and ten labels in pictures of `size` (H, W).

    `cut` is a quirk of the original: at half the size joints are cut to whole pixels while the pose maps' sigma stays.
    """
    planes = None
    if labels_BHW is not None:
        full = F.one_hot(labels_BHW, len(TEN_LABELS))[..., 1:].permute(0, 3, 1, 2).float()
        planes = full, full[..., ::2, ::2]
    is_there = joints_BJ3[..., 2:] > 0
    places = (joints_BJ3[..., :2] * 0.5).trunc() if cut else (joints_BJ3[..., :2] / 2 - 0.25).clamp_min(0)
    half = torch.cat([torch.where(is_there, places, -1), joints_BJ3[..., 2:]], -1)
    poses = (
        pose_maps(joints_BJ3, size, sigma_px=sigma_px),
        pose_maps(half, (size[0] // 2, size[1] // 2), sigma_px=sigma_px if cut else sigma_px / 2),
    )
    return Look((joints_BJ3, half), poses, planes)


def halved(image: Tensor) -> Sizes:
    """The picture, and it at half size."""
    height, width = image.shape[-2:]
    half = F.interpolate(image, (height // 2, width // 2), mode="bicubic", antialias=True, align_corners=False)
    return image, half


def padded(batch: Batch) -> Batch:
    """The batch with even sides of 64 pixels at least, and its pseudo labels at its size.

    What is new at the right and at the bottom repeats the border; joints stay where they are.
    """
    height, width = batch.size
    down, across = (max(_LEAST, side + side % 2) - side for side in (height, width))
    pseudo = batch.pseudo and _scaled_pseudo(*batch.pseudo, batch.size)
    if not (down or across):
        return replace(batch, pseudo=pseudo)

    def grown(planes: Tensor) -> Tensor:
        rows, columns = (
            torch.arange(side + more).clamp_max(side - 1) for side, more in ((height, down), (width, across))
        )
        return planes[..., rows[:, None], columns]

    return replace(
        batch,
        source=grown(batch.source),
        source_parsing=grown(batch.source_parsing),
        target=grown(batch.target),
        target_parsing=grown(batch.target_parsing),
        target_mask=grown(batch.target_mask),
        pseudo=pseudo and (grown(pseudo[0]), pseudo[1]),
    )


def _scaled_pseudo(parsing_BHW: Tensor, joints_BJ3: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    ratio = joints_BJ3.new_tensor([size[1] / parsing_BHW.shape[2], size[0] / parsing_BHW.shape[1]])
    places = ((joints_BJ3[..., :2] + 0.5) * ratio - 0.5).clamp_min(0)
    joints = torch.where(joints_BJ3[..., 2:] > 0, torch.cat([places, joints_BJ3[..., 2:]], -1), joints_BJ3)
    return F.interpolate(parsing_BHW[:, None], size, mode="nearest-exact")[:, 0], joints
