"""Stage score: how good the two networks are on pictures that neither was trained on.

Run as `python -m models.detectors.score`.
"""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detectors import examples, settings
from models.detectors.examples import Examples
from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector, choose_person
from models.metrics import extraction
from pipeline.people import skeleton

NEAR_PX = (5, 10)


def score_pose(detector: PoseDetector, pictures: Examples) -> dict[str, Any]:
    """PCKh@0.5 with its interval, and the shares of the seen joints found within 5 and 10 pixels and found at all.

    `nobody` and `several` count the pictures where the detector sees no person, or others of comparable size.
    """
    height, width = pictures.images.shape[1:3]
    chosen = [choose_person(people, width, height) for people in detector.detect(list(pictures.images))]
    found = np.stack([skeleton.empty() if main is None else main.joints for main, _ in chosen])
    away = _distances(found, pictures.joints)
    return {
        "pictures": len(pictures),
        "pckh": extraction.score_joints(found, pictures.joints, _persons(pictures)),
        **{f"within_{limit}_px": _round((away <= limit).mean()) for limit in NEAR_PX},
        "found": _round(np.isfinite(away).mean()),
        "nobody": sum(main is None for main, _ in chosen),
        "several": sum(others > 0 for _, others in chosen),
    }


def score_parsing(parser: Parser, pictures: Examples) -> dict[str, Any]:
    """Mean IoU with its interval and that of each label, and the share of pixels with the right label."""
    kept = pictures.choose(np.flatnonzero(pictures.has_labels))
    found = parser.parse(list(kept.images))
    return {
        "pictures": len(kept),
        "miou": extraction.score_labels(found, list(kept.labels), _persons(kept)),
        "accuracy": _round((np.stack(found) == kept.labels).mean()),
    }


def _distances(found: skeleton.Joints, true: skeleton.Joints) -> NDArray[np.float64]:
    """Pixels from every seen true joint to the one found, infinite where none was."""
    away = np.linalg.norm(found[..., :2].astype(np.float64) - true[..., :2], axis=-1)
    away = np.where(skeleton.is_present(found), away, np.inf)
    return away[skeleton.is_present(true) & (true[..., 2] >= extraction.SEEN)]


def _persons(pictures: Examples) -> list[str]:
    """Whom each picture shows: a rendered one is named after its person and the number of its pose."""
    return [
        name if kind == "photograph" else name.rpartition("_")[0]
        for name, kind in zip(pictures.names, pictures.kinds, strict=True)
    ]


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
        if part.has_labels.any():
            scores["parsing"][kind] = score_parsing(parser, part)
    (here / "metrics.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
