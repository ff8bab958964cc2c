"""Laws of joints: flips, conversions, moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.people import skeleton

WIDTH = 176


@st.composite
def joints(draw, count=18):
    xy = draw(arrays(np.float32, (count, 2), elements=st.integers(0, WIDTH - 1)))
    there = draw(arrays(bool, (count,)))
    out = np.concatenate([xy, np.full((count, 1), 0.5, np.float32)], axis=1)
    out[~there] = skeleton.MISSING
    return out


@given(joints())
def test_flipping_twice_changes_nothing(given_joints):
    np.testing.assert_array_equal(skeleton.flip(skeleton.flip(given_joints, WIDTH), WIDTH), given_joints)


@given(joints())
def test_a_flip_exchanges_left_and_right(given_joints):
    flipped = skeleton.flip(given_joints, WIDTH)
    for place, name in enumerate(skeleton.JOINTS):
        other = {"left": "right", "right": "left"}.get(name.split("_")[0])
        source = given_joints[skeleton.JOINTS.index(name.replace(name.split("_")[0], other) if other else name)]
        if source[2] > 0:
            np.testing.assert_array_equal(flipped[place], [WIDTH - 1 - source[0], source[1], source[2]])
        else:
            np.testing.assert_array_equal(flipped[place], skeleton.MISSING)


@given(joints(17))
def test_coco17_survives_the_round_trip(coco):
    np.testing.assert_array_equal(skeleton.to_coco17(skeleton.from_coco17(coco)), coco)


@given(joints(17))
def test_the_neck_is_between_the_shoulders(coco):
    neck = skeleton.from_coco17(coco)[skeleton.NECK]
    left, right = coco[5], coco[6]
    if left[2] > 0 and right[2] > 0:
        np.testing.assert_allclose(neck[:2], (left[:2] + right[:2]) / 2)
    else:
        np.testing.assert_array_equal(neck, skeleton.MISSING)


def test_order_is_the_fields():
    """The places of COCO-17's joints in COCO-18, written out from the field's notes."""
    coco = np.zeros((17, 3), np.float32)
    coco[:, 0], coco[:, 2] = np.arange(17), 1
    places = {0: 0, 2: 6, 3: 8, 4: 10, 5: 5, 6: 7, 7: 9, 8: 12, 9: 14, 10: 16, 11: 11, 12: 13, 13: 15}
    places |= {14: 2, 15: 1, 16: 4, 17: 3}
    out = skeleton.from_coco17(coco)
    assert {place: int(out[place, 0]) for place in places} == places
    assert out[1, 0] == 5.5


@given(
    joints(),
    st.tuples(st.floats(-200, 0), st.floats(-200, 0)),
    st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
)
@settings(max_examples=60)
def test_a_move_and_its_inverse_cancel(given_joints, offset, scale):
    roomy = (10_000, 10_000)
    moved = skeleton.move(given_joints, offset=offset, scale=scale, size=roomy)
    inverse = (-offset[0] * scale[0], -offset[1] * scale[1])
    back = skeleton.move(moved, offset=inverse, scale=(1 / scale[0], 1 / scale[1]), size=roomy)
    inside = skeleton.is_present(moved)
    np.testing.assert_allclose(back[inside], given_joints[inside], atol=0.5 / min(scale) + 1e-2)
    whole = inside & (moved[:, :2] > 0).all(axis=1)
    np.testing.assert_allclose(back[whole], given_joints[whole], atol=1e-2)


@pytest.mark.parametrize(("x", "there"), [(-0.4, True), (-0.6, False), (99.4, True), (99.6, False)])
def test_joints_that_leave_the_frame_are_missing(x, there):
    start = skeleton.empty()
    start[3] = 50, 50, 1
    moved = skeleton.move(start, offset=(50 - x, 0), scale=(1, 1), size=(100, 100))
    assert skeleton.is_present(moved)[3] == there
    assert not there or 0 <= moved[3, 0] <= 99


def test_doubling_a_picture_doubles_pixel_centres():
    start = skeleton.empty()
    start[0] = 0, 10, 1
    np.testing.assert_allclose(skeleton.move(start, offset=(0, 0), scale=(2, 2), size=(400, 400))[0], [0.5, 20.5, 1])


def test_limbs_name_joints_once():
    for limbs, count in ((skeleton.LIMBS, 17), (skeleton.MASK_LIMBS, 23)):
        assert len({frozenset(limb) for limb in limbs}) == len(limbs) == count
        assert {joint for limb in limbs for joint in limb} == set(range(18))
