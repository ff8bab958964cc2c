"""How right joints and label maps are."""

import numpy as np
from numpy.typing import NDArray

from pipeline.people import labels, skeleton

HEAD = (skeleton.NOSE, skeleton.NECK, skeleton.RIGHT_EYE, skeleton.LEFT_EYE, skeleton.RIGHT_EAR, skeleton.LEFT_EAR)


def right_joints(found: skeleton.Joints, true: skeleton.Joints, alpha: float = 0.5) -> NDArray[np.float64]:
    """(18,) 1 where a true joint was found in the right place, 0 where not, nan where there is none to find.

    As PATN's PCKh: the head box spans the true nose, neck, eyes and ears; a joint is right when |dx| < alpha * width
    and |dy| < alpha * height of that box. All nan when the box has no extent.
    """
    there = skeleton.is_present(true)
    head = true[[joint for joint in HEAD if there[joint]], :2]
    size = head.max(axis=0) - head.min(axis=0) if len(head) else np.zeros(2)
    if not (size > 0).all():
        return np.full(len(skeleton.JOINTS), np.nan)
    near = (np.abs(found[:, :2] - true[:, :2]) < alpha * size).all(axis=1) & skeleton.is_present(found)
    return np.where(there, near.astype(np.float64), np.nan)


def distances(found: skeleton.Joints, true: skeleton.Joints) -> NDArray[np.float64]:
    """(18,) pixels between a true joint and the one found, inf where none was found, nan where there is none."""
    away = np.hypot(*(found[:, :2] - true[:, :2]).T.astype(np.float64))
    return np.where(skeleton.is_present(true), np.where(skeleton.is_present(found), away, np.inf), np.nan)


def confusion(found: labels.LabelMap, true: labels.LabelMap) -> NDArray[np.int64]:
    """(8, 8) counts of pixels, row = true label, column = found label."""
    count = len(labels.LABELS)
    return np.bincount(true.astype(np.int64).ravel() * count + found.ravel(), minlength=count**2).reshape(count, count)


def overlaps(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(8,) intersection over union of each label, nan for a label that is neither there nor found."""
    both = np.diag(counts).astype(np.float64)
    either = counts.sum(axis=0) + counts.sum(axis=1) - both
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
