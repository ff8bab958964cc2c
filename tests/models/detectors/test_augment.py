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


def upright() -> tuple[np.ndarray, skeleton.Joints, np.ndarray]:
    """Somebody who faces the camera: a red head, a blue trunk, green legs; the person's right is the picture's left."""
    image, maps, joints = np.full((256, 176, 3), 90, np.uint8), np.zeros((256, 176), np.uint8), skeleton.empty()
    parts = (
        (20, 50, 80, 96, 2, (220, 30, 30)),
        (50, 120, 60, 116, 3, (30, 30, 220)),
        (120, 240, 66, 110, 4, (30, 220, 30)),
    )
    for top, bottom, left, right, label, colour in parts:
        image[top:bottom, left:right], maps[top:bottom, left:right] = colour, label
    places = {"nose": (88, 38), "right_eye": (84, 32), "left_eye": (92, 32), "right_shoulder": (64, 56),
              "left_shoulder": (112, 56), "right_hip": (74, 120), "left_hip": (102, 120), "right_ankle": (74, 236),
              "left_ankle": (102, 236)}  # fmt: skip
    for name, place in places.items():
        joints[skeleton.JOINTS.index(name)] = *place, 1
    return image, joints, maps


def test_a_shop_shows_the_head_at_the_upper_edge_and_cuts_below_the_waist():
    bottoms = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        _, joints, maps = augment.change(*upright(), has_labels=True, strength=replace(STILL, shop=1), random=random)
        rows = np.flatnonzero(maps.any(axis=1))
        assert rows[0] < 0.12 * 256
        # Of the legs, between a little above the hips and the ankles is the lower edge.
        assert rows[-1] > 225
        bottoms.append((maps == labels.PANTS).sum() / (maps == labels.UPPER_CLOTHES).sum())
        assert skeleton.is_present(joints)[skeleton.RIGHT_SHOULDER]
    assert min(bottoms) < 0.6 < max(bottoms)


def test_a_person_who_fills_the_picture_reaches_from_edge_to_edge():
    for seed in range(6):
        random = np.random.default_rng(seed)
        _, _, maps = augment.change(*upright(), has_labels=True, strength=replace(STILL, fill=1), random=random)
        assert maps.any(axis=1).sum() >= 0.75 * 256


def test_turned_away_is_hair_for_a_face_and_left_for_right():
    for seed in range(6):
        random = np.random.default_rng(seed)
        image, joints, maps = augment.change(
            *upright(), has_labels=True, strength=replace(STILL, turned=1), random=random
        )
        there = skeleton.is_present(joints)
        assert not there[[skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE]].any()
        # Seen from behind, the right hand is on the right, mirrored or not.
        assert joints[skeleton.RIGHT_SHOULDER, 0] > joints[skeleton.LEFT_SHOULDER, 0]
        assert not (maps == labels.FACE).any()
        assert (maps == labels.HAIR).sum() == 16 * 30
        assert np.abs(image[maps == labels.HAIR].astype(int) - [220, 30, 30]).sum(axis=1).min() > 60
        assert np.median(image[maps == labels.UPPER_CLOTHES], axis=0).tolist() == [30, 30, 220]


def test_a_studio_is_light():
    for seed in range(10):
        random = np.random.default_rng(seed)
        image, _, maps = augment.change(
            *upright(), has_labels=True, strength=replace(STILL, background=1, studio=1), random=random
        )
        assert np.percentile(image[maps == labels.BACKGROUND], 5) > 150
