"""What protocols do to pictures beyond SSIM: white columns for networks too, and masks of the target's pose."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.features import Trunk
from models.metrics.networks import Perceptual
from models.metrics.pictures import Scores, contextual_distances, perceptual_distances
from models.metrics.protocols import Picture, Protocol
from models.metrics.sets import inception_score
from pipeline.run import Job
from stages.measuring import Sight, look

Mask = NDArray[np.uint8]


def prepared(protocol: Protocol, pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures (H, W, 3) as the protocol measures them."""
    return [protocol.prepared(picture) for picture in pictures]


def as_measured(
    job: Job, protocol: Protocol, pictures: Mapping[str, Sequence[Picture]], sights: dict[str, Sight]
) -> dict[str, Sight]:
    """What is seen in the pictures under a protocol: `sights`, unless it puts them between white columns."""
    if not protocol.pad_px:
        return sights
    return look(job, {name: prepared(protocol, made) for name, made in pictures.items()})


def masked(pictures: Sequence[Picture], masks: Sequence[Mask]) -> list[Picture]:
    """The pictures times masks (H, W) of 0 and 1."""
    return [picture * mask[..., None].astype(np.uint8) for picture, mask in zip(pictures, masks, strict=True)]


def masked_similarity(
    protocol: Protocol, generated: Sequence[Picture], targets: Sequence[Picture], masks: Sequence[Mask]
) -> NDArray[np.float64]:
    """PG2's mask-SSIM of every pair: of both pictures times the mask of the target's pose."""
    pairs = zip(masked(generated, masks), masked(targets, masks), strict=True)
    return np.array([protocol.ssim["ssim"](ours, theirs) for ours, theirs in pairs])


def masked_sets(
    job: Job, protocol: Protocol, pictures: Mapping[str, Sequence[Picture]], masks: Sequence[Mask]
) -> dict[str, dict[str, float]]:
    """PG2's mask-IS, by the stand-in network and under its name; nothing under other protocols."""
    if not protocol.masked:
        return {name: {} for name in pictures}
    sights = look(job, {name: masked(made, masks) for name, made in pictures.items()})
    return {name: {"is_lite0_masked": inception_score(sight.seen)} for name, sight in sights.items()}


def perceptual(
    protocol: Protocol, pictures: dict[str, list[Picture]], sources: list[Picture], targets: list[Picture]
) -> dict[str, Scores]:
    """LPIPS to the target, and the contextual distance to source (GS) and target (GT), by system."""
    network, trunk = Perceptual(), Trunk("vgg16").load()
    framed = prepared(protocol, targets)
    return {
        name: {
            **perceptual_distances(network, prepared(protocol, made), framed),
            "cx_gs": contextual_distances(trunk, made, sources),
            "cx_gt": contextual_distances(trunk, made, targets),
        }
        for name, made in pictures.items()
    }
