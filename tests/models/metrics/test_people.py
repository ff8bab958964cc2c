import numpy as np
import pytest

from models.metrics.people import score_layouts, score_likeness, score_poses, score_retrieval
from pipeline.people.skeleton import MISSING


def pose(dice):
    joints = np.ones((18, 3), np.float32)
    joints[:, :2] = dice.uniform(20, 150, (18, 2))
    joints[[0, 1, 14, 15, 16, 17], :2] = [(50, 20), (50, 40), (46, 18), (54, 18), (40, 20), (60, 20)]
    return joints


def test_joint_error_is_the_mean_distance_and_a_lost_joint_costs_a_quarter_of_the_height():
    asked = pose(np.random.default_rng(0))[None]
    found = asked.copy()
    found[0, 3, 0] += 4
    found[0, 5] = MISSING
    far = np.ptp(asked[0, :, 1]) / 4
    scores = score_poses(found, asked, [0.7])
    assert scores["joint_error_px"][0] == pytest.approx((4 + far) / 18, rel=1e-5)
    assert scores["pckh"][0] == pytest.approx(17 / 18)
    assert scores["ds_pose"][0] == 0.7


def test_finding_nobody_is_no_better_than_finding_somebody_far_away():
    asked = pose(np.random.default_rng(0))[None]
    nobody = np.tile(np.float32(MISSING), (1, 18, 1))
    away = asked + np.float32([500, 500, 0])
    lost, wrong = (score_poses(found, asked, [0])["joint_error_px"][0] for found in (nobody, away))
    assert lost == pytest.approx(wrong)


def test_a_pose_without_joints_gives_no_number():
    nobody = np.tile(np.float32(MISSING), (1, 18, 1))
    scores = score_poses(nobody, nobody, [0])
    assert np.isnan([scores["joint_error_px"][0], scores["pckh"][0]]).all()


def test_layouts_are_compared_over_the_labels_of_the_target():
    true = np.zeros((4, 4), np.uint8)
    true[:2] = 3
    found = true.copy()
    found[0, 0] = 5
    assert score_layouts([found], [true])[0] == pytest.approx((1 + 7 / 8) / 2)


def test_likeness_is_a_cosine():
    one, other = np.array([[1.0, 0], [1, 1]]), np.array([[0.0, 2], [3, 3]])
    np.testing.assert_allclose(score_likeness(one, other), [0, 1], atol=1e-12)


def test_retrieval_ranks_the_other_pictures_of_the_person():
    """Against the definition, written as a loop over the sorted gallery."""
    dice = np.random.default_rng(3)
    persons = [f"p{row % 4}" for row in range(12)]
    pairs = [(f"t{(row + 4) % 12}", f"t{row}") for row in range(12)]
    ours, theirs = dice.normal(size=(12, 6)), dice.normal(size=(12, 6))
    found = score_retrieval(ours, theirs, pairs, persons)
    for row in range(12):
        cosines = theirs @ ours[row] / np.linalg.norm(theirs, axis=1)
        order = [other for other in np.argsort(-cosines) if f"t{other}" not in pairs[row]]
        right = [persons[other] == persons[row] for other in order]
        precisions = [sum(right[: place + 1]) / (place + 1) for place in range(len(right)) if right[place]]
        assert found["rank1_lite0"][row] == right[0]
        assert found["ap_lite0"][row] == pytest.approx(np.mean(precisions))


def test_retrieval_says_nothing_of_a_person_with_no_other_picture():
    features = np.eye(3)
    found = score_retrieval(features, features, [("a", "b"), ("b", "a"), ("c", "d")], ["x", "x", "y"])
    assert np.isnan(found["rank1_lite0"]).all()
