"""How well joints and label maps were extracted where the truth is known: PCKh, mean IoU, intervals over persons."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from models.metrics.intervals import Interval, bootstrap_mean
from pipeline.people.boxes import pckh_hits
from pipeline.people.labels import LABELS, LabelMap
from pipeline.people.skeleton import Joints

# Rendered joints that the camera sees have this score, hidden ones a lower one.
SEEN = 1.0


def score_joints(found: Joints, true: Joints, persons: Sequence[str]) -> dict[str, float]:
    """PCKh@0.5 over the joints (N, 18, 3) that the camera sees, 0..1, with its interval."""
    hits, counted = pckh_hits(found, true, alpha=0.5)
    counted &= true[..., 2] >= SEEN
    groups = np.repeat(np.asarray(persons), counted.sum(1))
    return _as_numbers(bootstrap_mean(hits[counted].astype(np.float64), list(groups)))


def score_labels(
    found: Sequence[LabelMap], true: Sequence[LabelMap], persons: Sequence[str], *, draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Mean IoU over the classes that occur in the true maps, 0..1, with its interval; `iou_<label>` for each class."""
    names, index = np.unique(np.asarray(persons), return_inverse=True)
    confusion = np.zeros((len(names), len(LABELS), len(LABELS)))
    for person, ours, theirs in zip(index, found, true, strict=True):
        cells = np.bincount(theirs.astype(np.int64).ravel() * len(LABELS) + ours.ravel(), minlength=len(LABELS) ** 2)
        confusion[person] += cells.reshape(len(LABELS), len(LABELS))
    picked = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    means = [np.nanmean(_iou(confusion[rows].sum(0))) for rows in picked]
    low, high = np.percentile(means, [2.5, 97.5])
    each = _iou(confusion.sum(0))
    interval = Interval(float(np.nanmean(each)), float(low), float(high), len(found), len(names))
    return _as_numbers(interval) | {
        f"iou_{label}": round(float(value), 4) for label, value in zip(LABELS, each, strict=True) if np.isfinite(value)
    }


def _iou(confusion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8,) intersection over union of every class; NaN for one that does not occur in truth."""
    both, true = np.diag(confusion), confusion.sum(1)
    union = true + confusion.sum(0) - both
    return np.where(true > 0, both / np.maximum(union, 1), np.nan)


def _as_numbers(interval: Interval) -> dict[str, float]:
    return {key: round(value, 4) for key, value in asdict(interval).items()}
