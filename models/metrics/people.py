"""Scores of generated people by what detectors find in the pictures again, and by how alike the persons look."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.people.boxes import pckh_hits
from pipeline.people.labels import LABELS, LabelMap
from pipeline.people.skeleton import Joints, is_present

Values = NDArray[np.float64]


def score_poses(joints: Joints, poses: Joints, scores: Sequence[float]) -> dict[str, Values]:
    """How near the joints (N, 18, 3) found in generated pictures are to the poses (N, 18, 3) that were asked for.

    `joint_error_px` is the mean distance over the joints of the pose; a joint that was not found, or lies further away,
    counts as a quarter of the pose's height. `pckh` is the share of them within half a head (PATN), `ds_pose` the
    detector's score of the person, 0 where nobody was found.
    """
    hits, counted = pckh_hits(joints, poses, alpha=0.5)
    shares = (hits & counted).sum(1) / np.maximum(counted.sum(1), 1)
    return {
        "joint_error_px": np.array([_distance(found, pose) for found, pose in zip(joints, poses, strict=True)]),
        "pckh": np.where(counted.any(1), shares, np.nan),
        "ds_pose": np.array(scores, np.float64),
    }


def _distance(found: Joints, pose: Joints) -> float:
    there = is_present(pose)
    if not there.any():
        return float("nan")
    far = np.ptp(pose[there, 1]) / 4
    away = np.hypot(*(found[there, :2] - pose[there, :2]).astype(np.float64).T)
    return float(np.where(is_present(found)[there], np.minimum(away, far), far).mean())


def score_layouts(found: Sequence[LabelMap], true: Sequence[LabelMap]) -> Values:
    """Mean IoU of labels found in generated pictures with the targets' maps, over the labels of each map."""
    return np.array([_mean_iou(ours, theirs) for ours, theirs in zip(found, true, strict=True)])


def _mean_iou(found: LabelMap, true: LabelMap) -> float:
    each = []
    for label in range(len(LABELS)):
        ours, theirs = found == label, true == label
        if theirs.any():
            each.append((ours & theirs).sum() / (ours | theirs).sum())
    return float(np.mean(each))


def score_likeness(ours_ND: Values, theirs_ND: Values) -> Values:
    """Cosine of the features of two persons, row by row, -1..1."""
    lengths = np.linalg.norm(ours_ND, axis=1) * np.linalg.norm(theirs_ND, axis=1)
    return np.asarray((ours_ND * theirs_ND).sum(1) / np.maximum(lengths, 1e-12))
