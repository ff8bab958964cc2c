"""Features carried part by part from one pose to another (Siarohin et al. 2018), and crops of the face, on the device.

Shape suffixes: B batch, C channels, H W rows and columns, P the ten parts of `pipeline.people.parts`, J the 18 joints.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.precision import in_float32
from pipeline.people.parts import SPLITS, TEN_OF_EIGHT, head_box, nearness, part_moves, part_planes
from pipeline.people.skeleton import FLIP, MASK_LIMBS


@dataclass(frozen=True)
class Warps:
    """How the ten parts move from a source to a target pose, for feature maps of any size."""

    moves: Tensor  # (B, P, 2, 3) from target to source, in coordinates of -1..1
    masks: Tensor  # (B, P, H, W) 0 or 1, of the target's parts at the size of the picture

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """(B, C, h, w): the largest over the parts of each part moved and masked.

        Zeros of the masked parts take part, so negative features are cut off.
        """
        return _moved(features_BCHW, self.moves, self.masks)


@in_float32
def _moved(features_BCHW: Tensor, moves_BP23: Tensor, masks_BPHW: Tensor) -> Tensor:
    masks = F.interpolate(masks_BPHW, features_BCHW.shape[-2:], mode="bilinear", align_corners=False)
    grids = _grid(moves_BP23, (masks.shape[2], masks.shape[3])).to(features_BCHW)
    out = None
    for part in range(masks.shape[1]):
        moved = F.grid_sample(features_BCHW, grids[:, part], align_corners=True)
        moved = moved * masks[:, part, None].to(features_BCHW)
        out = moved if out is None else torch.maximum(out, moved)
    assert out is not None
    return out


def _grid(moves_23: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., H, W, 2) where each pixel is read: as `affine_grid` with aligned corners, which is slow for few numbers."""
    y, x = (torch.linspace(-1, 1, side, device=moves_23.device) for side in size)
    a, b, c = (moves_23[..., None, None, :, term] for term in range(3))
    return a * x[:, None] + (b * y[:, None, None] + c)


def make_warps(source_BJ3: Tensor, target_BJ3: Tensor, size: tuple[int, int], *, exchanged: bool = False) -> Warps:
    """The warps between two poses in pixels of pictures of `size` (H, W).

    `exchanged` is a quirk of the original: height and width change places in the coordinates of -1..1, which only
    square pictures forgive.
    """
    source, target = (joints.detach().float().cpu().numpy() for joints in (source_BJ3, target_BJ3))
    moves = _normalised(part_moves(source, target), size, exchanged=exchanged)
    masks = draw_planes(part_planes(target), size, source_BJ3.device)
    return Warps(torch.from_numpy(moves).float().to(source_BJ3.device), masks)


def _normalised(moves: NDArray[np.float64], size: tuple[int, int], *, exchanged: bool) -> NDArray[np.float64]:
    """(..., 2, 3) moves in pixels as moves of -1..1, where 1 is the width or height."""
    height, width = size
    out = moves.copy()
    x, y = (width / height, height / width) if exchanged else (height / width, width / height)
    across, down = (height, width) if exchanged else (width, height)
    out[..., 0, 1] *= x
    out[..., 1, 0] *= y
    slant_x, slant_y = (moves[..., 0, 1], moves[..., 1, 0]) if exchanged else (out[..., 0, 1], out[..., 1, 0])
    out[..., 0, 2] = moves[..., 0, 2] * 2 / across + moves[..., 0, 0] + slant_x - 1
    out[..., 1, 2] = moves[..., 1, 2] * 2 / down + slant_y + moves[..., 1, 1] - 1
    return out


def draw_planes(planes: NDArray[np.float64], size: tuple[int, int], device: torch.device) -> Tensor:
    """(B, P, H, W) 0 or 1: the pixels inside the parts of `pipeline.people.parts.part_planes`, drawn on the device."""
    terms = torch.from_numpy(planes).float().to(device)
    x, y = torch.arange(size[1], device=device), torch.arange(size[0], device=device)[:, None]
    inside = torch.ones((*planes.shape[:2], *size), dtype=torch.bool, device=device)
    for side in range(4):
        a, b, c = (terms[:, :, side, term, None, None] for term in range(3))
        inside &= a * x >= -(b * y + c)
    return inside.float()


def body_parts(joints_BJ3: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, P, H, W) 0 or 1: the ten parts, the body as the torso's box."""
    return draw_planes(part_planes(joints_BJ3.detach().cpu().numpy(), body="torso"), size, joints_BJ3.device)


def joint_patches(joints_BJ3: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, J, H, W) 0 or 1: a square around each joint, half a side a sixteenth of the height."""
    x, y = (torch.arange(side, device=joints_BJ3.device) for side in (size[1], size[0]))
    near_x, near_y = ((places - joints_BJ3[..., axis, None]).abs() <= size[0] / 16 for axis, places in ((0, x), (1, y)))
    is_there = joints_BJ3[..., 2, None, None] > 0
    return (near_y[..., :, None] & near_x[..., None, :] & is_there).float()


def body_masks(joints_BJ3: Tensor, size: tuple[int, int], *, radius_px: float) -> Tensor:
    """(B, 1, H, W) 0 or 1: all within `radius_px` of a limb or joint, closed with a 5x5 square.

    What `pipeline.people.masks.body_mask` draws as `polygons`.
    """
    x, y = torch.arange(size[1], device=joints_BJ3.device), torch.arange(size[0], device=joints_BJ3.device)[:, None]
    mask = (nearness(joints_BJ3, MASK_LIMBS, x, y) <= radius_px**2).float()[:, None]
    wide = F.max_pool2d(F.pad(mask, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return -F.max_pool2d(F.pad(-wide, (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def ten_labels(parsing_BHW: Tensor, joints_BJ3: Tensor) -> Tensor:
    """(B, H, W) in SPT's ten labels, as `pipeline.people.parts.ten_labels`."""
    device = parsing_BHW.device
    out = torch.tensor(TEN_OF_EIGHT, device=device)[parsing_BHW.long()]
    x, y = torch.arange(out.shape[2], device=device), torch.arange(out.shape[1], device=device)[:, None]
    for label, left, ours, theirs in SPLITS:
        is_left = nearness(joints_BJ3, ours, x, y) < nearness(joints_BJ3, theirs, x, y)
        out = torch.where((parsing_BHW == label) & is_left, left, out)
    return out


@in_float32
def crop_faces(image_B3HW: Tensor, joints_BJ3: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) the boxes around the heads, enlarged to the whole picture, and (B) 1 where there is one."""
    height, width = image_B3HW.shape[-2:]
    box = torch.from_numpy(head_box(joints_BJ3.detach().cpu().numpy())).float().to(image_B3HW.device)
    is_there = (~box.isnan().any(1)).float()
    left, top, right, bottom = box.nan_to_num().unbind(1)
    zero = torch.zeros_like(left)
    across = torch.stack([(right - left) / width, zero, (left + right) / width - 1], 1)
    down = torch.stack([zero, (bottom - top) / height, (top + bottom) / height - 1], 1)
    grid = _grid(torch.stack([across, down], 1), (height, width)).to(image_B3HW)
    return F.grid_sample(image_B3HW, grid, align_corners=True), is_there


def moved_at_random(image_B3HW: Tensor, parsing_BHW: Tensor, joints_BJ3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, eight-label maps and joints, half of them mirrored, all scaled by 0.85 to 1.15 and shifted by a tenth.

    What comes in from outside repeats the border, in the maps it is background; joints that leave are missing.
    """
    count, (height, width), device = len(image_B3HW), image_B3HW.shape[-2:], image_B3HW.device
    mirror_B = torch.rand(count, device=device) < 0.5
    scale_B = torch.rand(count, device=device) * 0.3 + 0.85
    shift_B2 = torch.rand(count, 2, device=device) * 0.4 - 0.2  # in half widths and heights
    sign_B = torch.where(mirror_B, -1.0, 1.0)
    zero = torch.zeros_like(scale_B)
    moves = torch.stack(
        [
            torch.stack([sign_B / scale_B, zero, -shift_B2[:, 0] * sign_B / scale_B], 1),
            torch.stack([zero, 1 / scale_B, -shift_B2[:, 1] / scale_B], 1),
        ],
        1,
    )
    grid = _grid(moves, (height, width))
    image = F.grid_sample(image_B3HW, grid, padding_mode="border", align_corners=True)
    parsing = F.grid_sample(parsing_BHW[:, None].float(), grid, mode="nearest", align_corners=True)[:, 0]
    half = torch.tensor([width - 1, height - 1], device=device) / 2
    joints = torch.where(mirror_B[:, None, None], joints_BJ3[:, list(FLIP)], joints_BJ3)
    stretch_B2 = torch.stack([sign_B * scale_B, scale_B], 1)
    places = ((joints[..., :2] / half - 1) * stretch_B2[:, None] + shift_B2[:, None] + 1) * half
    inside = (joints[..., 2] > 0) & (places >= 0).all(-1) & (places <= 2 * half).all(-1)
    missing = joints.new_tensor([-1.0, -1.0, 0.0])
    out = torch.where(inside[..., None], torch.cat([places, joints[..., 2:]], -1), missing)
    return image, parsing.to(parsing_BHW.dtype), out
