from dataclasses import replace

import numpy as np
import pytest

from models.detectors import augment
from models.detectors.augment import Strength
from pipeline.people import labels, skeleton

STILL = Strength(
    scale=(1.0, 1.0),
    close_up=0,
    aspect=0,
    rotation_deg=0,
    background=0,
    colour=0,
    blur=0,
    noise=0,
    jpeg=0,
    occlusion=0,
)


def figure() -> tuple[np.ndarray, skeleton.Joints, np.ndarray]:
    """A picture whose joints are the middles of squares, each of its own colour and label."""
    image = np.full((256, 176, 3), 255, np.uint8)
    maps = np.zeros((256, 176), np.uint8)
    joints = skeleton.empty()
    for number in range(18):
        x, y = 38 + 20 * (number % 6), 60 + 50 * (number // 6)
        joints[number] = x, y, 1
        image[y - 6 : y + 7, x - 6 : x + 7] = (10 * number, 200 - 10 * number, 100)
        maps[y - 6 : y + 7, x - 6 : x + 7] = 1 + number % 7
    return image, joints, maps


def changed(strength: Strength, seed: int, **options: bool) -> tuple[np.ndarray, skeleton.Joints, np.ndarray]:
    return augment.change(
        *figure(), has_labels=options.get("has_labels", True), strength=strength, random=np.random.default_rng(seed)
    )


def unflipped(joints: skeleton.Joints) -> skeleton.Joints:
    """The joints in the order of the squares: a flip has exchanged left and right."""
    x = {number: joints[number, 0] for number in (3, 6)}
    return joints[list(skeleton.FLIP)] if skeleton.is_present(joints).all() and x[3] < x[6] - 1e-6 else joints


@pytest.mark.parametrize("seed", range(12))
def test_joints_and_labels_move_with_the_picture(seed: int):
    image, joints, maps = changed(replace(STILL, scale=(0.7, 1.1), rotation_deg=20, aspect=0.1), seed)
    source, _, _ = figure()
    colours = {tuple(source[y, x]) for x, y in figure()[1][:, :2].astype(int)}
    seen = 0
    for number in np.flatnonzero(skeleton.is_present(joints)):
        x, y = np.round(joints[number, :2]).astype(int)
        if 3 < x < 172 and 3 < y < 252:
            seen += 1
            # The joint itself, or its mirror image, is painted here, and labelled as it is.
            candidates = (number, skeleton.FLIP[number])
            match = [c for c in candidates if np.abs(image[y, x] - np.int16([10 * c, 200 - 10 * c, 100])).max() <= 2]
            assert match, (number, image[y, x], colours)
            assert maps[y, x] in {1 + c % 7 for c in match}
    assert seen >= 6


def test_a_flip_exchanges_left_and_right():
    flips = 0
    for seed in range(8):
        image, joints, _ = changed(STILL, seed)
        elbow = joints[skeleton.RIGHT_ELBOW]
        if not skeleton.is_present(elbow):
            continue
        x, y = np.round(elbow[:2]).astype(int)
        flips += bool(np.abs(image[y, x] - np.int16([60, 140, 100])).max() <= 2)
        assert tuple(image[y, x]) in {(30, 170, 100), (60, 140, 100)}
    assert 0 < flips < 8


def test_the_same_seed_gives_the_same_example():
    for left, right in zip(changed(Strength(), 3), changed(Strength(), 3), strict=True):
        assert np.array_equal(left, right)
    assert not np.array_equal(changed(Strength(), 3)[0], changed(Strength(), 4)[0])


def test_only_the_background_of_the_label_map_is_replaced():
    for seed in range(6):
        image, _, maps = changed(replace(STILL, background=1.0), seed)
        inside = maps > 0
        # Deeper than the soft edge.
        deep = inside & np.roll(inside, 2, 0) & np.roll(inside, -2, 0) & np.roll(inside, 2, 1) & np.roll(inside, -2, 1)
        assert (image[deep][:, 2] == 100).all()


def test_covered_joints_are_missing_and_covered_pixels_background():
    lost = 0
    for seed in range(20):
        _, joints, maps = changed(replace(STILL, occlusion=1.0), seed)
        for number in np.flatnonzero(skeleton.is_present(joints)):
            x, y = np.round(joints[number, :2]).astype(int)
            assert maps[y, x] != labels.BACKGROUND
        lost += int((~skeleton.is_present(joints)).sum())
    assert lost > 0


@pytest.mark.parametrize("seed", range(20))
def test_everything_at_once_keeps_shapes_and_ranges(seed: int):
    image, joints, maps = changed(Strength(), seed, has_labels=bool(seed % 2))
    assert (image.shape, image.dtype) == ((256, 176, 3), np.uint8)
    assert (maps.shape, maps.dtype) == ((256, 176), np.uint8)
    there = skeleton.is_present(joints)
    assert (joints[there, :2] >= 0).all()
    assert (joints[there, :2] <= [175, 255]).all()
    assert (joints[~there] == np.float32(skeleton.MISSING)).all()
