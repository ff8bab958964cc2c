"""95 % bootstrap intervals of a mean. Pairs of one person are not independent, so persons are drawn, not pairs.

Of a few persons nothing can be drawn. Then target pictures are: such an interval speaks of these persons alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Fewer persons than this are not drawn from.
ENOUGH_PERSONS = 5


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval over `n` values in `groups` groups."""

    value: float
    low: float
    high: float
    n: int
    groups: int


def choose_groups(persons: Sequence[str], targets: Sequence[str]) -> tuple[str, Sequence[str]]:
    """What is drawn, `persons` or `pictures`, and the group of every pair."""
    return ("persons", persons) if len(set(persons)) >= ENOUGH_PERSONS else ("pictures", targets)


def bootstrap_mean(values: NDArray[np.float64], groups: Sequence[str], *, draws: int = 1000, seed: int = 0) -> Interval:
    """The mean of `values` with the percentile interval of a cluster bootstrap over `groups` (Field, Welsh 2007).

    NaN values are left out; with one group there is nothing to resample, and the interval is the mean alone.
    """
    values = np.asarray(values, np.float64)
    kept = np.isfinite(values)
    values, names = values[kept], np.asarray(groups)[kept]
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    labels, index = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    picked = np.random.default_rng(seed).integers(0, len(labels), (draws, len(labels)))
    means = sums[picked].sum(1) / counts[picked].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high), len(values), len(labels))
