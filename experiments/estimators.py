"""What codes say about what: ridge probes, mutual information, effective rank, and how far changes leak.

Shapes: N samples, D numbers of a code, T numbers of what is told, K parts, G groups (persons).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from models.metrics.intervals import Interval

Values = NDArray[np.float64]

NEIGHBOURS = 3  # of the estimator of mutual information
_RIDGES = tuple(10.0**power for power in range(-3, 4))


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[str], *, draws: int, seed: int
) -> Interval:
    """The statistic of all samples, with the interval of drawing whole groups; it is given rows of samples."""
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(index == label) for label in range(len(labels))]
    dice = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([members[label] for label in dice.integers(len(labels), size=len(labels))]))
        for _ in range(draws)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(statistic(np.arange(len(index))), float(low), float(high), len(index), len(labels))


def jackknife(statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[str]) -> Interval:
    """The statistic with 1.96 standard errors of leaving out one group at a time.

    For what a bootstrap biases because it repeats samples, as the rank of a matrix.
    """
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    value = statistic(np.arange(len(index)))
    without = np.array([statistic(np.flatnonzero(index != label)) for label in range(len(labels))])
    count = len(labels)
    error = (
        float(np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())) if count > 1 else float("nan")
    )
    return Interval(value, value - 1.96 * error, value + 1.96 * error, len(index), count)


def rank_correlation(one_N: Values, other_N: Values) -> float:
    """Spearman's: of the ranks, ties getting their mean."""
    from scipy.stats import rankdata

    if np.ptp(one_N) == 0 or np.ptp(other_N) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one_N), rankdata(other_N))[0, 1])


def effective_rank(codes_ND: Values) -> float:
    """Exp of the entropy of the normalised eigenvalues of the covariance (Roy and Vetterli 2007): 1 to D."""
    shares = spectrum(codes_ND)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def spectrum(codes_ND: Values) -> Values:
    """Shares of the variance along the principal axes, the largest first; their sum is 1, or 0 without any variance."""
    centred = codes_ND - codes_ND.mean(0)
    power = np.square(np.linalg.svd(centred, compute_uv=False))
    total = power.sum()
    return np.asarray(power / total) if total > 1e-20 else np.zeros_like(power)


@dataclass(frozen=True)
class Probe:
    """A linear read-out with a ridge, on standardised numbers."""

    mean: Values
    deviation: Values
    weights: Values  # (D + 1, T)

    def __call__(self, codes_ND: Values) -> Values:
        """(N, T)."""
        standard = (codes_ND - self.mean) / self.deviation
        return np.asarray(np.column_stack([standard, np.ones(len(standard))]) @ self.weights)


def fit_probe(codes_ND: Values, told_NT: Values, groups: Sequence[str]) -> Probe:
    """The ridge that predicts best when one of five folds of groups is left out, fitted to all."""
    names = np.unique(np.asarray(groups))
    fold_N = np.searchsorted(names, np.asarray(groups)) % 5
    losses = []
    for ridge in _RIDGES:
        apart = [
            np.square(
                _solve(codes_ND[fold_N != fold], told_NT[fold_N != fold], ridge)(codes_ND[fold_N == fold])
                - told_NT[fold_N == fold]
            ).sum()
            for fold in np.unique(fold_N)
        ]
        losses.append(sum(apart))
    return _solve(codes_ND, told_NT, _RIDGES[int(np.argmin(losses))])


def _solve(codes_ND: Values, told_NT: Values, ridge: float) -> Probe:
    mean, deviation = codes_ND.mean(0), codes_ND.std(0) + 1e-8
    inputs = np.column_stack([(codes_ND - mean) / deviation, np.ones(len(codes_ND))])
    penalty = ridge * len(codes_ND) * np.eye(inputs.shape[1])
    penalty[-1, -1] = 0
    return Probe(mean, deviation, np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ told_NT))


def explained(told_NT: Values, said_NT: Values, mean_T: Values) -> float:
    """Share of the squared distance from `mean` (of the training samples) that is explained: at most 1."""
    return float(1 - np.square(told_NT - said_NT).sum() / np.square(told_NT - mean_T).sum())


def mutual_information(one_ND: Values, other_NT: Values, *, neighbours: int = NEIGHBOURS) -> float:
    """Nats, by Kraskov's first estimator (2004) with the maximum norm; near 0, and below it by chance, for independent.

    Each number is standardised; a trace of noise (1e-6, always the same) parts equal samples.
    """
    count = len(one_ND)
    dice = np.random.default_rng(0)
    one, other = (_standard(values) + 1e-6 * dice.standard_normal(values.shape) for values in (one_ND, other_NT))
    reach_N = cKDTree(np.hstack([one, other])).query(np.hstack([one, other]), neighbours + 1, p=np.inf)[0][:, -1]
    near = [
        cKDTree(values).query_ball_point(values, np.nextafter(reach_N, 0), p=np.inf, return_length=True)
        for values in (one, other)
    ]
    return float(digamma(neighbours) + digamma(count) - np.mean(digamma(near[0]) + digamma(near[1])))


def _standard(values: Values) -> Values:
    return (values - values.mean(0)) / (values.std(0) + 1e-12)


def block_permutations(groups: Sequence[str], *, draws: int, seed: int) -> list[NDArray[np.int64]]:
    """Rows that give every group the samples of another one; samples keep their place in the group.

    Samples of one person are not independent: only persons may be exchanged. Groups have equally many samples.
    """
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    members = np.stack([np.flatnonzero(index == label) for label in range(len(labels))])
    dice = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = np.empty(len(index), np.int64)
        rows[members] = members[dice.permutation(len(labels))]
        found.append(rows)
    return found


def above_chance(
    one_ND: Values, other_NT: Values, permutations: Sequence[NDArray[np.int64]]
) -> tuple[float, float, float]:
    """Mutual information, its mean under the permutations, and the share of these that reach it (p, never 0)."""
    value = mutual_information(one_ND, other_NT)
    chance = np.array([mutual_information(one_ND, other_NT[rows]) for rows in permutations])
    return value, float(chance.mean()), float((1 + (chance >= value).sum()) / (1 + len(chance)))


def region_changes(
    before_HW3: NDArray[np.uint8], after_HW3: NDArray[np.uint8], parsing_HW: NDArray[np.uint8], parts: int
) -> Values:
    """(K,) mean absolute change, in grey levels, inside the region of each part; NaN where the map does not show it."""
    change = np.abs(after_HW3.astype(np.float64) - before_HW3).mean(-1)
    return np.array(
        [change[parsing_HW == part].mean() if (parsing_HW == part).any() else np.nan for part in range(parts)]
    )


def own_share(changes_KK: Values) -> Values:
    """(K,) of what exchanging component i changes, the share in region i: the diagonal over the sum of its row."""
    return np.diag(changes_KK) / np.nansum(changes_KK, axis=1)
