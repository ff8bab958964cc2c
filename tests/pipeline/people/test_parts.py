"""The ten parts against scikit-image, which the published programs use, and against plain loops."""

import numpy as np
import pytest
from skimage.measure import grid_points_in_poly
from skimage.transform import estimate_transform

from pipeline.people import labels
from pipeline.people.parts import (
    BANDS,
    BODY,
    HEAD,
    HEAD_POINTS,
    NOWHERE,
    PARTS,
    TORSO,
    draw_parts,
    part_moves,
    part_planes,
    ten_labels,
    torso_length,
)
from pipeline.people.skeleton import JOINTS, LEFT_ANKLE, LEFT_HIP, LEFT_SHOULDER, RIGHT_KNEE
from pipeline.render import plan, render

MISSING = (-1, -1, 0)


@pytest.fixture(scope="module")
def figures():
    return [render(spec, width=88, height=128) for spec in plan("natural", people=1, poses=2, seed=3)]


@pytest.fixture
def joints():
    """Two poses of all joints, at random places."""
    dice = np.random.default_rng(4)
    return np.concatenate([dice.uniform(10, 80, (2, 18, 2)), np.ones((2, 18, 1))], -1).astype(np.float32)


def length(joints):
    """The published formula, in words: root of the mean of both squared sides."""
    right, left = joints[8, :2] - joints[2, :2], joints[11, :2] - joints[5, :2]
    return np.sqrt(((right.astype(float) ** 2).sum() + (left.astype(float) ** 2).sum()) / 2)


def corners(joints, band, beyond):
    """Corners of a limb's band, step by step."""
    start, end = (joints[joint, :2].astype(float) for joint in band)
    start = start + 0.1 * (start - end)
    end = end + beyond * (end - start)
    normal = np.array([-(start - end)[1], (start - end)[0]]) / np.linalg.norm(start - end)
    half = 0.2 * length(joints)
    return np.array([start + half * normal, start - half * normal, end - half * normal, end + half * normal])


def test_the_torsos_length(joints):
    assert torso_length(joints) == pytest.approx([length(joints[0]), length(joints[1])])
    joints[0, LEFT_HIP] = MISSING
    side = np.linalg.norm(joints[0, 8, :2].astype(float) - joints[0, 2, :2])
    assert torso_length(joints[0]) == pytest.approx(side)
    joints[0, 2] = MISSING
    assert torso_length(joints[0]) == 0


def test_moves_are_scikit_images(joints):
    source, target = joints
    found = part_moves(source, target)
    head = [*HEAD_POINTS, 5, 2]
    expected = [
        estimate_transform("affine", target[points, :2].astype(float), source[points, :2].astype(float)).params[:2]
        for points in (list(TORSO), head)
    ]
    for place, band in enumerate(BANDS):
        beyond = 0.3 if place in (2, 3, 6, 7) else 0.1
        ends = (corners(target, band, beyond), corners(source, band, beyond))
        expected.append(estimate_transform("affine", *ends).params[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_masks_are_scikit_images(joints):
    drawn = draw_parts(part_planes(joints[0]), width=88, height=96)
    assert drawn[BODY].all()
    for place, band in enumerate(BANDS):
        beyond = 0.5 if place in (2, 3, 6, 7) else 0.1
        rows_and_columns = corners(joints[0], band, beyond)[:, ::-1]
        np.testing.assert_array_equal(drawn[2 + place], grid_points_in_poly((96, 88), rows_and_columns))
    middle = joints[0, HEAD_POINTS, :2].astype(float).mean(0).astype(int)
    half = int(0.40 * length(joints[0]))
    box = np.zeros((96, 88), bool)
    (left, top), (right, bottom) = np.maximum(middle - half, 0), middle + half
    box[top:bottom, left:right] = True
    np.testing.assert_array_equal(drawn[HEAD], box)


def test_the_torso_is_its_four_corners(joints):
    joints[0, TORSO, :2] = [(20, 70), (60, 74), (66, 20), (14, 22)]
    drawn = draw_parts(part_planes(joints[0], body="torso"), width=88, height=96)
    expected = grid_points_in_poly((96, 88), joints[0, TORSO, 1::-1].astype(float))
    np.testing.assert_array_equal(drawn[BODY], expected)


def test_a_limb_that_the_source_hides_is_taken_from_its_other_side(joints):
    source, target = joints
    whole = part_moves(source, target)
    source[RIGHT_KNEE] = MISSING
    found, alone = part_moves(source, target), part_moves(source, target, mirror=False)
    swapped = source.copy()
    swapped[[8, 9, 10]] = source[[11, 12, 13]]
    thigh, shin = PARTS.index("right_thigh"), PARTS.index("right_shin")
    # The band of the other side is as wide as before: the torso's length does not change.
    other = estimate_transform("affine", corners(target, (8, 9), 0.1), corners(source, (11, 12), 0.1)).params[:2]
    np.testing.assert_allclose(found[thigh], other, rtol=1e-6, atol=1e-6)
    for part in (thigh, shin):
        np.testing.assert_array_equal(alone[part], NOWHERE)
    rest = [part for part in range(10) if part not in (thigh, shin)]
    np.testing.assert_allclose(found[rest], whole[rest])


@pytest.mark.parametrize("joint", [LEFT_ANKLE, LEFT_SHOULDER])
def test_what_the_target_hides_samples_nothing(joints, joint):
    source, target = joints
    target[joint] = MISSING
    lost = {LEFT_ANKLE: ["left_shin"], LEFT_SHOULDER: ["body", "head", "left_upper_arm"]}[joint]
    found = part_moves(source, target)
    drawn = draw_parts(part_planes(target, body="torso"), width=88, height=96)
    for place, part in enumerate(PARTS):
        assert np.array_equal(found[place], NOWHERE) == (part in lost), part
        assert drawn[place].any() == (part not in lost or part == "head"), part


def test_points_in_one_place_or_on_a_line_have_no_move(joints):
    source, target = joints
    target[TORSO, :2] = [(10, 10), (20, 20), (30, 30), (40, 40)]
    target[9, :2] = target[8, :2]
    found = part_moves(source, target)
    for part in ("body", "right_thigh"):
        np.testing.assert_array_equal(found[PARTS.index(part)], NOWHERE)
    assert np.isfinite(found).all()


def test_many_at_once_are_the_same_as_one_by_one(joints):
    batch = part_moves(joints[:, None], joints[None])
    for row in range(2):
        for column in range(2):
            np.testing.assert_allclose(batch[row, column], part_moves(joints[row], joints[column]), atol=1e-9)
    np.testing.assert_allclose(batch[0, 0][:, :, :2], np.broadcast_to(np.eye(2), (10, 2, 2)), atol=1e-6)


def test_nobody_has_no_parts():
    nobody = np.broadcast_to(np.float32(MISSING), (18, 3))
    np.testing.assert_array_equal(part_moves(nobody, nobody), np.broadcast_to(NOWHERE, (10, 2, 3)))
    assert not draw_parts(part_planes(nobody), width=8, height=9)[1:].any()


def test_ten_labels_merge_back_into_ours(figures):
    for figure in figures:
        ten = ten_labels(figure.labels, figure.joints)
        np.testing.assert_array_equal(labels.merge(ten, "spt"), figure.labels)


def test_arms_and_legs_belong_to_the_nearest_limb(figures):
    """A plain loop over pixels and over points of the limbs."""
    figure = figures[0]
    ten = ten_labels(figure.labels, figure.joints)
    shares = np.linspace(0, 1, 400)[:, None]
    limbs = {6: ((5, 6), (6, 7)), 7: ((2, 3), (3, 4)), 8: ((11, 12), (12, 13)), 9: ((8, 9), (9, 10))}
    ways = {
        label: np.concatenate([(1 - shares) * figure.joints[a, :2] + shares * figure.joints[b, :2] for a, b in bands])
        for label, bands in limbs.items()
    }
    looked_at = 0
    for label, left, right in ((labels.ARM, 6, 7), (labels.LEG, 8, 9)):
        for y, x in np.argwhere(figure.labels == label)[::7]:
            near = {side: np.hypot(*(ways[side] - (x, y)).T).min() for side in (left, right)}
            if abs(near[left] - near[right]) > 0.2:
                assert ten[y, x] == min(near, key=near.get)
                looked_at += 1
    assert looked_at > 20


def test_one_side_alone_has_all():
    joints = np.full((len(JOINTS), 3), -1, np.float32)
    joints[:, 2] = 0
    joints[5] = (3, 3, 1)
    parsing = np.full((8, 8), labels.ARM, np.uint8)
    assert (ten_labels(parsing, joints) == 6).all()
    joints[5, 2] = 0
    assert (ten_labels(parsing, joints) == 7).all()  # and where no joint tells, it is the right one
