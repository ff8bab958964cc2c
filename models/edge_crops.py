"""Joint-wise crops: what lies around each joint of the source, moved to where the target has that joint.

They are what SCA-GAN knows of the source's pose. Made on the device for a whole batch: each pixel looks up where it
comes from. Shape suffixes: B batch, C channels, J the 18 joints, H W rows and columns.
"""

from typing import NamedTuple

import torch
from torch import Tensor

# What the original's empty pixels become: 255 - 1, read as if it were a level of 0..1, taken to [-1, 1].
EMPTY_IN_ORIGINAL = 507.0


def crop_joints(maps_BCHW: Tensor, source_BJ3: Tensor, target_BJ3: Tensor, *, radius_px: int) -> Tensor:
    """(B, J C, H, W) of maps in [-1, 1]: per joint the square of 2 x `radius_px` around it, -1 elsewhere.

    A joint that either pose lacks has an empty crop. What lies outside of the picture, here or there, is left out.
    """
    height, width = maps_BCHW.shape[2:]
    rows, columns = (
        _shifted(source_BJ3[..., axis], target_BJ3[..., axis], size, radius_px)
        for axis, size in ((1, height), (0, width))
    )
    is_seen_BJ = _is_in_both(source_BJ3, target_BJ3)
    is_inside_BJHW = rows.is_inside[..., None] & columns.is_inside[:, :, None] & is_seen_BJ[..., None, None]
    origin_BJHW = rows.origin[..., None] * width + columns.origin[:, :, None]
    crops_BJCHW = _looked_up(maps_BCHW, origin_BJHW)
    return torch.where(is_inside_BJHW[:, :, None], crops_BJCHW, -1.0).flatten(1, 2)


def crop_joints_as_original(maps_B1HW: Tensor, source_BJ3: Tensor, target_BJ3: Tensor, *, radius_px: int) -> Tensor:
    """(B, J, H, W) in [-1, 509] as the published program makes them from edges in [-1, 1]: 507 where there is nothing.

    Its quirks: edges are -1 and the paper around them 509; a crop that the source's border cuts is centred all the
    same, one that begins before the target's border is pushed back, and one that ends behind it is filled row by row
    with as many pixels as there is room for, so that its lines break.
    """
    height, width = maps_B1HW.shape[2:]
    rows, columns = (
        _window(source_BJ3[..., axis], target_BJ3[..., axis], size, radius_px)
        for axis, size in ((1, height), (0, width))
    )
    across_BJ1W, down_BJH1 = columns.offset[:, :, None], rows.offset[..., None]
    is_inside_BJHW = _is_within(down_BJH1, rows) & _is_within(across_BJ1W, columns)
    is_inside_BJHW &= _is_in_both(source_BJ3, target_BJ3)[..., None, None]
    number_BJHW = (down_BJH1 * columns.room[..., None, None] + across_BJ1W) * is_inside_BJHW
    taken_BJ11 = columns.taken[..., None, None]
    row_BJHW = rows.start[..., None, None] + number_BJHW // taken_BJ11
    column_BJHW = columns.start[..., None, None] + number_BJHW % taken_BJ11
    crops_BJ1HW = _looked_up(maps_B1HW, row_BJHW * width + column_BJHW)
    return torch.where(is_inside_BJHW, 254 - 255 * crops_BJ1HW[:, :, 0], EMPTY_IN_ORIGINAL)


class _Shift(NamedTuple):
    origin: Tensor  # (B, J, N) where in the source each place of the target comes from
    is_inside: Tensor


def _shifted(source_BJ: Tensor, target_BJ: Tensor, size: int, radius: int) -> _Shift:
    offset_BJN = torch.arange(size, device=source_BJ.device) - _pixel(target_BJ, size)[..., None]
    origin_BJN = offset_BJN + _pixel(source_BJ, size)[..., None]
    is_near_BJN = (offset_BJN >= -radius) & (offset_BJN < radius)
    return _Shift(origin_BJN.clamp(0, size - 1), is_near_BJN & (origin_BJN >= 0) & (origin_BJN < size))


class _Window(NamedTuple):
    start: Tensor  # (B, J) where the crop begins in the source
    taken: Tensor  # (B, J) how long it is there
    room: Tensor  # (B, J) how long it is in the target
    offset: Tensor  # (B, J, N) of each place of the target from the crop's beginning


def _window(source_BJ: Tensor, target_BJ: Tensor, size: int, radius: int) -> _Window:
    joint_BJ = _pixel(source_BJ, size)
    start_BJ = (joint_BJ - radius).clamp_min(0)
    taken_BJ = (joint_BJ + radius).clamp_max(size) - start_BJ
    begins_BJ = (_pixel(target_BJ, size) - taken_BJ // 2).clamp_min(0)
    room_BJ = (begins_BJ + taken_BJ).clamp_max(size) - begins_BJ
    return _Window(start_BJ, taken_BJ, room_BJ, torch.arange(size, device=source_BJ.device) - begins_BJ[..., None])


def _is_within(offset: Tensor, window: _Window) -> Tensor:
    return (offset >= 0) & (offset < window.room[..., None, None])


def _pixel(place_BJ: Tensor, size: int) -> Tensor:
    """The pixel that a place is in."""
    return (place_BJ + 0.5).floor().long().clamp(0, size - 1)


def _is_in_both(source_BJ3: Tensor, target_BJ3: Tensor) -> Tensor:
    present = [(joints[..., 2] > 0) & (joints[..., :2] >= 0).all(-1) for joints in (source_BJ3, target_BJ3)]
    return present[0] & present[1]


def _looked_up(maps_BCHW: Tensor, origin_BJHW: Tensor) -> Tensor:
    """(B, J, C, H, W): the pixels with these numbers."""
    joints, channels = origin_BJHW.shape[1], maps_BCHW.shape[1]
    pixels_BJCN = maps_BCHW.flatten(2)[:, None].expand(-1, joints, -1, -1)
    origin_BJCN = origin_BJHW.flatten(2)[:, :, None].expand(-1, -1, channels, -1)
    return pixels_BJCN.gather(3, origin_BJCN).unflatten(3, maps_BCHW.shape[2:])
