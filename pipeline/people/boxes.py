"""Boxes of joints, and PCKh as the field counts it."""

import numpy as np
from numpy.typing import NDArray

from pipeline.people.skeleton import LEFT_EAR, LEFT_EYE, NECK, NOSE, RIGHT_EAR, RIGHT_EYE, Joints, is_present

HEAD = (NOSE, NECK, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR)

Box = tuple[float, float, float, float]


def box_of(joints: Joints) -> Box | None:
    """(left, top, right, bottom) around the joints (J, 3) that are present; None when there is none."""
    there = joints[is_present(joints), :2]
    if not len(there):
        return None
    (left, top), (right, bottom) = there.min(axis=0), there.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def head_box(joints: Joints) -> Box | None:
    """The box of the head's joints and the neck, of (18, 3)."""
    return box_of(joints[list(HEAD)])


def pckh_hits(predicted: Joints, true: Joints, *, alpha: float = 0.5) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(hits, counted), each (N, 18), of two (N, 18, 3): which joints were found, and which there were to find.

    As PATN counts: a joint is found when it lies within alpha times width and height of the true head's box, across and
    down each; true joints of a picture whose head has no extent are not counted; a joint that was missed is no hit.
    """
    counted = is_present(true)
    hits = np.zeros_like(counted)
    for row in range(len(true)):
        box = head_box(true[row])
        if box is None or box[2] <= box[0] or box[3] <= box[1]:
            counted[row] = False
            continue
        limit = alpha * np.array([box[2] - box[0], box[3] - box[1]])
        near = (np.abs(predicted[row, :, :2] - true[row, :, :2]) < limit).all(axis=1)
        hits[row] = near & counted[row] & is_present(predicted[row])
    return hits, counted


def pckh(predicted: Joints, true: Joints, *, alpha: float = 0.5) -> float:
    """The share 0..1 of true joints that were found, of two (N, 18, 3); NaN when none is counted."""
    hits, counted = pckh_hits(predicted, true, alpha=alpha)
    return float(hits.sum() / counted.sum()) if counted.any() else float("nan")
