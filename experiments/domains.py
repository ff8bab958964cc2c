"""How networks draw people of a folder that they were not trained for: what is kept, what is followed, what is lost.

Every person is drawn in the own pose and in others. In the own pose the person's picture is the truth; in another one
it is so only where the folder has the same person in it, by the names (`pipeline.sources.names`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.tables import Cell, Table, cell, holds_zero, said, verdict
from models.metrics.intervals import Interval, bootstrap_mean
from models.metrics.people import score_likeness, score_poses
from models.metrics.pictures import score_picture
from pipeline.people.labels import BACKGROUND, LABELS
from pipeline.pictures import Bytes
from pipeline.sources.names import person_and_pose, without_suffix
from stages.measuring import Sight
from stages.photograph import Photograph

SOURCE, POSE = "the person's picture as it is", "the picture of the pose as it is"
PRETRAINED, CHARACTERS = "pretrained", "fine-tuned on drawn characters"

OWN = "SSIM in the own pose"
TARGET = "SSIM, other poses of the same person"
AWAY = "joints, px away, other poses"
NEAR = "PCKh, other poses"
LOOKS = "likeness to the person, other poses"
FOUND = "score of the person, other poses"

# A part that covers less of a picture is a slip of the parser's; one that is found again by less than this is lost.
_SHOWN_SHARE = 0.002
_LOST = 0.25
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """People of a folder and the pairs (person, pose) that are drawn, the own poses among them."""

    people: Sequence[Photograph]
    places: Sequence[tuple[int, int]]

    @property
    def names(self) -> list[str]:
        """The picture of the person, by pair: what intervals are drawn over."""
        return [self.people[person].name for person, _ in self.places]

    @property
    def is_own(self) -> NDArray[np.bool_]:
        """Where a person is asked for in the own pose."""
        return np.array([person == pose for person, pose in self.places])

    @property
    def has_target(self) -> NDArray[np.bool_]:
        """Where the picture of another pose shows the same person."""
        same = [who(self.people[person]) == who(self.people[pose]) for person, pose in self.places]
        return np.array(same) & ~self.is_own


def who(photograph: Photograph) -> str:
    """The person, by the picture's name."""
    return person_and_pose(without_suffix(photograph.name))[0]


def choose_pairs(people: Sequence[Photograph], poses: int) -> Pairs:
    """Each person in the own pose, then in `poses` others: of the same person where the folder has them."""
    places = []
    for place, photograph in enumerate(people):
        others = [other for other in range(len(people)) if other != place]
        own = [other for other in others if who(people[other]) == who(photograph)] or others
        spread = [own[(place + step * max(1, len(own) // poses)) % len(own)] for step in range(poses)] if own else []
        places += [(place, place), *((place, other) for other in dict.fromkeys(spread))]
    return Pairs(people, places)


def measure(pictures: Sequence[Bytes], sight: Sight, looks: Values, pairs: Pairs) -> dict[str, Values]:
    """Every score of every pair, NaN where it has no meaning; `looks` (M, D) are features of the persons themselves."""
    asked = np.stack([pairs.people[pose].joints for _, pose in pairs.places])
    poses = score_poses(sight.joints, asked, list(sight.scores))
    similar = np.full(len(pairs.places), np.nan)
    for row in map(int, np.flatnonzero(pairs.is_own | pairs.has_target)):
        target = pairs.people[pairs.places[row][1]]
        scores = score_picture(pictures[row], target.image, target.parsing != BACKGROUND)
        similar[row] = scores["ssim_mask"]
    other = ~pairs.is_own
    return {
        OWN: np.where(pairs.is_own, similar, np.nan),
        TARGET: np.where(pairs.has_target, similar, np.nan),
        AWAY: np.where(other, poses["joint_error_px"], np.nan),
        NEAR: np.where(other, poses["pckh"], np.nan),
        FOUND: np.where(other, poses["ds_pose"], np.nan),
        LOOKS: np.where(other, score_likeness(sight.person, looks), np.nan),
    }


def tabulate(scores: dict[str, dict[str, Values]], pairs: Pairs) -> Table:
    """The means with intervals over the people's pictures; what is equal by what it is has no number."""
    table: Table = {}
    for name, columns in scores.items():
        given = {SOURCE: (OWN, LOOKS), POSE: (OWN, TARGET)}.get(name, ())
        table[name] = {
            column: "the same picture" if column in given else cell(bootstrap_mean(values, pairs.names))
            for column, values in columns.items()
            if np.isfinite(values).any()
        }
    return table


def parts_of(sights: dict[str, Sight], drawn: Mapping[str, Sequence[Bytes]], pairs: Pairs) -> Table:
    """Part by part, in the own poses: how much of it is found again (IoU), and how far its mean colour is off."""
    table: Table = {}
    rows = [int(row) for row in np.flatnonzero(pairs.is_own)]
    for label, part in enumerate(LABELS):
        shown = [row for row in rows if (_truth(pairs, row) == label).mean() >= _SHOWN_SHARE]
        if label == BACKGROUND or not shown:
            continue
        names = [pairs.names[row] for row in shown]
        columns: dict[str, Cell] = {"pictures": float(len(shown))}
        for which in drawn:
            found = [_iou(sights[which].maps[row] == label, _truth(pairs, row) == label) for row in shown]
            off = [_colour_error(drawn[which][row], pairs, row, label) for row in shown]
            columns[f"IoU, {which}"] = cell(_mean(found, names))
            columns[f"colour off, levels, {which}"] = cell(_mean(off, names))
        table[part.replace("_", " ")] = columns
    return table


def _truth(pairs: Pairs, row: int) -> NDArray[np.uint8]:
    return pairs.people[pairs.places[row][1]].parsing


def _iou(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float((found & true).sum() / (found | true).sum())


def _colour_error(picture: Bytes, pairs: Pairs, row: int, label: int) -> float:
    """Mean absolute difference of the mean colours where the part is in the person's picture, 0..255."""
    photograph = pairs.people[pairs.places[row][1]]
    shown = photograph.parsing == label
    return float(np.abs(picture[shown].mean(0) - photograph.image[shown].mean(0)).mean())


def _mean(values: Sequence[float], names: Sequence[str]) -> Interval:
    return bootstrap_mean(np.array(values), names)


def read_scores(domain: str, scores: dict[str, dict[str, Values]], parts: Table, pairs: Pairs) -> list[str]:
    """Sentences that follow from the numbers."""

    def minus(one: str, other: str, column: str) -> Interval:
        return bootstrap_mean(scores[one][column] - scores[other][column], pairs.names)

    told = []
    pose, gone = minus(PRETRAINED, SOURCE, AWAY), minus(PRETRAINED, POSE, LOOKS)
    if np.isfinite(pose.value):
        follows = "is not surely followed" if holds_zero(pose) else ("is followed" if pose.value < 0 else "is missed")
        told.append(
            f"{domain}: the pose {follows}: with the pretrained weights joints are {said(pose, signed=True)} px "
            "further from where they were asked for than in the person's own picture (below 0: nearer)."
        )
        if np.isfinite(gone.value) and not pairs.has_target.any():
            kept = "no more alike than" if holds_zero(gone) or gone.value < 0 else "more alike than"
            told.append(
                f"{domain}: whoever is drawn is {kept} the other person whose pose it is (likeness to the person, "
                f"minus that of the other: {verdict(gone)})."
            )
    if np.isfinite((real := minus(PRETRAINED, SOURCE, TARGET)).value):
        told.append(
            f"{domain}: against the picture of the same person in that pose, the pretrained network's SSIM in the mask "
            f"minus that of the picture left as it is: {verdict(real)}."
        )
    own = minus(CHARACTERS, PRETRAINED, OWN)
    told.append(f"{domain}: fine-tuning on the drawn characters changes SSIM in the own pose by {verdict(own)}.")
    return [*told, f"{domain}: {_lost(parts)}."]


def _lost(parts: Table) -> str:
    """Which parts the pretrained network loses, in words."""

    def iou(part: str) -> float:
        found = parts[part][f"IoU, {PRETRAINED}"]
        return float(found["value"] if isinstance(found, dict) else found)

    lost = [f"{part} ({iou(part):.2f})" for part in sorted(parts, key=iou) if iou(part) < _LOST]
    if not lost:
        return f"no part is lost; least is found again of {min(parts, key=iou)} ({min(map(iou, parts)):.2f})"
    return f"what fails: found again by less than {_LOST} (IoU, own pose, pretrained) are {', '.join(lost)}"
