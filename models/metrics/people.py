"""Scores of generated people by what detectors find in the pictures again, and by how alike the persons look."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_hit_rate

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


def score_retrieval(
    ours_ND: Values, theirs_ND: Values, pairs: Sequence[tuple[str, str]], persons: Sequence[str]
) -> dict[str, Values]:
    """Whether features of a generated picture lead to other pictures of its person, as in re-identification.

    The gallery of a pair (source, target) is every distinct target picture but these two: `rank1_lite0` is 1 where the
    most alike of them shows the same person, `ap_lite0` the average precision of their order, whose mean is mAP. NaN
    where the gallery has no other picture of the person.
    """
    distinct = {target: row for row, (_, target) in enumerate(pairs)}
    names, rows = np.array(list(distinct)), list(distinct.values())
    ours, theirs = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (ours_ND, theirs_ND[rows]))
    # torchmetrics takes an answer of score 0 or less for none.
    likeness_NG = torch.from_numpy(2 + ours @ theirs.T)
    of_whom = np.array(persons)
    found = np.full((2, len(pairs)), np.nan)
    for row, pair in enumerate(pairs):
        kept = torch.from_numpy(~np.isin(names, pair))
        is_right = torch.from_numpy(of_whom[rows] == of_whom[row])[kept]
        if is_right.any():
            order = likeness_NG[row][kept]
            found[:, row] = retrieval_hit_rate(order, is_right, top_k=1), retrieval_average_precision(order, is_right)
    return {"rank1_lite0": found[0], "ap_lite0": found[1]}
