"""The body mask: a rough silhouette around the limbs, from joints alone."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pipeline.people.skeleton import MASK_LIMBS, Joints, is_present

KINDS = ("discs", "polygons")
_CLOSING_PX = 2  # of a 5x5 square, to each side of its middle


def body_mask(
    joints: Joints, *, width: int, height: int, radius_px: float = 4.0, kind: str = "discs"
) -> NDArray[np.uint8]:
    """(H, W) 0/1: the limbs whose two joints (of (18, 3)) are present, thickened, then closed with a 5x5 square.

    `discs`: discs at both ends and about every `radius_px` between (PG2, DPIG). `polygons`: bands of that half width
    with round ends, and a disc at every joint (Deformable GAN, SPT, PATN).
    """
    if kind not in KINDS:
        raise ValueError(f"mask kind '{kind}' is not one of {', '.join(KINDS)}")
    mask = np.zeros((height, width), np.uint8)
    there, places = is_present(joints), joints[:, :2].astype(np.float64)
    limbs = np.array([limb for limb in MASK_LIMBS if there[list(limb)].all()], int).reshape(-1, 2)
    starts, ends = places[limbs[:, 0]], places[limbs[:, 1]]
    if kind == "discs":
        _draw_discs(mask, starts, ends, radius_px)
    else:
        for start, end in zip(starts, ends, strict=True):
            _draw_band(mask, start, end, radius_px)
        for joint in places[there]:
            _draw_band(mask, joint, joint, radius_px)
    return _spread(_spread(mask, np.maximum), np.minimum)


def _spread(mask: NDArray[np.uint8], extreme: np.ufunc) -> NDArray[np.uint8]:
    """Every pixel's extreme over the 5x5 square around it; beyond the border its pixels repeat."""
    # Rows, then columns, by five shifted views: a third of the time of scipy's filters, which take any size.
    height, width = mask.shape
    padded, shifts = np.pad(mask, _CLOSING_PX, mode="edge"), range(2 * _CLOSING_PX + 1)
    rows = reduce(extreme, (padded[shift : shift + height] for shift in shifts))
    square: NDArray[np.uint8] = reduce(extreme, (rows[:, shift : shift + width] for shift in shifts))
    return square


def _draw_discs(
    mask: NDArray[np.uint8], starts_L2: NDArray[np.float64], ends_L2: NDArray[np.float64], radius_px: float
) -> None:
    """Set the discs of all limbs at once: at both ends of each, and between the parts that PG2 divides it into."""
    spans_L2 = ends_L2 - starts_L2
    parts_L = (np.hypot(*spans_L2.T) / radius_px).astype(int) + 1
    limb = np.repeat(np.arange(len(parts_L)), parts_L + 1)
    share = np.concatenate([np.arange(parts + 1) / parts for parts in parts_L] or [np.empty(0)])
    way_D2 = share[:, None] * spans_L2[limb]
    around = np.arange(-np.ceil(radius_px), np.ceil(radius_px) + 2)
    pixels_D2R = np.floor(starts_L2[limb] + way_D2)[..., None] + around
    away_D2R = ((pixels_D2R - starts_L2[limb][..., None]) - way_D2[..., None]) ** 2
    size_2 = np.array(mask.shape[::-1])
    away_D2R[(pixels_D2R < 0) | (pixels_D2R >= size_2[:, None])] = np.inf
    x_DR, y_DR = pixels_D2R.astype(int).transpose(1, 0, 2)
    is_in_DRR = away_D2R[:, 0, :, None] + away_D2R[:, 1, None] <= radius_px**2
    mask.reshape(-1)[(x_DR[:, :, None] + size_2[0] * y_DR[:, None])[is_in_DRR]] = 1


def _draw_band(mask: NDArray[np.uint8], start: NDArray[np.float64], end: NDArray[np.float64], radius_px: float) -> None:
    """Set the pixels within `radius_px` of the line."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius_px).astype(int), 0)
    high = np.ceil(np.maximum(start, end) + radius_px).astype(int) + 1
    window = mask[low[1] : high[1], low[0] : high[0]]
    x = np.arange(low[0], low[0] + window.shape[1]) - start[0]
    y = np.arange(low[1], low[1] + window.shape[0])[:, None] - start[1]
    dx, dy = end - start
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
    window |= ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius_px**2).astype(np.uint8)
