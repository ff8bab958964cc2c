"""Person re-identification: is what a network learns from generated people of use on others?

A small ResNet learns to tell the identities of a set apart; its features then rank a gallery for every query.
Adaptation (PUL, Fan et al. 2017) goes on with pictures without names: clusters of their features serve as identities.
A metric (KISSME) can be learnt on top of features, from which of them are of one person.

Shape suffixes: N pictures, Q queries, G gallery, C numbers of a feature, K clusters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_hit_rate
from torchvision.models.resnet import BasicBlock, ResNet

from models.settings import setting
from pipeline.errors import UserError

SIZE = (128, 64)  # rows and columns of what the network sees, Market-1501's

# Market-1501's names for pictures of nobody: they are no right answer, and -1 is no answer at all.
DISTRACTOR, JUNK = "0000", "-1"


@dataclass(frozen=True)
class ReidSettings:
    """How the network learns."""

    epochs: int = setting(30, low=1)
    batch: int = setting(32, low=2)
    learning_rate: float = setting(3e-4, low=0, high=1)
    rounds: int = setting(3, low=1)  # of clustering and learning, in `adapt`
    reliable: float = setting(
        0.85, low=-1, high=1
    )  # cosine to the middle from which a picture is taken as its cluster's
    seed: int = setting(0, low=0)


@dataclass(frozen=True)
class People:
    """Pictures (N, 3, 128, 64) uint8 with the names of their persons and cameras."""

    images: Tensor
    persons: tuple[str, ...]
    cameras: tuple[str, ...]


class Embedder(nn.Module):
    """Pictures -> features of length 1: torchvision's ResNet with one block a stage, from random weights."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ResNet(BasicBlock, [1, 1, 1, 1])
        self.numbers = self.trunk.fc.in_features
        self.trunk.fc = nn.Identity()

    def forward(self, images_N3HW: Tensor) -> Tensor:
        """(N, C) before they are brought to length 1; pictures are uint8."""
        return self.trunk(images_N3HW.float() / 127.5 - 1)

    @torch.no_grad()
    def features(self, images_N3HW: Tensor, batch: int = 64) -> Tensor:
        """(N, C) of length 1, each the mean of the picture's and its mirror image's; in eval mode."""
        self.eval()
        found = [self(part) + self(part.flip(3)) for part in images_N3HW.split(batch)]
        return F.normalize(torch.cat(found))


def fresh(seed: int) -> Embedder:
    """An embedder with weights that are a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Embedder()


def learn(embedder: Embedder, images_N3HW: Tensor, persons: tuple[str, ...], settings: ReidSettings) -> Embedder:
    """The embedder after learning to tell the persons apart, by cross entropy over a layer that is thrown away."""
    names = sorted(set(persons))
    if len(names) < 2:
        raise UserError(f"{len(names)} person to learn from: there must be two at least; make more --identities")
    labels_N = torch.tensor([names.index(person) for person in persons])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = nn.Linear(embedder.numbers, len(names))
        optimiser = torch.optim.Adam([*embedder.parameters(), *head.parameters()], settings.learning_rate)
        dice = torch.Generator().manual_seed(settings.seed)
        # A last batch of one picture has no statistics to normalise by.
        size = min(settings.batch, len(images_N3HW))
        steps = max(1, len(images_N3HW) // size)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * steps)
        embedder.train()
        for _ in range(settings.epochs):
            for rows in torch.randperm(len(images_N3HW), generator=dice)[: steps * size].split(size):
                loss = F.cross_entropy(
                    head(embedder(varied(images_N3HW[rows], dice))), labels_N[rows], label_smoothing=0.1
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                rates.step()
    return embedder.eval()


def varied(images_N3HW: Tensor, dice: torch.Generator, *, shift_px: int = 6) -> Tensor:
    """The pictures mirrored or not and shifted, each with a grey rectangle somewhere (random erasing)."""
    count, _, height, width = images_N3HW.shape
    padded = F.pad(images_N3HW, (shift_px,) * 4, value=127)
    chances = torch.rand(count, 7, generator=dice)
    out = torch.empty_like(images_N3HW)
    for row, (mirror, down, across, tall, wide, top, left) in enumerate(chances.tolist()):
        y, x = int(down * (2 * shift_px + 1)), int(across * (2 * shift_px + 1))
        picture = padded[row, :, y : y + height, x : x + width]
        out[row] = picture.flip(2) if mirror < 0.5 else picture
        rows, columns = int((0.05 + 0.35 * tall) * height), int((0.1 + 0.5 * wide) * width)
        y, x = int(top * (height - rows)), int(left * (width - columns))
        out[row, :, y : y + rows, x : x + columns] = 127
    return out


def adapt(embedder: Embedder, images_N3HW: Tensor, clusters: int, settings: ReidSettings) -> Embedder:
    """The embedder after `rounds` of clustering its own features and learning the reliable pictures of the clusters."""
    for _ in range(settings.rounds):
        chosen_M, persons = believed(embedder, images_N3HW, clusters, settings)
        if len(set(persons)) < 2:
            break
        embedder = learn(embedder, images_N3HW[chosen_M], persons, settings)
    return embedder


def believed(
    embedder: Embedder, images_N3HW: Tensor, clusters: int, settings: ReidSettings
) -> tuple[Tensor, tuple[str, ...]]:
    """(M,) the pictures that are near the middle of their cluster, and whom they are taken for."""
    labels_N, is_reliable_N = pseudo_identities(
        embedder.features(images_N3HW).numpy(), clusters, reliable=settings.reliable, seed=settings.seed
    )
    return torch.from_numpy(np.flatnonzero(is_reliable_N)), tuple(str(label) for label in labels_N[is_reliable_N])


def pseudo_identities(
    features_NC: NDArray[np.float32], clusters: int, *, reliable: float, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """(N,) the cluster of each picture by k-means, and (N,) whether it is near enough to the middle to be believed.

    The middle of a cluster is the feature nearest to its mean, as in PUL; near is the cosine to it.
    """
    clusters = min(clusters, len(features_NC))
    means_KC, labels_N = kmeans2(features_NC, clusters, minit="++", rng=np.random.default_rng(seed), missing="warn")
    is_reliable_N = np.zeros(len(features_NC), bool)
    for cluster in range(clusters):
        rows = np.flatnonzero(labels_N == cluster)
        if len(rows):
            middle = features_NC[rows[np.argmax(features_NC[rows] @ means_KC[cluster])]]
            is_reliable_N[rows] = features_NC[rows] @ middle >= reliable
    return labels_N, is_reliable_N


def kissme(features_NC: Tensor, persons: Sequence[str], *, numbers: int = 32) -> Tensor:
    """(C, K) what to multiply features by, so that their Euclidean distances are KISSME's (Koestinger et al. 2012).

    The square of the distance is d' (inverse of S - inverse of D) d for a difference d, where S and D are the means of
    d d' over all pairs of pictures of one person, and of two; of the difference of the inverses the part without
    negative eigenvalues is taken. Before, features come down to their K strongest principal components, `numbers`
    or as many as S can have. UserError where no person has two pictures, or there is one person alone.
    """
    labels_N = torch.from_numpy(np.unique(np.array(persons), return_inverse=True)[1])
    counts_P = torch.bincount(labels_N)
    same, every = int((counts_P * (counts_P - 1)).sum()), len(labels_N) * (len(labels_N) - 1)
    if not 0 < same < every:
        raise UserError(
            "KISSME compares pictures of one person and of two: give two persons, one of them in two pictures"
        )
    x_NC = features_NC.double() - features_NC.double().mean(0)
    kept = min(numbers, x_NC.shape[1], len(labels_N) - len(counts_P))
    strongest_CK = torch.linalg.eigh(x_NC.T @ x_NC)[1].flip(1)[:, :kept]
    x_NK = x_NC @ strongest_CK
    means_PK = torch.zeros(len(counts_P), kept, dtype=x_NK.dtype).index_add(0, labels_N, x_NK) / counts_P[:, None]
    within_NK = x_NK - means_PK[labels_N]
    # The sum of d d' over all pairs of n vectors, either way round, is 2 n times that of x x' around their mean.
    alike_KK = 2 * (within_NK * counts_P[labels_N, None]).T @ within_NK
    unlike_KK = 2 * len(x_NK) * x_NK.T @ x_NK - alike_KK
    metric_KK = _inverse(alike_KK / same) - _inverse(unlike_KK / (every - same))
    values_K, vectors_KK = torch.linalg.eigh(metric_KK)
    return (strongest_CK @ (vectors_KK * values_K.clamp_min(0).sqrt())).to(features_NC)


def _inverse(symmetric_KK: Tensor) -> Tensor:
    return torch.linalg.pinv(symmetric_KK, hermitian=True)


def rank(
    query_QC: Tensor, query: tuple[tuple[str, ...], tuple[str, ...]],
    gallery_GC: Tensor, gallery: tuple[tuple[str, ...], tuple[str, ...]],
) -> dict[str, float]:  # fmt: skip
    """`rank1` and `map`, 0..1, over the queries that have an answer, and how many these are (`queries`).

    The nearest is the first answer. `query` and `gallery` are persons and cameras. As on Market-1501: pictures of the
    query's person by the query's camera are left out of its gallery, so are junk pictures (-1); distractors (0000) are
    wrong answers.
    """
    (persons_q, cameras_q), (persons_g, cameras_g) = (
        tuple(np.array(names) for names in part) for part in (query, gallery)
    )
    # torchmetrics takes an answer of score 0 or less for none.
    scores_QG = 1 / (1 + torch.cdist(query_QC, gallery_GC))
    hits, precisions = [], []
    for row, (person, camera) in enumerate(zip(persons_q, cameras_q, strict=True)):
        kept = torch.from_numpy(~((persons_g == person) & (cameras_g == camera)) & (persons_g != JUNK))
        is_right = torch.from_numpy((persons_g == person) & (person != DISTRACTOR))[kept]
        if is_right.any():
            hits.append(retrieval_hit_rate(scores_QG[row][kept], is_right, top_k=1))
            precisions.append(retrieval_average_precision(scores_QG[row][kept], is_right))
    if not hits:
        return {"rank1": math.nan, "map": math.nan, "queries": 0}
    return {
        "rank1": float(torch.stack(hits).mean()),
        "map": float(torch.stack(precisions).mean()),
        "queries": len(hits),
    }


def score(embedder: Embedder, queries: People, gallery: People, metric_CK: Tensor | None = None) -> dict[str, float]:
    """`rank` of the embedder's features, multiplied by what `kissme` gives where that is given."""
    query_QC, gallery_GC = (embedder.features(people.images) for people in (queries, gallery))
    if metric_CK is not None:
        query_QC, gallery_GC = query_QC @ metric_CK, gallery_GC @ metric_CK
    return rank(query_QC, (queries.persons, queries.cameras), gallery_GC, (gallery.persons, gallery.cameras))
