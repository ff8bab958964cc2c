"""XDoG edges: the formula on a step, and what a line drawing must be like."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import erf

from pipeline.people.edges import draw_edges


def step(dark, light, width=60, height=20):
    picture = np.full((height, width, 3), light, np.uint8)
    picture[:, : width // 2] = dark
    return picture


def test_a_step_is_the_papers_formula():
    """Between two greys a difference of Gaussians is a difference of error functions."""
    sigma, scale, sharpness, threshold, steepness = 4.0, 1.6, 20.0, 0.8, 10.0
    dark, light = 60 / 255, 200 / 255
    x = np.arange(120) - 59.5
    blur = [dark + (light - dark) * (1 + erf(x / (s * np.sqrt(2)))) / 2 for s in (sigma, sigma * scale)]
    tau, epsilon, phi = 1.0, (threshold - 1) / sharpness, steepness * sharpness
    difference = blur[0] - tau * blur[1]
    expected = 255 * np.where(difference >= epsilon, 1, 1 + np.tanh(phi * (difference - epsilon)))
    got = draw_edges(step(60, 200, width=120), sigma_px=sigma, scale=scale)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got[10], expected, atol=9)
    assert expected.min() < 5


@pytest.mark.parametrize("grey", [0, 40, 128, 255])
def test_flat_areas_are_white(grey):
    assert (draw_edges(np.full((30, 30, 3), grey, np.uint8)) == 255).all()


def test_a_line_is_on_the_dark_side():
    edges = draw_edges(step(60, 200))
    assert edges[:, 28:30].max() < 60
    assert edges[:, 31:].min() == 255
    assert edges[:, :20].min() == 255


def test_lines_thicken_with_sigma():
    thin, thick = (int((draw_edges(step(60, 200), sigma_px=sigma)[10] < 128).sum()) for sigma in (0.7, 3.0))
    assert 0 < thin < thick


def test_a_higher_threshold_draws_more():
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(float)
    picture = ndimage.gaussian_filter(picture, (2, 2, 0))
    picture = ((picture - picture.min()) / np.ptp(picture) * 255).astype(np.uint8)
    few, more = (draw_edges(picture, threshold=value).astype(int) for value in (0.6, 0.9))
    assert (more <= few).all()
    assert more.sum() < few.sum()
