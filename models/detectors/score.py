"""Stage score: how good the two networks are on pictures that neither was trained on.

Run as `python -m models.detectors.score`.
"""

import json
from typing import Any

import numpy as np

from models.detectors import accuracy, examples, settings
from models.detectors.examples import Examples
from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector, choose_person
from pipeline.people import labels, skeleton

# A joint of a rendered person scores 1 when it is seen and 0.5 when the body hides it.
SEEN = 0.75


def score_pose(detector: PoseDetector, pictures: Examples) -> dict[str, Any]:
    """Shares of the seen joints: right as PATN counts (`pckh`), within 5 and 10 pixels, found at all.

    `nobody` and `several` count the pictures where the detector sees no person, or others of comparable size.
    """
    people = detector.detect(list(pictures.images))
    right, away, several, nobody = [], [], 0, 0
    for row, found in enumerate(people):
        main, others = choose_person(found, pictures.images.shape[2], pictures.images.shape[1])
        several, nobody = several + (others > 0), nobody + (main is None)
        joints = skeleton.empty() if main is None else main.joints
        true = pictures.joints[row]
        true = np.where((true[:, 2] >= SEEN)[:, None], true, np.asarray(skeleton.MISSING, np.float32))
        right.append(accuracy.right_joints(joints, true))
        away.append(accuracy.distances(joints, true))
    distances = np.array(away)
    near = distances[~np.isnan(distances)]
    return {
        "pictures": len(pictures),
        "joints": int(near.size),
        "pckh": _round(np.nanmean(right)),
        "within_5_px": _round((near <= 5).mean()),
        "within_10_px": _round((near <= 10).mean()),
        "found": _round(np.isfinite(near).mean()),
        "nobody": nobody,
        "several": several,
    }


def score_parsing(parser: Parser, pictures: Examples) -> dict[str, Any]:
    """`miou` over the labels that occur, `accuracy` of pixels, and the overlap of each label."""
    rows = np.flatnonzero(pictures.has_labels)
    found = parser.parse(list(pictures.images[rows]))
    pairs = zip(found, pictures.labels[rows], strict=True)
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


def main() -> None:
    """Write metrics.json: the scores of both networks on each kind of held-out picture."""
    params, here = settings.read(), settings.HERE
    real = examples.read(here / "data/photographs.h5")
    kept = [row for row, name in enumerate(real.names) if examples.is_held_out(name, params.held_out_share)]
    everything = examples.join([examples.read(here / "data/held_out.h5"), real.choose(np.array(kept, np.int64))])
    detector, parser = PoseDetector(here / "weights/pose.safetensors"), Parser(here / "weights/parsing.safetensors")
    scores: dict[str, dict[str, Any]] = {"pose": {}, "parsing": {}}
    for kind in sorted(set(everything.kinds)):
        part = everything.choose(np.flatnonzero(np.array(everything.kinds) == kind))
        scores["pose"][kind] = score_pose(detector, part)
        scores["parsing"][kind] = score_parsing(parser, part)
    (here / "metrics.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
