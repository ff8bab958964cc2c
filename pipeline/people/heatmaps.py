"""Pose heat maps from joints: a picture of 18 channels, one per joint."""

import numpy as np
from numpy.typing import NDArray

from pipeline.people.skeleton import Joints, is_present

KINDS = ("delta", "gaussian", "disc")


def render(
    joints: Joints, *, width: int, height: int, kind: str = "gaussian", sigma_px: float = 6.0
) -> NDArray[np.float32]:
    """(18, H, W) in 0..1; the channel of a missing joint is zero.

    `gaussian`: exp(-r^2 / (2 sigma_px^2)) around the joint. `disc`: 1 within `sigma_px`. `delta`: 1 at the nearest
    pixel, which is what the uint8 maps of PATN and ADGAN hold.
    """
    if kind == "gaussian":
        bell_JH, bell_JW = _bells(joints, width, height, sigma_px)
        return bell_JH[:, :, None] * bell_JW[:, None, :]
    if kind == "disc":
        dx_JW, dy_JH = _distances(joints, width, height)
        maps = (dx_JW[:, None, :] ** 2 + dy_JH[:, :, None] ** 2 <= sigma_px**2).astype(np.float32)
    elif kind == "delta":
        # The nearest pixel is one pixel even for a joint half way between two.
        near_JW = np.arange(width) == np.floor(joints[:, 0:1] + 0.5)
        near_JH = np.arange(height) == np.floor(joints[:, 1:2] + 0.5)
        maps = (near_JH[:, :, None] & near_JW[:, None, :]).astype(np.float32)
    else:
        raise ValueError(f"heat map kind '{kind}' is not one of {', '.join(KINDS)}")
    return maps * is_present(joints)[:, None, None].astype(np.float32)


def render_uint8(joints: Joints, *, width: int, height: int, sigma_px: float) -> NDArray[np.uint8]:
    """(18, H, W): `to_uint8` of the Gaussian maps, drawn only where it is above 0, within some 3.5 sigma of a joint."""
    bell_JH, bell_JW = _bells(joints, width, height, sigma_px)
    maps = np.zeros((len(joints), height, width), np.uint8)
    # 255 exp(-r^2 / (2 sigma^2)) rounds to 0 beyond this; one pixel more covers the rounding of the arithmetic.
    reach_px = sigma_px * np.sqrt(2 * np.log(510)) + 1
    first = np.maximum(np.ceil(joints[:, :2] - reach_px), 0).astype(int)
    last = np.maximum(np.floor(joints[:, :2] + reach_px) + 1, 0).astype(int)
    for joint in np.flatnonzero(is_present(joints)):
        (x0, y0), (x1, y1) = first[joint], last[joint]
        maps[joint, y0:y1, x0:x1] = to_uint8(bell_JH[joint, y0:y1, None] * bell_JW[joint, x0:x1])
    return maps


def to_uint8(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..255 with the peak at 255."""
    return np.rint(maps * 255).astype(np.uint8)


def _distances(joints: Joints, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels from each joint: (18, W) across and (18, H) down."""
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return across - joints[:, 0:1], down - joints[:, 1:2]


def _bells(joints: Joints, width: int, height: int, sigma_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(18, H) and (18, W) factors of each Gaussian, those of a missing joint zero.

    A Gaussian of r^2 = dx^2 + dy^2 is a product: two rows of numbers instead of a plane of exponentials.
    """
    dx_JW, dy_JH = _distances(joints, width, height)
    bell_JW, bell_JH = (np.exp(-(d**2) / (2 * sigma_px**2)) for d in (dx_JW, dy_JH))
    return bell_JH * is_present(joints)[:, None], bell_JW
