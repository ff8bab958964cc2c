"""Filters by looks: one whole person, and pictures that are nearly the same."""

import numpy as np
import pytest

from pipeline.people import labels
from pipeline.people.looks import find_like, hash_picture, second_share, why_not_single_and_complete
from pipeline.people.skeleton import JOINTS, MISSING
from pipeline.people.twins import mirror, original_of, twin_of
from pipeline.render import plan, render

ALL = np.ones((18, 3), np.float32)


def ramp(step):
    """(64, 90, 3): brighter from left to right by `step` a column."""
    row = np.clip(128 + step * (np.arange(90) - 45), 0, 255).astype(np.uint8)
    return np.repeat(np.tile(row, (64, 1))[..., None], 3, axis=2)


def test_the_hash_of_a_ramp_is_all_ones_and_of_its_mirror_all_zeros():
    assert hash_picture(ramp(2)) == 2**64 - 1
    assert hash_picture(mirror(ramp(2))) == 0
    assert hash_picture(np.full((50, 40, 3), 77, np.uint8)) == 0


def test_the_first_bit_is_the_upper_left_one():
    picture = np.zeros((8, 9, 3), np.uint8)
    picture[0, 1] = 255
    assert hash_picture(picture) == 1 << 63


@pytest.fixture(scope="module")
def people():
    return [render(spec, width=176, height=256).image for spec in plan("natural", people=2, poses=3, seed=0)]


def test_small_changes_keep_the_hash_and_other_poses_do_not(people):
    rng = np.random.default_rng(0)
    for index, picture in enumerate(people):
        noisy = np.clip(picture.astype(int) + rng.integers(-6, 7, picture.shape) + 10, 0, 255).astype(np.uint8)
        hashes = {"same": hash_picture(picture)}
        found = find_like(hashes, ["same"], hash_picture(noisy), 5)
        assert found is not None
        assert found[1] < 5
        assert find_like(hashes, ["same"], hash_picture(people[index - 1]), 5) is None


def test_a_second_person_is_a_second_piece():
    plane = np.zeros((40, 40), np.uint8)
    assert second_share(plane) == 0
    plane[2:22, 2:12] = labels.UPPER_CLOTHES
    plane[22:30, 2:12] = labels.PANTS
    assert second_share(plane) == 0
    plane[5:19, 20:25] = labels.HAIR
    assert second_share(plane) == pytest.approx(14 * 5 / (28 * 10))
    assert why_not_single_and_complete(ALL, 70 / 280).startswith("a second person: the next piece")
    assert why_not_single_and_complete(ALL, 0.2) == ""


def test_head_shoulders_and_hips_are_asked_for():
    joints = ALL.copy()
    joints[[JOINTS.index(name) for name in ("right_knee", "left_ankle", "nose", "left_eye", "right_eye")]] = MISSING
    assert why_not_single_and_complete(joints, 0) == ""
    joints[[JOINTS.index(name) for name in ("right_ear", "left_ear", "left_hip")]] = MISSING
    assert why_not_single_and_complete(joints, 0) == "not found: head, left hip"


def test_twins_are_known_by_their_names():
    assert twin_of("a/b_1") == "a/b_1~flip"
    assert original_of("a/b_1~flip", {"a/b_1"}) == ("a/b_1", True)
    assert original_of("a/b_1", {"a/b_1"}) == ("a/b_1", False)
    # A picture of the user's that is called like one
    assert original_of("x~flip", {"x", "x~flip"}) == ("x~flip", False)
