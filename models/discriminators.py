"""The residual discriminator of PATN, which ADGAN and SCA-GAN use too, and the DCGAN one of PG2 and DPIG.

A quirk of PATN's that is kept: there is no one-channel head. The score is the whole map of 256 channels at a
quarter of the size, and the loss averages over all of it.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import InstanceNorm, SameConv, fitted, scaled

Norm = Literal["instance", "batch"]


class ResidualDiscriminator(nn.Module):
    """Scores pictures as maps; `norm: batch` is the Market-1501 variant, whose convolutions have no biases."""

    def __init__(self, inputs: int, *, width: float = 1.0, norm: Norm = "instance", dropout: bool = True) -> None:
        super().__init__()
        narrow, middle, wide = (scaled(channels, width) for channels in (64, 128, 256))
        bias = norm == "instance"
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(inputs, narrow, 7, bias=bias), _norm(norm, narrow), nn.ReLU(),
            nn.Conv2d(narrow, middle, 3, 2, 1, bias=bias), _norm(norm, middle), nn.ReLU(),
            nn.Conv2d(middle, wide, 3, 2, 1, bias=bias), _norm(norm, wide), nn.ReLU(),
            *(_ResidualBlock(wide, norm, dropout) for _ in range(3)),
        )  # fmt: skip

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, 256 x width, H/4, W/4), raw: no sigmoid."""
        return self.model(x_BCHW)


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), _norm(norm, channels), nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), _norm(norm, channels),
        )  # fmt: skip

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.conv_block(x_BCHW)


class DcganDiscriminator(nn.Module):
    """Scores whole pictures: 5x5 convolutions that halve the size, then one number of all that is left (Radford 2016).

    Batch norm from the second convolution on, by the statistics of the batch also in eval mode: what goes through
    together is judged together. `size` is that of the pictures that it is for; of others the last map is fitted.
    """

    def __init__(self, inputs: int, *, layers: int, size: tuple[int, int], width: float = 1.0) -> None:
        super().__init__()
        channels = [scaled(min(64 * 2**layer, 512), width) for layer in range(layers)]
        self.convs = nn.ModuleList(
            SameConv(before, after, 5, stride=2) for before, after in zip([inputs, *channels], channels, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after, track_running_stats=False) for after in channels[1:])
        self.smallest = (-(-size[0] // 2**layers), -(-size[1] // 2**layers))
        self.score = nn.Linear(channels[-1] * self.smallest[0] * self.smallest[1], 1)
        for layer in (*self.convs, self.score):
            nn.init.uniform_(layer.weight, -0.02 * 3**0.5, 0.02 * 3**0.5)  # of deviation 0.02
            nn.init.zeros_(layer.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B,) raw scores: no sigmoid."""
        return self.score(fitted(self.last_map(x_BCHW), self.smallest).flatten(1))[:, 0]

    def last_map(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, h, w) what the score is made of."""
        for layer, conv in enumerate(self.convs):
            x_BCHW = conv(x_BCHW)
            x_BCHW = F.leaky_relu(self.norms[layer - 1](x_BCHW) if layer else x_BCHW, 0.2)
        return x_BCHW


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Bring every weight into -limit..limit, as WGAN's critic needs after each of its steps (Arjovsky et al. 2017)."""
    for parameter in critic.parameters():
        parameter.clamp_(-limit, limit)


def _norm(norm: Norm, channels: int) -> nn.Module:
    return InstanceNorm() if norm == "instance" else nn.BatchNorm2d(channels)
