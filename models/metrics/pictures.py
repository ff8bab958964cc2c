"""Scores of generated pictures against their targets, one number a pair, under a named protocol."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.features import Trunk
from models.losses import contextual
from models.metrics.networks import Perceptual
from models.metrics.protocols import PROTOCOLS, Picture, Protocol

Mask = NDArray[np.bool_]
Scores = dict[str, NDArray[np.float64]]

_CONTEXTUAL_LAYERS = ("relu3_2", "relu4_2")


def score_picture(
    generated: Picture,
    target: Picture,
    person: Mask | None = None,
    protocol: Protocol = PROTOCOLS["plain"],
    pose_mask: NDArray[np.uint8] | None = None,
) -> dict[str, float]:
    """SSIM in the protocol's forms, PSNR in dB, L1 and sharpness of one pair (H, W, 3), 0..1.

    With `person` (H, W) also `ssim_mask` and `l1_mask`, means inside it; with `pose_mask` (H, W), 0 or 1, and under a
    masked protocol `ssim_masked`, of both pictures multiplied by it. NaN where there is nothing to average over.
    `sharpness` is the mean size of the generated picture's luma gradient.
    """
    ours, theirs = protocol.prepared(generated), protocol.prepared(target)
    error = np.abs(ours.astype(np.float64) - theirs) / 255
    mse = float(np.square(error).mean())
    maps = {name: ssim.map(ours, theirs) for name, ssim in protocol.ssim.items()}
    scores = {name: ssim.mean_of(maps[name]) for name, ssim in protocol.ssim.items()}
    scores |= {
        "psnr": -10 * np.log10(max(mse, 1e-10)),
        "l1": float(error.mean()),
        "sharpness": sharpness(generated),
    }
    if person is not None:
        inside = np.abs(generated.astype(np.float64) - target).mean(2)[person] / 255
        # Half of the time, where pictures are measured as they are.
        similar = (maps["ssim"] if ours is generated else protocol.ssim["ssim"].map(generated, target))[person]
        scores["l1_mask"] = float(inside.mean()) if inside.size else float("nan")
        scores["ssim_mask"] = float(similar.mean()) if similar.size else float("nan")
    if protocol.masked and pose_mask is not None:
        hidden = (picture * pose_mask[..., None] for picture in (generated, target))
        scores["ssim_masked"] = protocol.ssim["ssim"](*hidden)
    return scores


def score_pictures(
    generated: Iterable[Picture],
    targets: Iterable[Picture],
    persons: Iterable[Mask | None] = repeat(None),
    protocol: Protocol = PROTOCOLS["plain"],
    pose_masks: Iterable[NDArray[np.uint8] | None] = repeat(None),
) -> Scores:
    """`score_picture` of every pair, by score."""
    pairs = zip(generated, targets, strict=True)
    rows = [
        score_picture(ours, theirs, person, protocol, pose_mask)
        for (ours, theirs), person, pose_mask in zip(pairs, persons, pose_masks, strict=False)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def sharpness(picture: Picture) -> float:
    """Mean length of the gradient of the luma 0..1, per pixel."""
    luma = picture.astype(np.float64) @ (0.299, 0.587, 0.114) / 255
    down, across = np.gradient(luma)
    return float(np.hypot(down, across).mean())


def perceptual_distances(
    network: Perceptual, generated: Sequence[Picture], targets: Sequence[Picture]
) -> NDArray[np.float64]:
    """LPIPS of every pair."""
    return np.array(
        [float(network(_signed(ours), _signed(theirs))) for ours, theirs in zip(generated, targets, strict=True)]
    )


@torch.inference_mode()
def contextual_distances(trunk: Trunk, generated: Sequence[Picture], others: Sequence[Picture]) -> NDArray[np.float64]:
    """The contextual loss (Mechrez et al. 2018) of every pair, summed over two layers, as ADGAN's CX-GS and CX-GT."""
    found = []
    for ours, theirs in zip(generated, others, strict=True):
        one, other = (trunk.taps(_signed(picture), _CONTEXTUAL_LAYERS) for picture in (ours, theirs))
        found.append(sum(float(contextual(a, b)) for a, b in zip(one, other, strict=True)))
    return np.array(found)


def _signed(picture: Picture) -> Tensor:
    """(1, 3, H, W) in -1..1."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
