"""What the networks are built of. A block goes pad -> convolution -> norm -> activation; padding is reflection, but in
PG2's family, whose blocks are at the end, zeros as TensorFlow puts them.

Shape suffixes: B batch, C channels, H W rows and columns, N numbers. Attribute names make the entries of a state dict
equal the published checkpoints'.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]


def scaled(channels: int, width: float) -> int:
    """`channels` at a width factor: a multiple of 8, at least 8; `channels` itself at 1."""
    return channels if width == 1 else max(8, round(channels * width / 8) * 8)


def identity(x: Tensor) -> Tensor:
    """`x`: no activation."""
    return x


def instance_norm(x_BCHW: Tensor) -> Tensor:
    """Each channel of each sample at mean 0 and (biased) variance 1; eps 1e-5 inside the root."""
    # A group of one channel is the same thing; on the CPU each kernel is several times faster in its own layout.
    if x_BCHW.is_contiguous(memory_format=torch.channels_last):
        return F.instance_norm(x_BCHW)
    return F.group_norm(x_BCHW, x_BCHW.shape[1])


class InstanceNorm(nn.Module):
    """`instance_norm` as a layer: no weights, no running statistics."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) normalised."""
        return instance_norm(x_BCHW)


class LayerNorm(nn.Module):
    """MUNIT's: mean and unbiased deviation of a whole sample, eps added to the deviation; gamma, beta per channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) normalised."""
        deviation, mean = torch.std_mean(x_BCHW, (1, 2, 3), keepdim=True)
        scale = self.gamma[:, None, None] / (deviation + self.eps)
        return torch.addcmul(self.beta[:, None, None] - mean * scale, x_BCHW, scale)


class AdaIN(nn.Module):
    """Instance norm whose scale and shift come with the input (Huang and Belongie 2017).

    The two buffers are never read: the published checkpoints have these entries.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x_BCHW: Tensor, scale_BC: Tensor, shift_BC: Tensor) -> Tensor:
        """(B, C, H, W) with deviation `scale` and mean `shift`."""
        return torch.addcmul(shift_BC[..., None, None], instance_norm(x_BCHW), scale_BC[..., None, None])


class ConvBlock(nn.Module):
    """Reflection pad, convolution with bias, norm, activation; the size stays at stride 1 and halves at stride 2."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        norm: nn.Module | None = None,
        activation: Activation = F.relu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, padding_mode="reflect")
        self.norm = norm or nn.Identity()
        self.activation = activation

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, outputs, H / stride, W / stride)."""
        return self.activation(self.norm(self.conv(x_BCHW)))


class LinearBlock(nn.Module):
    """A linear layer and an activation."""

    def __init__(self, inputs: int, outputs: int, activation: Activation = F.relu) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.activation = activation

    def forward(self, x_BN: Tensor) -> Tensor:
        """(B, outputs)."""
        return self.activation(self.fc(x_BN))


class Chain(nn.Module):
    """Layers one after the other under the name `model`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer gives."""
        return self.model(x)


class ResidualBlock(Chain):
    """Two 3x3 blocks, instance norm, added to the input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            ConvBlock(channels, channels, 3, norm=InstanceNorm()),
            ConvBlock(channels, channels, 3, norm=InstanceNorm(), activation=identity),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W)."""
        return x_BCHW + self.model(x_BCHW)


class StyledBlock(nn.Module):
    """A 3x3 convolution followed by AdaIN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AdaIN(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x_BCHW: Tensor, scale_BC: Tensor, shift_BC: Tensor) -> Tensor:
        """(B, C, H, W)."""
        return self.norm(self.conv(x_BCHW), scale_BC, shift_BC)


class StyledResidualBlock(nn.Module):
    """The residual block with AdaIN: eats 4 C numbers, (shift, scale) of its first norm, then of its second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.ModuleList([StyledBlock(channels), StyledBlock(channels)])

    def forward(self, x_BCHW: Tensor, style_BN: Tensor) -> Tensor:
        """(B, C, H, W); `style_BN` has N = 4 C."""
        shift1, scale1, shift2, scale2 = style_BN.chunk(4, dim=1)
        first, second = self.model
        return x_BCHW + second(F.relu(first(x_BCHW, scale1, shift1)), scale2, shift2)


def fitted(x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """`x` averaged or repeated to `size`: for layers that belong to one size of picture, when another one comes."""
    return x_BCHW if x_BCHW.shape[2:] == size else F.adaptive_avg_pool2d(x_BCHW, size)


class SameConv(nn.Conv2d):
    """A convolution with zeros around as TensorFlow's SAME: the size is divided by the stride and rounded up.

    What is odd of the padding goes to the right and to the bottom.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, (kernel - 1) // 2 if stride == 1 else 0)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, outputs, ceil(H / stride), ceil(W / stride))."""
        stride, kernel, pads = self.stride[0], self.kernel_size[0], []
        if stride > 1:
            for side in reversed(x_BCHW.shape[2:]):
                missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
                pads += [missing // 2, missing - missing // 2]
            x_BCHW = F.pad(x_BCHW, pads)
        return super().forward(x_BCHW)


class ResidualPair(nn.Module):
    """Two 3x3 convolutions, each with ReLU and without norm, added to the input (PG2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = SameConv(channels, channels, 3), SameConv(channels, channels, 3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, channels, H, W)."""
        return x_BCHW + F.relu(self.second(F.relu(self.first(x_BCHW))))


class BottleneckUNet(nn.Module):
    """PG2's G1 and DPIG's decoder: a U-Net of residual pairs whose smallest map goes through `code` numbers.

    `smallest` is the size of that map for the pictures that the network is for; of pictures of another size it is
    fitted, there and back. H and W must be multiples of 2 ** (levels - 1). The output is linear: no tanh.
    """

    def __init__(
        self, inputs: int, *, levels: int, smallest: tuple[int, int], width: float = 1.0, code: int = 64
    ) -> None:
        super().__init__()
        n = scaled(128, width)
        self.encoder = _PairEncoder(inputs, n, levels, smallest, code)
        self.decoder = _PairDecoder(n, levels, smallest, code)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W)."""
        return self.after_first(self.encoder.first(x_BCHW))

    def after_first(self, x_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) from what the first convolution gives, for who has it by a shorter way."""
        return self.decoder(*self.encoder(x_BCHW))


class _PairEncoder(nn.Module):
    def __init__(self, inputs: int, n: int, levels: int, smallest: tuple[int, int], code: int) -> None:
        super().__init__()
        self.smallest = smallest
        self.first = SameConv(inputs, n, 3)
        self.pairs = nn.ModuleList(ResidualPair(n * (level + 1)) for level in range(levels))
        self.downs = nn.ModuleList(SameConv(n * level, n * (level + 1), 3, stride=2) for level in range(1, levels))
        self.code = nn.Linear(n * levels * smallest[0] * smallest[1], code)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The code (B, code), and what each level leaves for the decoder, from the first convolution's output."""
        x, left = F.relu(x_BCHW), []
        for level, pair in enumerate(self.pairs):
            x = pair(F.relu(self.downs[level - 1](x)) if level else x)
            left.append(x)
        return self.code(fitted(x, self.smallest).flatten(1)), left


class _PairDecoder(nn.Module):
    def __init__(self, n: int, levels: int, smallest: tuple[int, int], code: int) -> None:
        super().__init__()
        self.smallest = smallest
        self.grow = nn.Linear(code, n * smallest[0] * smallest[1])
        # What comes in from below, and from the encoder's level; the smallest map brings n channels from the code.
        widths = [n * (levels + 1), *(2 * n * level for level in range(levels - 1, 0, -1))]
        self.pairs = nn.ModuleList(ResidualPair(channels) for channels in widths)
        self.ups = nn.ModuleList(
            SameConv(channels, n * (levels - 1 - level), 1) for level, channels in enumerate(widths[:-1])
        )
        self.last = SameConv(widths[-1], 3, 3)

    def forward(self, code_BS: Tensor, left: list[Tensor]) -> Tensor:
        """(B, 3, H, W)."""
        x = fitted(self.grow(code_BS).unflatten(1, (-1, *self.smallest)), (left[-1].shape[2], left[-1].shape[3]))
        for level, pair in enumerate(self.pairs):
            x = pair(torch.cat([x, left[-1 - level]], dim=1))
            if level < len(self.ups):
                # The original doubles the size first: the same numbers at four times the work.
                x = F.interpolate(F.relu(self.ups[level](x)), scale_factor=2)
        return self.last(x)
