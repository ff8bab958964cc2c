"""Scores of a whole set of pictures from their features: Frechet and kernel distance, inception score.

What network the features come from decides what the number may be called.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from models.metrics.networks import SetFeatures

# A Frechet distance of fewer pictures than these says more about their number than about them.
ENOUGH_PICTURES = 2048
SPLITS = 10
_BATCH = 16
_KERNEL_SUBSETS, _KERNEL_SUBSET = 100, 1000


@dataclass(frozen=True)
class Seen:
    """Features (N, D) and logits (N, K) of a set of pictures."""

    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.features)


def look(network: SetFeatures, pictures: Iterable[NDArray[np.uint8]]) -> Seen:
    """What the network sees in pictures (H, W, 3)."""
    found, waiting = [], []
    for picture in pictures:
        waiting.append(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1))
        if len(waiting) == _BATCH:
            found.append(network(torch.stack(waiting)))
            waiting = []
    if waiting:
        found.append(network(torch.stack(waiting)))
    return Seen(torch.cat([features for features, _ in found]), torch.cat([logits for _, logits in found]))


def frechet_distance(generated: Seen, real: Seen) -> float:
    """Frechet distance of two Gaussians fitted to the features (Heusel et al. 2017); NaN below two pictures.

    The trace of the root of both covariances' product is the nuclear norm of the product of the centred features. With
    fewer pictures than features, where the root of a singular matrix can end in a distance below 0, it is exact.
    """
    if min(len(generated), len(real)) < 2:
        return float("nan")
    ours, theirs = generated.features.double(), real.features.double()
    apart = (ours.mean(0) - theirs.mean(0)).square().sum()
    ours, theirs = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (ours, theirs))
    return float(apart + ours.square().sum() + theirs.square().sum() - 2 * torch.linalg.svdvals(ours @ theirs.T).sum())


def kernel_distance(generated: Seen, real: Seen, *, seed: int = 0) -> float:
    """Unbiased squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018), mean over subsets."""
    size = min(_KERNEL_SUBSET, len(generated), len(real))
    if size < 2:
        return float("nan")
    found = kid_features_to_metric(
        generated.features,
        real.features,
        kid_subsets=_KERNEL_SUBSETS,
        kid_subset_size=size,
        rng_seed=seed,
        kid_degree=3,
        kid_gamma=None,
        kid_coef0=1,
        verbose=False,
    )
    return float(found["kernel_inception_distance_mean"])


def inception_score(generated: Seen, *, seed: int = 0) -> float:
    """Exp of the mean divergence of each picture's classes from the set's (Salimans et al. 2016), ten splits."""
    if len(generated) < SPLITS:
        return float("nan")
    found = isc_features_to_metric(generated.logits, splits=SPLITS, shuffle=True, rng_seed=seed)
    return float(found["inception_score_mean"])
