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
    dx_JW = np.arange(width, dtype=np.float32) - joints[:, 0:1]
    dy_JH = np.arange(height, dtype=np.float32) - joints[:, 1:2]
    if kind == "gaussian":
        # A Gaussian of r^2 = dx^2 + dy^2 is a product: two rows of numbers instead of a plane of exponentials.
        bell_JW, bell_JH = (np.exp(-(d**2) / (2 * sigma_px**2)) for d in (dx_JW, dy_JH))
        maps = bell_JH[:, :, None] * bell_JW[:, None, :]
    elif kind == "disc":
        maps = (dx_JW[:, None, :] ** 2 + dy_JH[:, :, None] ** 2 <= sigma_px**2).astype(np.float32)
    elif kind == "delta":
        # The nearest pixel is one pixel even for a joint half way between two.
        near_JW = np.arange(width) == np.floor(joints[:, 0:1] + 0.5)
        near_JH = np.arange(height) == np.floor(joints[:, 1:2] + 0.5)
        maps = (near_JH[:, :, None] & near_JW[:, None, :]).astype(np.float32)
    else:
        raise ValueError(f"heat map kind '{kind}' is not one of {', '.join(KINDS)}")
    return maps * is_present(joints)[:, None, None].astype(np.float32)


def to_uint8(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..255 with the peak at 255."""
    return np.rint(maps * 255).astype(np.uint8)
