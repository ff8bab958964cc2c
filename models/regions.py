"""What DPIG's networks are given, made for a whole batch on its device.

Boxes of body regions, crops, a mask of limbs, places of regions, poses as vectors.

Shape suffixes: B batch, R regions, J the 18 joints, C channels, H W rows and columns, S side of a crop.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from models.data import is_present
from models.precision import in_float32
from pipeline.people.regions import LEFT_SHIN, RIGHT_SHIN, Margins
from pipeline.people.skeleton import LEFT_HIP, LEFT_SHOULDER, MASK_LIMBS, NOSE, RIGHT_HIP, RIGHT_SHOULDER

# From shoulder to shoulder and across, so that a torso is filled.
_TORSO = ((RIGHT_SHOULDER, LEFT_SHOULDER), (RIGHT_SHOULDER, LEFT_HIP), (LEFT_SHOULDER, RIGHT_HIP))
_CLOSING_PX = 2  # of a 5x5 square, to each side of its middle


def region_boxes(
    joints_BJ3: Tensor, size: tuple[int, int], table_RJ: Tensor, margins: tuple[Margins, Margins]
) -> tuple[Tensor, Tensor]:
    """Boxes (B, R, 4) and visibility (B, R) of `pipeline.people.regions.region_boxes`, for `size` (H, W)."""
    height, width = size
    there_BJ = is_present(joints_BJ3)
    is_whole_B = there_BJ[:, LEFT_SHIN].any(1) & there_BJ[:, RIGHT_SHIN].any(1)
    whole, part = (margin.at(height) for margin in margins)
    several_B, single_B, nose_B = (
        torch.where(is_whole_B, getattr(whole, name), getattr(part, name)) for name in ("several", "single", "nose")
    )
    places_BJ2 = joints_BJ3[..., [1, 0]].clone()
    places_BJ2[:, NOSE, 0] -= nose_B
    member_BRJ1 = (table_RJ & there_BJ[:, None])[..., None]
    count_BR = member_BRJ1[..., 0].sum(2)
    reach_BR1 = torch.where(count_BR > 1, several_B[:, None], single_B[:, None])[..., None]
    low_BR2 = torch.where(member_BRJ1, places_BJ2[:, None], math.inf).amin(2) - reach_BR1
    high_BR2 = torch.where(member_BRJ1, places_BJ2[:, None], -math.inf).amax(2) + reach_BR1
    limit_4 = joints_BJ3.new_tensor([height - 1, width - 1] * 2)
    boxes_BR4 = torch.cat([low_BR2, high_BR2], 2).clamp_min(0).minimum(limit_4)
    visible_BR = count_BR > 0
    return torch.where(visible_BR[..., None], boxes_BR4, boxes_BR4.new_tensor([0.0, 0, 1, 1])), visible_BR


def region_places(joints_BJ3: Tensor, size: tuple[int, int], table_RJ: Tensor, radius_px: float) -> Tensor:
    """(B, R, H, W) 1 up to a radius from the joints and the limbs of each region, for `size` (H, W), else 0."""
    device = joints_BJ3.device
    # A joint is a limb without length, so that one whose neighbours are missing counts too.
    joints = ((joint, joint) for joint in range(joints_BJ3.shape[1]))
    limbs_L2 = torch.tensor([*MASK_LIMBS, *_TORSO, *joints], device=device)
    is_there_BL = is_present(joints_BJ3)[:, limbs_L2].all(2)
    start_BL2, end_BL2 = (joints_BJ3[:, limbs_L2[:, side], :2] for side in (0, 1))
    span_BL2 = end_BL2 - start_BL2
    y_H1, x_W = torch.arange(size[0], device=device)[:, None], torch.arange(size[1], device=device)
    x_BL1W, y_BLH1 = x_W - start_BL2[..., :1, None], y_H1 - start_BL2[..., 1:, None]
    along_x, along_y = (span_BL2 / span_BL2.square().sum(2, keepdim=True).clamp_min(1e-6)).unbind(2)
    share_BLHW = (x_BL1W * along_x[..., None, None] + y_BLH1 * along_y[..., None, None]).clamp(0, 1)
    away_x, away_y = (
        from_start - share_BLHW * span_BL[..., None, None]
        for from_start, span_BL in zip((x_BL1W, y_BLH1), span_BL2.unbind(2), strict=True)
    )
    is_near_BLHW = (away_x.square() + away_y.square() <= radius_px**2) & is_there_BL[..., None, None]
    member_RL = table_RJ[:, limbs_L2].all(2)
    return torch.einsum("rl,blhw->brhw", member_RL.float(), is_near_BLHW.float()).clamp_max(1)


@in_float32
def crops(x_BCHW: Tensor, boxes_BR4: Tensor, side: int, *, twist_BR23: Tensor | None = None) -> Tensor:
    """(B * R, C, S, S) bilinear crops whose corner pixels are the corners of the boxes (TensorFlow's convention).

    `twist` moves the places that are looked at within each box, whose sides are at -1 and 1: a matrix and a shift.
    """
    (batch, regions), (height, width) = boxes_BR4.shape[:2], x_BCHW.shape[-2:]
    ticks_S = torch.linspace(-1, 1, side, device=x_BCHW.device)
    y_SS, x_SS = torch.meshgrid(ticks_S, ticks_S, indexing="ij")
    local_2SS = torch.stack([x_SS, y_SS])
    if twist_BR23 is not None:
        turned_BR2SS = torch.einsum("brij,jst->brist", twist_BR23[..., :2], local_2SS) + twist_BR23[..., 2:, None]
    else:
        turned_BR2SS = local_2SS.expand(batch, regions, 2, side, side)
    low_BR2, high_BR2 = boxes_BR4[..., [1, 0]], boxes_BR4[..., [3, 2]]
    middle_BR2, half_BR2 = (high_BR2 + low_BR2) / 2, (high_BR2 - low_BR2) / 2
    place_BR2SS = middle_BR2[..., None, None] + half_BR2[..., None, None] * turned_BR2SS
    limits_2 = place_BR2SS.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid_BRSS2 = (place_BR2SS / limits_2[:, None, None] * 2 - 1).permute(0, 1, 3, 4, 2)
    # One picture, all of its regions below each other: nothing is copied for each region.
    found_BCNS = F.grid_sample(x_BCHW, grid_BRSS2.flatten(1, 2), padding_mode="border", align_corners=True)
    return found_BCNS.unflatten(2, (regions, side)).transpose(1, 2).flatten(0, 1)


def random_twists(count: tuple[int, ...], amount: float, device: torch.device) -> Tensor:
    """(*count, 2, 3) for `crops`: each box mirrored or not, turned by up to 60 degrees, scaled by up to 1.35, shifted.

    These are the extremes at `amount` 1; torch's dice decide.
    """
    angle, scale, flip = ((torch.rand(count, device=device) * 2 - 1) for _ in range(3))
    shift = (torch.rand((*count, 2, 1), device=device) * 2 - 1) * 0.25 * amount
    angle, size = angle * amount * math.pi / 3, torch.exp(scale * amount * 0.3)
    cos, sin, sign = angle.cos() * size, angle.sin() * size, flip.sign()
    matrix = torch.stack([torch.stack([cos * sign, -sin], -1), torch.stack([sin * sign, cos], -1)], -2)
    return torch.cat([matrix, shift], -1)


def limb_mask(joints_BJ3: Tensor, size: tuple[int, int], radius_px: float) -> Tensor:
    """(B, 1, H, W) 0 or 1: `pipeline.people.masks.body_mask` of discs, for `size` (H, W)."""
    height, width = size
    there_BJ, limbs_L2 = is_present(joints_BJ3), torch.tensor(MASK_LIMBS, device=joints_BJ3.device)
    is_there_BL = there_BJ[:, limbs_L2].all(2)
    start_BL2, end_BL2 = (joints_BJ3[:, limbs_L2[:, side], :2] for side in (0, 1))
    span_BL2 = end_BL2 - start_BL2
    parts_BL1 = (span_BL2.norm(dim=2) / radius_px).floor()[..., None] + 1
    # As many discs as the longest limb can have; those beyond a limb's own number repeat its last.
    steps_K = torch.arange(int(math.hypot(height, width) / radius_px) + 3, device=joints_BJ3.device)
    share_BLK = torch.minimum(steps_K, parts_BL1) / parts_BL1
    centre_BLK2 = start_BL2[:, :, None] + share_BLK[..., None] * span_BL2[:, :, None]
    around_N = torch.arange(-math.ceil(radius_px), math.ceil(radius_px) + 2, device=joints_BJ3.device)
    pixel_BLK2N = centre_BLK2.floor()[..., None] + around_N
    away_BLK2N = (pixel_BLK2N - centre_BLK2[..., None]).square()
    x_BLK1N, y_BLKN1 = pixel_BLK2N[..., :1, :], pixel_BLK2N[..., 1, :, None]
    is_disc = away_BLK2N[..., :1, :] + away_BLK2N[..., 1, :, None] <= radius_px**2
    is_disc &= (x_BLK1N >= 0) & (x_BLK1N < width) & (y_BLKN1 >= 0) & (y_BLKN1 < height)
    is_disc &= is_there_BL[:, :, None, None, None]
    place = (y_BLKN1.clamp(0, height - 1) * width + x_BLK1N.clamp(0, width - 1)).long()
    flat = torch.zeros(len(joints_BJ3), height * width, device=joints_BJ3.device)
    flat = flat.scatter_reduce(1, place.flatten(1), is_disc.flatten(1).to(flat), "amax")
    return _closed(flat.view(-1, 1, height, width))


def _closed(mask_B1HW: Tensor) -> Tensor:
    """Dilated, then eroded by a 5x5 square; what lies beyond the border never decides."""
    square = 2 * _CLOSING_PX + 1
    wider = F.max_pool2d(mask_B1HW, square, 1, _CLOSING_PX)
    return -F.max_pool2d(-wider, square, 1, _CLOSING_PX)


def pose_vector(joints_BJ3: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 18, 3): row / H * 2 - 1, column / W * 2 - 1, visible 0 or 1; a missing joint is (-1, -1, 0)."""
    visible_BJ1 = is_present(joints_BJ3)[..., None]
    places_BJ2 = joints_BJ3[..., [1, 0]] / joints_BJ3.new_tensor(size) * 2 - 1
    return torch.cat([torch.where(visible_BJ1, places_BJ2, -1), visible_BJ1.to(joints_BJ3)], 2)


def pose_joints(vector_BJ3: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 18, 3) joints in pixels of `size` (H, W) as packs have them: what is invisible or outside is missing."""
    places_BJ2 = ((vector_BJ3[..., :2] + 1) / 2 * vector_BJ3.new_tensor(size))[..., [1, 0]]
    limits_2 = vector_BJ3.new_tensor([size[1] - 1, size[0] - 1])
    is_there_BJ1 = ((places_BJ2 >= 0) & (places_BJ2 <= limits_2)).all(2, keepdim=True) & (vector_BJ3[..., 2:] > 0.5)
    joints_BJ3 = torch.cat([places_BJ2, torch.ones_like(vector_BJ3[..., 2:])], 2)
    return torch.where(is_there_BJ1, joints_BJ3, joints_BJ3.new_tensor([-1.0, -1, 0]))
