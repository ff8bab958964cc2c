"""The losses that the systems share. Pictures are (B, 3, H, W) in [-1, 1]; every loss is a mean, a scalar tensor."""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.precision import in_float32


def lsgan(scores: Tensor, *, is_real: bool) -> Tensor:
    """Mean squared distance of the scores to 1 (real) or 0 (Mao et al. 2017)."""
    return (scores - 1).square().mean() if is_real else scores.square().mean()


def log_likelihood(scores: Tensor, *, is_real: bool) -> Tensor:
    """Binary cross entropy of raw scores to 1 (real) or 0 (Goodfellow et al. 2014, its non-saturating form)."""
    return F.softplus(-scores if is_real else scores).mean()


def wasserstein(scores: Tensor, *, is_real: bool) -> Tensor:
    """The mean score, negative for real pictures (Arjovsky et al. 2017): for critics whose weights are clipped."""
    return -scores.mean() if is_real else scores.mean()


ADVERSARIAL = {"lsgan": lsgan, "log": log_likelihood}


def foreground_l1(output_B3HW: Tensor, target_B3HW: Tensor, mask_B1HW: Tensor, extra: float) -> Tensor:
    """Mean of |output - target| (1 + extra x mask): plain L1 at `extra` 0, the pose-mask loss of PG2 at 1."""
    return ((output_B3HW - target_B3HW).abs() * (1 + extra * mask_B1HW)).mean()


def perceptual(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute distance of two feature maps."""
    return F.l1_loss(output, target)


@in_float32
def contextual(output_BCHW: Tensor, target_BCHW: Tensor, *, sigma: float = 0.5, eps: float = 1e-5) -> Tensor:
    """Contextual loss of one layer's features (Mechrez et al. 2018, in ADGAN's form).

    Features are centred by the target's mean over batch and space, so the value depends on the batch's other samples. A
    position that equals the mean has no direction: its length is kept above 1e-8, where the original divides by zero.
    In float32 always: where both pictures are the same, distances of half precision are 0, and others infinitely far.
    """
    mean_C11 = target_BCHW.mean((0, 2, 3))[:, None, None]
    x_BCQ, y_BCP = (
        F.normalize((features - mean_C11).flatten(2), dim=1, eps=1e-8) for features in (output_BCHW, target_BCHW)
    )
    distance_BPQ = (1 - y_BCP.transpose(1, 2) @ x_BCQ) / 2
    relative_BPQ = distance_BPQ / (distance_BPQ.amin(1, keepdim=True) + eps)
    # softmax over p of (1 - d) / sigma is w / sum(w): the same numbers, and no overflow
    similarity_BPQ = torch.softmax((1 - relative_BPQ) / sigma, dim=1)
    return -similarity_BPQ.amax(2).mean(1).log().mean()
