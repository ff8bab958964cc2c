"""The body mask: a rough silhouette around the limbs, from joints alone."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.people.skeleton import MASK_LIMBS, Joints, is_present

KINDS = ("discs", "polygons")
_CLOSING_PX = 5


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
    there = is_present(joints)
    for a, b in MASK_LIMBS:
        if there[a] and there[b]:
            start, end = joints[a, :2].astype(np.float64), joints[b, :2].astype(np.float64)
            _thicken(mask, start, end, radius_px, steps=_steps(start, end, radius_px) if kind == "discs" else None)
    if kind == "polygons":
        for joint in joints[there, :2].astype(np.float64):
            _thicken(mask, joint, joint, radius_px, steps=None)
    closed = ndimage.maximum_filter(mask, size=_CLOSING_PX, mode="nearest")
    return np.asarray(ndimage.minimum_filter(closed, size=_CLOSING_PX, mode="nearest"), np.uint8)


def _steps(start: NDArray[np.float64], end: NDArray[np.float64], radius_px: float) -> int:
    """Into how many parts PG2 divides a limb: discs lie at the ends and between the parts."""
    return int(np.hypot(*(end - start)) / radius_px) + 1


def _thicken(
    mask: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius_px: float,
    *,
    steps: int | None,
) -> None:
    """Set the pixels within `radius_px` of the line, or of the points that cut it into `steps`."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius_px).astype(int), 0)
    high = np.ceil(np.maximum(start, end) + radius_px).astype(int) + 1
    window = mask[low[1] : high[1], low[0] : high[0]]
    x = np.arange(low[0], low[0] + window.shape[1]) - start[0]
    y = np.arange(low[1], low[1] + window.shape[0])[:, None] - start[1]
    dx, dy = end - start
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
    if steps is not None:
        along = np.rint(along * steps) / steps
    window |= ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius_px**2).astype(np.uint8)
