"""Edge maps by XDoG, the extended difference of Gaussians (Winnemoeller, Kyprianidis and Olsen 2012)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_LUMA = (0.299, 0.587, 0.114)


def draw_edges(
    picture: NDArray[np.uint8],
    *,
    sigma_px: float = 0.8,
    scale: float = 1.6,
    sharpness: float = 20.0,
    threshold: float = 0.8,
    steepness: float = 10.0,
) -> NDArray[np.uint8]:
    """(H, W) grey of an (H, W, 3) RGB picture: dark lines on white, on the dark side of each edge.

    Lines are where 1 + sharpness * (G(sigma_px) - G(scale * sigma_px)) of the luma 0..1 is below `threshold`; there the
    grey is 1 + tanh(steepness * (level - threshold)). In the paper's terms: tau = 1, epsilon = (threshold - 1) /
    sharpness, phi = steepness * sharpness. With tau below 1 dark clothes would be filled with black, their folds lost.
    """
    luma = picture.astype(np.float64) @ _LUMA / 255
    fine, coarse = (ndimage.gaussian_filter(luma, sigma, mode="nearest") for sigma in (sigma_px, scale * sigma_px))
    level = 1 + sharpness * (fine - coarse)
    shade = np.where(level >= threshold, 1, 1 + np.tanh(steepness * (level - threshold)))
    return np.rint(255 * shade).astype(np.uint8)
