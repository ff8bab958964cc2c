"""DPIG's networks of stage I: pictures -> codes, codes and a pose -> a picture, its critic, and the pose's decoder.

The mappings of stage II and the plain network of the pose's encoder are in models/dpig_codes.py.

Shape suffixes: B batch, C channels, H W rows and columns, R body regions, J the 18 joints, N numbers of a code, M of
one region's.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import BottleneckUNet, ResidualPair, SameConv, fitted, scaled
from models.discriminators import DcganDiscriminator
from models.dpig_codes import BACKGROUND, FOREGROUND, Codes, ResidualMlp
from models.precision import in_float32
from models.regions import crops
from pipeline.people.skeleton import JOINTS

POSE_NUMBERS = 32

_LEVELS = 5  # of the decoder and of the background's encoder


class Pyramid(nn.Module):
    """Levels of n, 2 n, 3 n ... channels, each half as large as the one before."""

    def __init__(self, hidden: int, levels: int) -> None:
        super().__init__()
        self.channels = [hidden * (level + 1) for level in range(levels)]
        self.pairs = nn.ModuleList(ResidualPair(channels) for channels in self.channels)
        self.downs = nn.ModuleList(SameConv(fine, coarse, 3, 2) for fine, coarse in pairwise(self.channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, h, w) the map of the last level."""
        x_BCHW = self.pairs[0](x_BCHW)
        for down, pair in zip(self.downs, self.pairs[1:], strict=True):
            x_BCHW = pair(F.relu(down(x_BCHW)))
        return x_BCHW


class Standard(nn.Module):
    """Numbers with the mean and the deviation taken out that they had in the training so far, a running mean."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("variance", torch.ones(numbers))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x_BN: Tensor) -> Tensor:
        """(B, N); what was seen grows only with steps that learn."""
        if self.training and torch.is_grad_enabled():
            self._see(x_BN.detach().to(self.mean))
        return (x_BN - self.mean) * (self.variance + 1e-6).rsqrt()

    def _see(self, x_BN: Tensor) -> None:
        self.batches += 1
        share = (1 / self.batches).clamp_min(0.02)
        self.mean.lerp_(x_BN.mean(0), share)
        self.variance.lerp_((x_BN - self.mean).square().mean(0), share)


class Tower(nn.Module):
    """Pictures' features -> codes: a pyramid, and a linear layer that sees all of its last map."""

    def __init__(
        self, hidden: int, size: tuple[int, int], levels: int, numbers: int, *, is_standard: bool = False
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(hidden, levels)
        self.smallest = coarse_grid(size, levels)
        self.head = nn.Linear(math.prod(self.smallest) * self.pyramid.channels[-1], numbers)
        self.standard = Standard(numbers) if is_standard else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, numbers)."""
        return self.standard(self.head(fitted(self.pyramid(x_BCHW), self.smallest).flatten(1)))


def coarse_grid(size: tuple[int, int], levels: int) -> tuple[int, int]:
    """Rows and columns of the last of so many levels."""
    height, width = (-(-side // 2 ** (levels - 1)) for side in size)
    return height, width


@dataclass(frozen=True)
class Sight:
    """What an encoder looks at beside the picture."""

    mask: Tensor  # (B, 1, H, W) 1 on the person
    boxes: Tensor  # (B, R, 4)
    visible: Tensor  # (B, R)
    twist: Tensor | None = None  # (B, R, 2, 3) of the crops
    frame_twist: Tensor | None = None  # (B, 1, 2, 3) of the background


class AppearanceEncoder(nn.Module):
    """A picture -> codes of its foreground and, where `numbers` says how long that is, of its background.

    The regions' crops go through one encoder as one batch. For the VAE each code comes with as many logarithms of
    variances behind it.
    """

    def __init__(
        self,
        numbers: dict[str, int],
        *,
        regions: int,
        crop_px: int,
        size: tuple[int, int],
        width: float = 1.0,
        is_vae: bool = False,
        is_standard: bool = False,
    ) -> None:
        super().__init__()
        hidden = scaled(128, width)
        self.crop_px, self.times = crop_px, 2 if is_vae else 1
        self.stem, self.stem_pair = SameConv(3, hidden, 3), ResidualPair(hidden)
        levels = 1
        while crop_px % 2**levels == 0:
            levels += 1
        region, crop = numbers[FOREGROUND] // regions * self.times, (crop_px, crop_px)
        self.region = Tower(hidden, crop, levels, region, is_standard=is_standard)
        self.background = None
        if BACKGROUND in numbers:
            behind = numbers[BACKGROUND] * self.times
            self.background = Tower(hidden, size, _LEVELS, behind, is_standard=is_standard)

    def forward(self, x_B3HW: Tensor, sight: Sight) -> Codes:
        """(B, N) by factor; for the VAE (B, 2 N): means, then logarithms of variances."""
        x_BCHW = self.stem_pair(F.relu(self.stem(x_B3HW)))
        person_BCHW = x_BCHW if self.background is None else x_BCHW * sight.mask
        cut = crops(person_BCHW, sight.boxes, self.crop_px, twist_BR23=sight.twist)
        codes_BRN = self.region(cut).unflatten(0, (len(x_B3HW), -1)) * sight.visible[..., None]
        # Means of all regions first, where there are logarithms too.
        codes = {FOREGROUND: codes_BRN.unflatten(2, (self.times, -1)).transpose(1, 2).flatten(1)}
        if self.background is not None:
            behind_BCHW = x_BCHW * (1 - sight.mask)
            if sight.frame_twist is not None:
                behind_BCHW = _twisted(behind_BCHW, sight.frame_twist)
            codes[BACKGROUND] = self.background(behind_BCHW)
        return codes


@in_float32
def _twisted(x_BCHW: Tensor, twist_B123: Tensor) -> Tensor:
    grid_BHW2 = F.affine_grid(twist_B123[:, 0], list(x_BCHW.shape), align_corners=True)
    return F.grid_sample(x_BCHW, grid_BHW2, padding_mode="border", align_corners=True)


class Decoder(BottleneckUNet):
    """Code and pose maps -> a picture: the first generator of PG2, with its fully connected bottleneck.

    The code stands at every pixel of the published network's input. Here its share of the first convolution is computed
    once for each of its nine taps and laid out, borders included: the same numbers without the memory.
    """

    def __init__(self, numbers: dict[str, int], *, size: tuple[int, int], width: float = 1.0) -> None:
        self.foreground = numbers[FOREGROUND]
        self.numbers = self.foreground + numbers.get(BACKGROUND, 0)
        inputs, smallest = self.numbers + len(JOINTS), coarse_grid(size, _LEVELS)
        super().__init__(inputs, levels=_LEVELS, smallest=smallest, width=width)

    def draw(self, code_BN: Tensor, pose_BJHW: Tensor, places_BRHW: Tensor | None = None) -> Tensor:
        """(B, 3, H, W), linear: clip it to [-1, 1] to save it. Pose maps are -1 and 1.

        `places`, 0 or 1: where the code of each region stands; that of the background then stands where no region is.
        """
        height, width = pose_BJHW.shape[-2:]
        down, across = (-side % 2 ** (_LEVELS - 1) for side in (height, width))
        pose_BJHW = F.pad(pose_BJHW, (0, across, 0, down), value=-1.0)
        weight, bias = self.encoder.first.weight, self.encoder.first.bias
        x_BCHW = F.conv2d(pose_BJHW, weight[:, self.numbers :], bias, padding=1)
        if places_BRHW is None:
            x_BCHW = x_BCHW + self._everywhere(code_BN, (x_BCHW.shape[-2], x_BCHW.shape[-1]))
        else:
            x_BCHW = x_BCHW + self._placed(code_BN, F.pad(places_BRHW, (0, across, 0, down)))
        return self.after_first(x_BCHW)[..., :height, :width]

    def _everywhere(self, code_BN: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, C, H, W) what the first convolution makes of the codes."""
        taps_BC33 = torch.einsum("bn,cnij->bcij", code_BN, self.encoder.first.weight[:, : self.numbers])
        rows_3H, columns_3W = (_reached(side, code_BN) for side in size)
        return torch.einsum("bcij,ih,jw->bchw", taps_BC33, rows_3H, columns_3W)

    def _placed(self, code_BN: Tensor, places_BRHW: Tensor) -> Tensor:
        """(B, C, H, W) what it makes of the regions' codes, each at its place, and of the background's elsewhere."""
        (batch, regions), people = places_BRHW.shape[:2], slice(self.foreground)
        code_BRM, behind_BN = code_BN[:, people].unflatten(1, (regions, -1)), code_BN[:, self.foreground :]
        weight_CN33 = self.encoder.first.weight[:, : self.numbers]
        taps_BCR33 = torch.einsum("brm,crmij->bcrij", code_BRM, weight_CN33[:, people].unflatten(1, (regions, -1)))
        behind_BC133 = torch.einsum("bn,cnij->bcij", behind_BN, weight_CN33[:, self.foreground :])[:, :, None]
        taps = torch.cat([taps_BCR33, behind_BC133], 2)
        places = torch.cat([places_BRHW, 1 - places_BRHW.amax(1, keepdim=True)], 1)
        # A convolution of its own for each picture, as groups of one.
        made = F.conv2d(places.flatten(0, 1)[None], taps.flatten(0, 1), padding=1, groups=batch)
        return made[0].unflatten(0, (batch, -1))


def _reached(side: int, like: Tensor) -> Tensor:
    """(3, side) 1 where a tap before, at or behind a pixel lies within the picture."""
    reached = like.new_ones(3, side)
    reached[0, 0] = reached[2, -1] = 0
    return reached


class Critic(DcganDiscriminator):
    """PG2's critic, down to 8 rows. With `is_original` it is the one for 128x64 whatever the picture's size.

    The last map of a larger picture is then read as rows of the linear layer's length: several scores for one picture.
    """

    def __init__(self, size: tuple[int, int], *, width: float = 1.0, is_original: bool = False) -> None:
        self.is_original = is_original
        size = (128, 64) if is_original else size
        super().__init__(3, layers=max(2, round(math.log2(size[0] / 8))), size=size, width=width)

    def forward(self, x_B3HW: Tensor) -> Tensor:
        """(B,) raw scores, or so many more."""
        if not self.is_original:
            return super().forward(x_B3HW)
        x_BCHW = self.last_map(x_B3HW)
        sides = zip(x_BCHW.shape[-2:], self.smallest, strict=True)
        rows, columns = (max(1, round(side / cell)) * cell for side, cell in sides)
        return self.score(fitted(x_BCHW, (rows, columns)).reshape(-1, self.score.in_features))[:, 0]


class PoseDecoder(ResidualMlp):
    """Pose code -> (B, 18, 3): row and column in [-1, 1], and 0 or 1 for visible, the gradient passed straight on."""

    def __init__(self, hidden: int) -> None:
        super().__init__(POSE_NUMBERS, hidden, 3 * len(JOINTS), is_entry_linear=True)

    def forward(self, code_BN: Tensor) -> Tensor:
        """(B, 18, 3)."""
        found_BN = super().forward(code_BN)
        places_BJ2 = found_BN[:, : 2 * len(JOINTS)].unflatten(1, (-1, 2))
        chance_BJ1 = torch.sigmoid(found_BN[:, 2 * len(JOINTS) :])[..., None]
        return torch.cat([places_BJ2, chance_BJ1 + (chance_BJ1.round() - chance_BJ1).detach()], 2)


def initialise(network: nn.Module, kind: str) -> None:
    """First weights. `original`: Glorot's uniform ones, biases 0, as the original's library begins.

    Hardly anything of a picture then reaches its codes, nor of the codes the decoder, and short trainings end before it
    does. `kaiming` keeps the variance through a convolution; pairs add half as much, and the first pictures are grey.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            if kind == "original":
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu" if isinstance(layer, nn.Conv2d) else "linear")
    if kind == "kaiming":
        for pair in network.modules():
            if isinstance(pair, ResidualPair):
                pair.second.weight.data *= 0.5
        if isinstance(network, Decoder):
            network.encoder.first.weight.data[:, : network.numbers] *= 0.5
            network.decoder.last.weight.data *= 0.1
