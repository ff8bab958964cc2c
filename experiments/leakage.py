"""Leakage: what changes where when one part of a person is another person's.

Shapes: M exchanges, K parts; the second K is the region that is looked at.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.codes import batch_of, codes_of
from experiments.estimators import bootstrap, own_share, region_changes
from experiments.settings import Settings
from experiments.tables import Table, cell
from experiments.unseen import Unseen
from models.data import to_levels
from models.method import Method
from models.metrics.intervals import Interval, bootstrap_mean
from pipeline.people.labels import LABELS

Values = NDArray[np.float64]

NAMES = tuple(label.replace("_", " ") for label in LABELS)
EXCHANGES = 64  # pairs of people whose parts are exchanged
_SHOWN = 0.002  # a smaller share of the picture is no part to exchange
_DRAWS = 300


def leakage(found: Settings, method: Method, people: Unseen) -> tuple[Values, list[str]]:
    """(M, K, K) change in region j, in grey levels, when part i is taken from another person, and whose picture it is.

    NaN where either of the two does not show part i, or the picture does not show region j.
    """
    dice = np.random.default_rng(found.seed)
    ours = dice.choice(len(people), EXCHANGES, replace=False)
    persons = np.array(people.persons)
    theirs = np.array([dice.choice(np.flatnonzero(persons != persons[row])) for row in ours])
    changes = np.full((EXCHANGES, len(LABELS), len(LABELS)), np.nan)
    for place, (row, other) in enumerate(zip(ours, theirs, strict=True)):
        both = codes_of(method, people, np.array([row, other]))
        shown = [
            label
            for label in range(len(LABELS))
            if all((people.parsing(each) == label).mean() > _SHOWN for each in (row, other))
        ]
        mixed = torch.from_numpy(np.repeat(both[:1], len(shown) + 1, 0)).float()
        for number, label in enumerate(shown, start=1):
            mixed[number, label] = torch.from_numpy(both[1, label]).float()
        own = np.repeat(row, len(mixed))
        drawn = to_levels(method.generate(batch_of(people, own, own), mixed)).permute(0, 2, 3, 1).numpy()
        for number, label in enumerate(shown, start=1):
            changes[place, label] = region_changes(drawn[0], drawn[number], people.parsing(row), len(LABELS))
    return changes, list(persons[ours])


def leak_table(found: Settings, changes: Values, owners: list[str]) -> Table:
    """The mean change by part exchanged and region, and each part's share in its own region."""
    table: Table = {}
    for i, part in enumerate(NAMES):
        each = [
            bootstrap_mean(changes[:, i, j], owners, draws=found.bootstrap, seed=found.seed) for j in range(len(NAMES))
        ]
        table[part] = {name: cell(value) for name, value in zip(NAMES, each, strict=True)}
        table[part]["share in its own region"] = cell(own_part(found, changes, owners, i))
    return table


def own_part(found: Settings, changes: Values, owners: list[str], part: int) -> Interval:
    """The part's own share with its interval; an even leak would have one in eight."""
    rows = np.flatnonzero(np.isfinite(changes[:, part]).any(1))
    if not len(rows):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    kept = changes[rows]

    def share(drawn: NDArray[np.int64]) -> float:
        with np.errstate(invalid="ignore"):
            counts = np.isfinite(kept[drawn]).sum(0)
            means = np.where(counts > 0, np.nansum(kept[drawn], 0) / np.maximum(counts, 1), np.nan)
            return float(own_share(means)[part])

    return bootstrap(share, [owners[row] for row in rows], draws=min(found.bootstrap, _DRAWS), seed=found.seed)


def mean_changes(changes: Values) -> Values:
    """(K, K) means over the exchanges that show both part and region; NaN where none does."""
    counts = np.isfinite(changes).sum(0)
    return np.where(counts > 0, np.nansum(changes, 0) / np.maximum(counts, 1), np.nan)
