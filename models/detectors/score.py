"""How good the two networks are on pictures that neither was trained on."""

from typing import Any

import numpy as np

from models.detectors import accuracy
from models.detectors.examples import Examples
from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector, choose_person
from pipeline.people import labels, skeleton

# A joint of a rendered person scores 1 when it is seen and 0.5 when the body hides it.
SEEN = 0.75


def score_pose(detector: PoseDetector, examples: Examples) -> dict[str, Any]:
    """Shares of the seen joints: `pckh` right as PATN counts, within 5 and 10 pixels, found at all; people per picture."""
    people = detector.detect(list(examples.images))
    right, away, several, nobody = [], [], 0, 0
    for row, found in enumerate(people):
        main, others = choose_person(found, examples.images.shape[2], examples.images.shape[1])
        several, nobody = several + (others > 0), nobody + (main is None)
        joints = skeleton.empty() if main is None else main.joints
        true = examples.joints[row]
        true = np.where((true[:, 2] >= SEEN)[:, None], true, np.asarray(skeleton.MISSING, np.float32))
        right.append(accuracy.right_joints(joints, true))
        away.append(accuracy.distances(joints, true))
    distances = np.array(away)
    near = distances[~np.isnan(distances)]
    return {
        "pictures": len(examples),
        "joints": int(near.size),
        "pckh": _round(np.nanmean(right)),
        "within_5_px": _round((near <= 5).mean()),
        "within_10_px": _round((near <= 10).mean()),
        "found": _round(np.isfinite(near).mean()),
        "nobody": nobody,
        "several": several,
    }


def score_parsing(parser: Parser, examples: Examples) -> dict[str, Any]:
    """`miou` over the labels that occur, `accuracy` of pixels, and the overlap of each label."""
    rows = np.flatnonzero(examples.has_labels)
    found = parser.parse(list(examples.images[rows]))
    pairs = zip(found, examples.labels[rows], strict=True)
    counts = sum((accuracy.confusion(a, b) for a, b in pairs), np.zeros((len(labels.LABELS),) * 2, np.int64))
    each = accuracy.overlaps(counts)
    return {
        "pictures": len(rows),
        "miou": _round(np.nanmean(each)),
        "accuracy": _round(np.diag(counts).sum() / counts.sum()),
        "iou": {name: _round(value) for name, value in zip(labels.LABELS, each, strict=True) if not np.isnan(value)},
    }


def _round(value: Any) -> float:
    return round(float(value), 4)
