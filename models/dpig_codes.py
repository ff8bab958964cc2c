"""DPIG's codes by factor, and stage II: mappings from noise to codes of real pictures, the critics they learn from.

Shape suffixes: B batch, N numbers of a code.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FOREGROUND, BACKGROUND, POSE = "foreground", "background", "pose"
Codes = dict[str, Tensor]  # (B, N) by factor

NOISE = 0.2  # deviation of what the mappings are fed, in training and in sampling

_FAKES = 128  # codes drawn a step: noise costs nothing, however few pictures there are
_SMALLEST = 1e-8  # of a code's variance, so that codes without any can be whitened


class ResidualMlp(nn.Module):
    """Numbers -> numbers: a linear layer in, four residual blocks of two linear layers, a linear layer out."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, is_entry_linear: bool = False) -> None:
        super().__init__()
        self.entry, self.exit = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        self.blocks = nn.ModuleList(
            nn.ModuleList([nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)]) for _ in range(4)
        )
        self.is_entry_linear = is_entry_linear

    def forward(self, x_BN: Tensor) -> Tensor:
        """(B, outputs)."""
        x_BN = self.entry(x_BN)
        x_BN = x_BN if self.is_entry_linear else F.leaky_relu(x_BN, 0.2)
        for first, second in self.blocks:
            x_BN = x_BN + F.leaky_relu(second(F.leaky_relu(first(x_BN), 0.2)), 0.2)
        return self.exit(x_BN)


class CodeCritic(nn.Sequential):
    """Codes -> (B, 1) raw verdicts: four linear layers with LeakyReLU and one without."""

    def __init__(self, inputs: int, hidden: int) -> None:
        widths = [inputs, *([hidden] * 4)]
        layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        super().__init__(*layers, nn.Linear(hidden, 1))


class Mapping(ResidualMlp):
    """Noise -> codes, as published: the critic compares the codes themselves, as many drawn as real."""

    critic_steps: ClassVar[int] = 5  # to one of the mapping

    def __init__(self, numbers: int, hidden: int) -> None:
        super().__init__(numbers, hidden, numbers)

    def real(self, code_BN: Tensor, *, is_first: bool) -> Tensor:
        """(B, N) what the critic is shown of real codes; `is_first`: of a phase, whose encoders stand still."""
        return code_BN

    def fake(self, like_BN: Tensor) -> Tensor:
        """(B, N) what the critic is shown of codes drawn at random."""
        return self(torch.randn_like(like_BN) * NOISE)


class WhitenedMapping(Mapping):
    """Noise -> codes, learnt as what a Gaussian with the mean and the covariance of the real codes lacks.

    The critic sees codes whitened: with a mean of 0 and the identity as covariance. The network adds to the noise,
    whose deviation is brought to 1; its last layer begins at 0, and the mapping with that Gaussian.
    """

    critic_steps: ClassVar[int] = 1  # it begins where the codes are, so the critic need not be ahead

    def __init__(self, numbers: int, hidden: int) -> None:
        super().__init__(numbers, hidden)
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("covariance", torch.eye(numbers))
        self.register_buffer("batches", torch.zeros(()))

    def begin_with_gaussian(self) -> None:
        """Let the network add nothing."""
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, noise_BN: Tensor) -> Tensor:
        """(B, N) codes."""
        white_BN = self._white(noise_BN)
        return (white_BN.double() @ self._colours().T + self.mean).to(white_BN)

    def real(self, code_BN: Tensor, *, is_first: bool) -> Tensor:
        """(B, N) whitened by what the phase has seen so far, these included."""
        self._see(code_BN.double(), is_first=is_first)
        centred_NB = (code_BN.double() - self.mean).T
        return torch.linalg.solve_triangular(self._colours(), centred_NB, upper=False).T.to(code_BN)

    def fake(self, like_BN: Tensor) -> Tensor:
        """(128, N) whitened; as many as are real where these are more."""
        shape = (max(_FAKES, len(like_BN)), like_BN.shape[1])
        return self._white(torch.randn(shape, dtype=like_BN.dtype, device=like_BN.device) * NOISE)

    def _white(self, noise_BN: Tensor) -> Tensor:
        return noise_BN / NOISE + super().forward(noise_BN)

    def _see(self, code_BN: Tensor, *, is_first: bool) -> None:
        if is_first:
            self.batches.zero_()
        self.batches += 1
        share, before_BN = 1 / self.batches, code_BN - self.mean
        self.mean.lerp_(code_BN.mean(0).to(self.mean), share)
        # About the mean before and after: exactly the covariance of all that was seen (Welford 1962).
        seen_NN = before_BN.T @ (code_BN - self.mean) / len(code_BN)
        self.covariance.lerp_(seen_NN.to(self.covariance), share)

    def _colours(self) -> Tensor:
        """(N, N) the covariance's root, lower triangular, which moves little when the covariance does.

        Of few codes some directions tell nothing: all get the mean variance on top, as if seen in one batch.
        """
        covariance = self.covariance.double()
        identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
        spare = covariance.trace() / len(covariance) / self.batches.clamp_min(1) + _SMALLEST
        return torch.linalg.cholesky_ex(covariance + spare * identity).L
