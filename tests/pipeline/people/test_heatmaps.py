"""Heat maps against the plain formula, and where their peaks are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.people import heatmaps, skeleton

W, H = 44, 64


def joints_at(*places):
    joints = skeleton.empty()
    for index, (x, y) in enumerate(places):
        joints[index] = x, y, 1
    return joints


@given(st.lists(st.tuples(st.integers(0, W - 1), st.integers(0, H - 1)), min_size=1, max_size=18))
@settings(deadline=None)
def test_the_peak_is_at_the_joint(places):
    for kind in ("gaussian", "delta"):
        maps = heatmaps.render(joints_at(*places), width=W, height=H, kind=kind)
        for index, (x, y) in enumerate(places):
            assert np.unravel_index(maps[index].argmax(), (H, W)) == (y, x)
            assert maps[index].max() == 1
        assert not maps[len(places) :].any()


def test_gaussian_is_the_formula():
    x, y, sigma = 12.3, 40.7, 6.0
    rows, columns = np.mgrid[:H, :W]
    expected = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    maps = heatmaps.render(joints_at((x, y)), width=W, height=H, sigma_px=sigma)
    assert maps.shape == (18, H, W)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps[0], expected, atol=1e-5)


def test_disc_holds_the_pixels_within_its_radius():
    maps = heatmaps.render(joints_at((20, 30)), width=W, height=H, kind="disc", sigma_px=4)
    rows, columns = np.nonzero(maps[0])
    assert len(rows) == 49  # lattice points within 4 of the origin
    assert np.hypot(rows - 30, columns - 20).max() == 4


def test_delta_is_what_uint8_leaves_of_the_fields_maps():
    """PATN stores exp(...) as uint8, which keeps the one pixel at the joint."""
    field = heatmaps.render(joints_at((20, 30)), width=W, height=H).astype(np.uint8)
    np.testing.assert_array_equal(heatmaps.render(joints_at((20, 30)), width=W, height=H, kind="delta"), field)


@given(st.floats(0, W - 1), st.floats(0, H - 1))
@settings(deadline=None)
def test_delta_is_one_pixel_wherever_the_joint_lies(x, y):
    maps = heatmaps.render(joints_at((x, y)), width=W, height=H, kind="delta")
    assert maps[0].sum() == 1


def test_bytes_peak_at_255():
    maps = heatmaps.to_uint8(heatmaps.render(joints_at((3, 4)), width=W, height=H))
    assert maps.dtype == np.uint8
    assert maps[0].max() == maps[0, 4, 3] == 255


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="'blob' is not one of delta, gaussian, disc"):
        heatmaps.render(skeleton.empty(), width=W, height=H, kind="blob")


@given(
    st.lists(st.tuples(st.floats(0, W - 1), st.floats(0, H - 1)), max_size=18),
    st.floats(0.5, 30),
)
@settings(deadline=None)
def test_bytes_drawn_near_the_joints_are_those_of_the_whole_maps(places, sigma):
    joints = joints_at(*places)
    whole = heatmaps.to_uint8(heatmaps.render(joints, width=W, height=H, sigma_px=sigma))
    np.testing.assert_array_equal(heatmaps.render_uint8(joints, width=W, height=H, sigma_px=sigma), whole)


def test_bytes_are_the_rounded_formula():
    x, y, sigma = 40.2, 1.7, 3.0
    rows, columns = np.mgrid[:H, :W]
    expected = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    found = heatmaps.render_uint8(joints_at((x, y)), width=W, height=H, sigma_px=sigma)
    assert np.abs(found[0] - expected).max() < 0.501
    assert not found[1:].any()
