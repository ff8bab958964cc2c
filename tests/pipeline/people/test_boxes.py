"""Boxes, and PCKh counted by hand."""

import math

import numpy as np
import pytest

from pipeline.people import skeleton
from pipeline.people.boxes import box_of, head_box, pckh, pckh_hits


@pytest.fixture
def true():
    joints = skeleton.empty()
    joints[skeleton.NOSE] = 50, 20, 1
    joints[skeleton.NECK] = 50, 40, 1
    joints[skeleton.RIGHT_EAR] = 40, 20, 1
    joints[skeleton.LEFT_EAR] = 60, 20, 1
    joints[skeleton.LEFT_ANKLE] = 55, 200, 1
    return joints


def test_boxes(true):
    assert box_of(true) == (40, 20, 60, 200)
    assert head_box(true) == (40, 20, 60, 40)
    assert box_of(skeleton.empty()) is None


def test_pckh_by_hand(true):
    """The head is 20 x 20, so a joint is found within 10 px across and 10 px down, each taken alone, the limit excluded."""
    predicted = true.copy()
    predicted[skeleton.NOSE, :2] += 9.9, -9.9  # found, though 14 px away
    predicted[skeleton.NECK, 0] += 10  # at the limit: missed
    predicted[skeleton.LEFT_EAR] = skeleton.MISSING
    predicted[skeleton.RIGHT_KNEE] = 1, 1, 1  # nothing to find there
    hits, counted = pckh_hits(predicted[None], true[None])
    assert counted.sum() == 5
    assert set(np.flatnonzero(hits[0])) == {skeleton.NOSE, skeleton.RIGHT_EAR, skeleton.LEFT_ANKLE}
    assert pckh(predicted[None], true[None]) == pytest.approx(3 / 5)
    assert pckh(predicted[None], true[None], alpha=0.6) == pytest.approx(4 / 5)


def test_a_missing_joint_near_the_origin_is_no_hit(true):
    """(-1, -1) lies within 10 px of a joint at (2, 2), but nothing was found."""
    true[skeleton.LEFT_WRIST] = 2, 2, 1
    predicted = true.copy()
    predicted[skeleton.LEFT_WRIST] = skeleton.MISSING
    assert pckh(predicted[None], true[None]) == pytest.approx(5 / 6)


def test_pictures_without_a_head_do_not_count(true):
    headless = skeleton.empty()
    headless[skeleton.LEFT_ANKLE] = 55, 200, 1
    both = np.stack([true, headless])
    assert pckh(both, both) == 1
    assert pckh_hits(both, both)[1].sum() == 5
    assert math.isnan(pckh(headless[None], headless[None]))
