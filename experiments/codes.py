"""Codes of pictures, what is known of these, and how much of it the codes tell.

Shapes: N pictures, K parts, S numbers of a code, T numbers of what is told.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

from experiments.estimators import (
    above_chance,
    block_permutations,
    bootstrap,
    explained,
    fit_probe,
)
from experiments.settings import Settings
from experiments.unseen import Unseen
from models.data import Batch, Draw, Pairs, Pictures, to_batch
from models.method import Method
from models.metrics.intervals import Interval
from pipeline.people.labels import PANTS, SKIRT, UPPER_CLOTHES
from pipeline.people.skeleton import LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

AXES = 2  # principal axes of a code, and of what is told, that mutual information is estimated between
HELD_OUT = 3  # one person in so many is held out from the probes
BATCH = 8


@dataclass(frozen=True)
class Told:
    """What is known of each picture: (N, T) numbers, and which pictures show it."""

    values: Values
    is_shown: NDArray[np.bool_]


def codes_of(method: Method, pictures: Pictures, rows: Rows) -> Values:
    """(N, K, S) codes of the parts in the pictures."""
    found = [
        method.part_codes(batch_of(pictures, chunk, chunk)) for chunk in np.array_split(rows, -(-len(rows) // BATCH))
    ]
    return torch.cat(found).double().numpy()


def batch_of(pictures: Pictures, sources: Rows, targets: Rows) -> Batch:
    """A batch of pairs of rows."""
    pairs = Pairs(pictures, np.column_stack([sources, targets]).astype(np.int32))
    return to_batch(default_collate([pairs[Draw(place)] for place in range(len(pairs))]), torch.device("cpu"))


def attributes(people: Unseen) -> dict[str, Told]:
    """Colour of the upper and the lower garment, skirt or pants, turn, and posture of every picture."""
    rows = range(len(people))
    upper = np.array([_colour(people, row, (UPPER_CLOTHES,)) for row in rows])
    lower = np.array([_colour(people, row, (PANTS, SKIRT)) for row in rows])
    counts = np.array([[(people.parsing(row) == label).sum() for label in (SKIRT, PANTS)] for row in rows])
    turns = np.deg2rad(people.yaws_deg)
    everywhere = np.ones(len(people), bool)
    return {
        "colour of the upper garment": Told(upper, np.isfinite(upper).all(1)),
        "colour of the lower garment": Told(lower, np.isfinite(lower).all(1)),
        "skirt or pants": Told((counts[:, :1] > counts[:, 1:]).astype(float), counts.sum(1) > 0),
        "turn": Told(np.column_stack([np.sin(turns), np.cos(turns)]), everywhere),
        "posture": Told(_posture(people.keypoints), everywhere),
    }


def _colour(people: Unseen, row: int, labels: tuple[int, ...]) -> Values:
    is_there = np.isin(people.parsing(row), labels)
    return np.asarray(people.image(row)[is_there].mean(0)) if is_there.sum() > 50 else np.full(3, np.nan)


def _posture(joints: NDArray[np.float32]) -> Values:
    """(N, 6) principal numbers of the joints relative to the middle of the torso, in its lengths."""
    corners = joints[:, [LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP], :2].astype(float)
    length = np.linalg.norm(corners[:, :2].mean(1) - corners[:, 2:].mean(1), axis=1)
    places = (joints[..., :2] - corners.mean(1, keepdims=True)) / np.maximum(length, 1)[:, None, None]
    return principal(np.where(joints[..., :1] >= 0, places, 0).reshape(len(joints), -1), 6)


def principal(values_ND: Values, axes: int) -> Values:
    """(N, axes) coordinates along the axes of the most variance."""
    centred = values_ND - values_ND.mean(0)
    left, powers, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((left * powers)[:, :axes])


def probe(found: Settings, codes_ND: Values, told: Told, persons: list[str]) -> Interval:
    """Share of the variance among held-out people that a linear read-out of the code explains."""
    names = sorted(set(persons))
    is_tested = np.array([names.index(person) % HELD_OUT == 0 for person in persons])
    learn, test = told.is_shown & ~is_tested, told.is_shown & is_tested
    groups = np.array(persons)
    read = fit_probe(codes_ND[learn], told.values[learn], list(groups[learn]))
    truth, answer, mean = told.values[test], read(codes_ND[test]), told.values[learn].mean(0)
    return bootstrap(
        lambda rows: explained(truth[rows], answer[rows], mean),
        list(groups[test]),
        draws=found.bootstrap,
        seed=found.seed,
    )


def information(found: Settings, codes_ND: Values, told: Told, persons: list[str]) -> tuple[float, float, float]:
    """Nats that the first axes of a code share with those of what is told, the mean by chance, and p."""
    groups = np.array(persons)
    whole = [name for name in sorted(set(persons)) if told.is_shown[groups == name].all()]
    rows = np.isin(groups, whole)
    permutations = block_permutations(list(groups[rows]), draws=found.draws, seed=found.seed)
    return above_chance(principal(codes_ND[rows], AXES), principal(told.values[rows], AXES), permutations)
