import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from models.metrics.extraction import score_joints, score_labels
from pipeline.people.skeleton import MISSING


def person(rng):
    joints = np.ones((18, 3), np.float32)
    joints[:, :2] = rng.uniform(20, 150, (18, 2))
    joints[[0, 1, 14, 15, 16, 17], :2] = [(50, 20), (50, 40), (46, 18), (54, 18), (40, 20), (60, 20)]  # a head of 20x22
    return joints


def test_joints_within_half_a_head_count_as_found():
    rng = np.random.default_rng(0)
    true = np.stack([person(rng) for _ in range(4)])
    found = true.copy()
    found[0, 3, 0] += 9.9
    found[0, 4, 0] += 10.1
    found[1, 5] = MISSING
    score = score_joints(found, true, list("abcd"))
    assert score["n"] == 72
    assert score["value"] == pytest.approx(70 / 72, abs=1e-4)
    assert score["low"] <= score["value"] <= score["high"]


def test_joints_that_the_camera_does_not_see_are_not_counted():
    true = person(np.random.default_rng(0))[None]
    true[0, 9, 2] = 0.5
    found = true.copy()
    found[0, 9] = MISSING
    assert score_joints(found, true, ["a"])["value"] == 1
    assert score_joints(found, true, ["a"])["n"] == 17


def test_mean_iou_equals_torchmetrics():
    rng = np.random.default_rng(0)
    true = [rng.integers(0, 8, (20, 16), np.uint8) for _ in range(5)]
    found = [np.where(rng.random((20, 16)) < 0.7, a, rng.integers(0, 8, (20, 16))).astype(np.uint8) for a in true]
    theirs = multiclass_jaccard_index(torch.tensor(np.stack(found)), torch.tensor(np.stack(true)), 8, average="macro")
    assert score_labels(found, true, list("aabbc"))["value"] == pytest.approx(theirs.item(), abs=1e-4)


def test_a_class_that_does_not_occur_does_not_count():
    true = [np.zeros((4, 4), np.uint8)]
    found = [np.zeros((4, 4), np.uint8)]
    found[0][0, 0] = 5
    score = score_labels(found, true, ["a"])
    assert score["value"] == pytest.approx(15 / 16, abs=1e-4)
    assert "iou_skirt" not in score
