"""Stage score: how good the two networks are on pictures that neither was trained on.

Run as `python -m models.detectors.score`.
"""

import json
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detectors import examples, settings, views
from models.detectors.examples import Examples, HeldOut
from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector, choose_person
from models.metrics import extraction
from pipeline.people import skeleton

NEAR_PX = (5, 10)

# Held-out photographs, the same cut and lit as in a shop, and frames of held-out clips.
PHOTOGRAPHS = ("photograph", "photograph_shop", "clip")


def score_pose(detector: PoseDetector, pictures: Examples) -> dict[str, Any]:
    """PCKh@0.5 with its interval, and the shares of the seen joints found within 5 and 10 pixels and found at all.

    `nobody` and `several` count the pictures where the detector sees no person, or others of comparable size; `views`
    repeats the shares for whole bodies, half ones and backs.
    """
    height, width = pictures.images.shape[1:3]
    chosen = [choose_person(people, width, height) for people in detector.detect(list(pictures.images))]
    found = np.stack([skeleton.empty() if main is None else main.joints for main, _ in chosen])
    return {
        "pictures": len(pictures),
        "pckh": extraction.score_joints(found, pictures.joints, _persons(pictures)),
        **_shares(found, pictures.joints),
        "nobody": sum(main is None for main, _ in chosen),
        "several": sum(others > 0 for _, others in chosen),
        "views": {
            view: {"pictures": len(rows), **_shares(found[rows], pictures.joints[rows])}
            for view, rows in _rows_of_views(pictures)
        },
    }


def score_parsing(parser: Parser, pictures: Examples) -> dict[str, Any]:
    """Mean IoU with its interval and that of each label, and the share of pixels with the right label; `views` too."""
    kept = pictures.choose(np.flatnonzero(pictures.has_labels))
    found = np.stack(parser.parse(list(kept.images)))
    by_view = {}
    for view, rows in _rows_of_views(kept):
        part = extraction.score_labels(
            list(found[rows]), list(kept.labels[rows]), [kept.names[row] for row in rows], draws=1
        )
        accuracy = _round((found[rows] == kept.labels[rows]).mean())
        by_view[view] = {"pictures": len(rows), "miou": part["value"], "accuracy": accuracy}
    return {
        "pictures": len(kept),
        "miou": extraction.score_labels(list(found), list(kept.labels), _persons(kept)),
        "accuracy": _round((found == kept.labels).mean()),
        "views": by_view,
    }


def _rows_of_views(pictures: Examples) -> list[tuple[str, NDArray[np.intp]]]:
    """Each view that occurs and the rows that show it."""
    all_views = views.views_of(pictures.joints)
    rows = [(view, np.flatnonzero(all_views == view)) for view in views.VIEWS]
    return [(view, found) for view, found in rows if found.size]


def _shares(found: skeleton.Joints, true: skeleton.Joints) -> dict[str, Any]:
    """How many joints are seen, and the shares of them that were found near, and found at all."""
    away = _distances(found, true)
    near = {f"within_{limit}_px": _round((away <= limit).mean()) for limit in NEAR_PX}
    return {"joints": len(away), **near, "found": _round(np.isfinite(away).mean())}


def _distances(found: skeleton.Joints, true: skeleton.Joints) -> NDArray[np.float64]:
    """Pixels from every seen true joint to the one found, infinite where none was."""
    away = np.linalg.norm(found[..., :2].astype(np.float64) - true[..., :2], axis=-1)
    away = np.where(skeleton.is_present(found), away, np.inf)
    return away[skeleton.is_present(true) & (true[..., 2] >= extraction.SEEN)]


def _persons(pictures: Examples) -> list[str]:
    """Whom each picture shows: a rendered one is named after its person and the number of its pose."""
    return [
        name.rpartition("_")[0] if kind not in PHOTOGRAPHS or kind == "clip" else name
        for name, kind in zip(pictures.names, pictures.kinds, strict=True)
    ]


def _round(value: Any) -> float:
    return round(float(value), 4)


def held_out_photographs(photographs: Examples, held_out: HeldOut) -> Examples:
    """The photographs never trained on, of three kinds: each, each as a shop would show it, and frames of clips."""
    rows = np.array([row for row, name in enumerate(photographs.names) if name in held_out], np.int64)
    of_clips = np.array([photographs.names[row].startswith(held_out.clips) for row in rows], np.bool_)
    single, clips = photographs.choose(rows[~of_clips]), photographs.choose(rows[of_clips])
    clips = replace(clips, kinds=["clip"] * len(clips))
    return examples.join([single, views.as_in_a_shop(single, "photograph_shop"), clips])


def main() -> None:
    """Write metrics.json: the scores of both networks on each kind of held-out picture."""
    params, here = settings.read(), settings.HERE
    real = held_out_photographs(examples.read(here / "data/photographs.h5"), params.held_out)
    everything = examples.join([examples.read(here / "data/held_out.h5"), real])
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
