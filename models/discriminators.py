"""The residual discriminator of PATN, which ADGAN and SCA-GAN use too.

A quirk of the original that is kept: there is no one-channel head. The score is the whole map of 256 channels at a
quarter of the size, and the loss averages over all of it.
"""

from typing import Literal

from torch import Tensor, nn

from models.blocks import InstanceNorm, scaled

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


def _norm(norm: Norm, channels: int) -> nn.Module:
    return InstanceNorm() if norm == "instance" else nn.BatchNorm2d(channels)
