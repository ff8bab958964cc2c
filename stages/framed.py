"""What protocols do to pictures beyond SSIM: white columns for networks too, and masks of the target's pose."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.metrics.pictures import Scores
from models.metrics.protocols import Picture, Protocol
from models.metrics.sets import inception_score
from pipeline.run import Job
from stages.measuring import Sight, distances, look

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


def masked_sets(
    job: Job, protocol: Protocol, pictures: Mapping[str, Sequence[Picture]], masks: Sequence[Mask]
) -> dict[str, dict[str, float]]:
    """PG2's mask-IS, by the stand-in network and under its name; nothing under other protocols."""
    if not protocol.masked:
        return {name: {} for name in pictures}
    sights = look(job, {name: masked(made, masks) for name, made in pictures.items()})
    return {name: {"is_lite0_masked": inception_score(sight.seen)} for name, sight in sights.items()}


def perceptual(
    job: Job, protocol: Protocol, pictures: Mapping[str, list[Picture]], sources: list[Picture], targets: list[Picture]
) -> dict[str, Scores]:
    """LPIPS to the target, and the contextual distance to source (GS) and target (GT), by system."""
    framed, rivals = prepared(protocol, targets), {"cx_gs": sources, "cx_gt": targets}
    lpips = distances(
        job, "lpips", {name: zip(prepared(protocol, made), framed, strict=True) for name, made in pictures.items()}
    )
    contextual = distances(
        job,
        "contextual",
        {(name, of): zip(made, rivals[of], strict=True) for name, made in pictures.items() for of in rivals},
    )
    return {name: {"lpips_hed": lpips[name]} | {of: contextual[name, of] for of in rivals} for name in pictures}
