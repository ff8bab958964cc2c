"""SCA-GAN's networks: PCT-Net (`PriorTransfer`) predicts the target's edges, IS-Net (`Generator`) paints the picture.

IS-Net holds PCT-Net and a style encoder; its decoder is modulated by the style of the source picture, by the predicted
edges and by the pose. Attribute names are the published files': at width 1 the entries of either equal theirs, but that
IS-Net's file has the layers of the style encoder twice.

Shape suffixes: B batch, C channels, G channels of a guide, J the 18 joints, H W rows and columns.
"""

import functools
import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import instance_norm, scaled
from models.precision import in_float32
from pipeline.people.skeleton import JOINTS

_RUNGS = 5  # times the decoder doubles the size
_START = (8, 6)  # height and width of the map that the decoder begins with, at the published 256x176


class PriorTransfer(nn.Module):
    """PCT-Net: the source's content, the target pose and the joint-wise crops -> the target's content."""

    def __init__(self, *, width: float = 1.0, contents: int = 1) -> None:
        super().__init__()
        narrow, middle, wide = (scaled(channels, width) for channels in (64, 128, 256))
        inputs = contents + len(JOINTS) + contents * len(JOINTS)
        self.prepro = nn.Sequential(nn.ReflectionPad2d(3), *_normed(nn.Conv2d(inputs, narrow, 7, bias=False)))
        self.encoder = nn.Sequential(
            *_normed(nn.Conv2d(narrow, middle, 3, 2, 1, bias=False)),
            *_normed(nn.Conv2d(middle, wide, 3, 2, 1, bias=False)),
        )
        self.residual = nn.Sequential(*(_PlainResidual(wide) for _ in range(6)))
        self.decoder = nn.Sequential(
            *_normed(nn.ConvTranspose2d(wide, middle, 3, 2, 1, 1, bias=False)),
            *_normed(nn.ConvTranspose2d(middle, narrow, 3, 2, 1, 1, bias=False)),
        )
        self.postpro = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(narrow, contents, 7), nn.Tanh())

    def forward(self, edge: Tensor, pose: Tensor, crops: Tensor) -> Tensor:
        """(B, G, H, W) in [-1, 1]: edges (B, G, H, W), white on black, pose (B, J, H, W), crops (B, J G, H, W)."""
        height, width = edge.shape[2:]
        x = torch.cat([edge, pose, crops], dim=1)
        for stage in (self.prepro, self.encoder, self.residual, self.decoder):
            x = stage(x)
        # The decoder rounds odd sizes up.
        return self.postpro(x[..., :height, :width])


def _normed(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    return layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()


class _PlainResidual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), *_normed(nn.Conv2d(channels, channels, 3, bias=False)),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.conv_block(x_BCHW)


class StyleEncoder(nn.Module):
    """(B, 3, H, W) pictures -> (B, C, h, w): a map of styles, where the source has them; 8x6 from 256x176.

    Each of the last five blocks halves the size, as published; with `keeps_rows` only while the map has more than eight
    rows, so that smaller pictures have as fine a map.
    """

    def __init__(self, width: float, norm: str, *, keeps_rows: bool = True) -> None:
        super().__init__()
        channels = [scaled(number, width) for number in (64, 128, 256, 512, 512, 512)]
        self.least_rows = _START[0] if keeps_rows else 0
        self.head_0 = _StyleBlock(3, channels[0], 7, norm)
        for number, (inputs, outputs) in enumerate(itertools.pairwise(channels)):
            self.add_module(f"down_{number}", _StyleBlock(inputs, outputs, 3, norm))

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """(B, C, h, w), sizes rounded up."""
        head, *downs = self.children()
        x = head(image_B3HW, 1)
        for down in downs:
            x = down(x, 2 if x.shape[2] > self.least_rows else 1)
        return x


class _StyleBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str) -> None:
        super().__init__()
        self.conv1 = _StyleLayer(inputs, outputs, kernel, norm)
        self.conv2 = _StyleLayer(outputs, outputs, 3, norm)
        self.skip = _StyleLayer(inputs, outputs, kernel, norm)

    def forward(self, x_BCHW: Tensor, stride: int) -> Tensor:
        return self.conv2(self.conv1(x_BCHW, stride), 1) + self.skip(x_BCHW, stride)


class _StyleLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel)
        self.norm = {"none": nn.Identity, "batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}[norm](outputs)

    def forward(self, x_BCHW: Tensor, stride: int) -> Tensor:
        pad = self.conv.kernel_size[0] // 2
        x_BCHW = F.pad(x_BCHW, (pad,) * 4, mode="reflect")
        return F.relu(self.norm(F.conv2d(x_BCHW, self.conv.weight, self.conv.bias, stride)))


class Spade(nn.Module):
    """Modulates a normalised map by what a guide shows at each place (Park et al. 2019), and LeakyReLU 0.2 after it."""

    def __init__(self, channels: int, guides: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(guides, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, normal_BCHW: Tensor, guide_BGhw: Tensor) -> Tensor:
        """(B, C, H, W); the guide, whose size does not matter, is brought to the map's by the nearest pixel."""
        gamma, beta = self._modulation(guide_BGhw, (normal_BCHW.shape[2], normal_BCHW.shape[3]))
        return F.leaky_relu(torch.addcmul(beta, normal_BCHW, 1 + gamma), 0.2)

    def _modulation(self, guide_BGhw: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """A guide that is much enlarged is the same over large cells, and only near their borders do the convolutions
        see anything new: five rows and columns of each cell say all, and the others repeat the middle one.
        """
        places = [_places(cells, pixels) for cells, pixels in zip(guide_BGhw.shape[2:], size, strict=True)]
        if any(place is None for place in places):
            is_ready = guide_BGhw.shape[2:] == size
            return self._convolved(guide_BGhw if is_ready else F.interpolate(guide_BGhw, size, mode="nearest"))
        coarse = guide_BGhw.repeat_interleave(_FIVE, 2).repeat_interleave(_FIVE, 3)
        rows, columns = (torch.tensor(place, device=guide_BGhw.device) for place in places)
        gamma, beta = (maps.index_select(2, rows).index_select(3, columns) for maps in self._convolved(coarse))
        return gamma, beta

    def _convolved(self, guide_BGHW: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.mlp_shared(guide_BGHW)
        return self.mlp_gamma(hidden), self.mlp_beta(hidden)


_FIVE = 5  # two pixels at either end of a cell see its neighbours through two 3x3 convolutions


@functools.lru_cache(maxsize=256)
def _places(cells: int, pixels: int) -> tuple[int, ...] | None:
    """Which of five rows per cell each pixel repeats; None where the cells are too small to gain much."""
    if pixels < (_FIVE + 2) * cells:
        return None
    numbers = torch.arange(cells, dtype=torch.float32)[None, None]
    cell_of = F.interpolate(numbers, pixels, mode="nearest")[0, 0].long()
    length = torch.bincount(cell_of, minlength=cells)
    place = torch.arange(pixels) - (length.cumsum(0) - length)[cell_of]
    left = length[cell_of] - 1 - place
    within = torch.where(place < 2, place, torch.where(left < 2, _FIVE - 1 - left, 2))
    return tuple((cell_of * _FIVE + within).tolist())


@in_float32
def scale_norm(x_BCHW: Tensor) -> Tensor:
    """Each channel of each sample at mean square 1; what it has in common all over the picture, a colour say, stays."""
    return x_BCHW * torch.rsqrt(x_BCHW.square().mean((2, 3), keepdim=True) + 1e-5)


_NORMS = {"instance": instance_norm, "scale": scale_norm}


class ContentStyleBlock(nn.ModuleDict):
    """Content-Style DeBlk: style, then edges twice; beside it style, then the pose twice; their sum. No shortcut.

    `guides` is channels of each branch's guide by its letter; without `e` there is no content branch.
    """

    def __init__(
        self, inputs: int, outputs: int, styles: int, guides: Mapping[str, int], hidden: int, norm: str = "instance"
    ) -> None:
        between, layers = min(inputs, outputs), dict[str, nn.Module]()
        for letter, channels in guides.items():
            number = _STYLE_OF[letter]
            layers[f"norm_s{number}"] = Spade(inputs, styles, hidden)
            layers[f"conv_s{number}"] = nn.Conv2d(inputs, between, 3, padding=1)
            for step, to in ((1, between), (2, outputs)):
                layers[f"norm_{letter}{step}"] = Spade(between, channels, hidden)
                layers[f"conv_{letter}{step}"] = nn.Conv2d(between, to, 3, padding=1)
        super().__init__(layers)
        self.letters, self.norm = tuple(guides), _NORMS[norm]

    def forward(self, x_BCHW: Tensor, style_BChw: Tensor, guides: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        """(B, outputs, H, W)."""
        normal, branches = self.norm(x_BCHW), []
        for letter in self.letters:
            number = _STYLE_OF[letter]
            x = self[f"conv_s{number}"](self[f"norm_s{number}"](normal, style_BChw))
            guide = F.interpolate(guides[letter], x.shape[2:], mode="nearest")
            for step in (1, 2):
                x = self[f"conv_{letter}{step}"](self[f"norm_{letter}{step}"](self.norm(x), guide))
            branches.append(x)
        return torch.stack(branches).sum(0) if len(branches) > 1 else branches[0]


_STYLE_OF = {"e": 1, "p": 2}  # the number of the style layer that each branch begins with


class SpadeResidualBlock(nn.Module):
    """The residual block of SPADE instead, as the paper's ablation: style, edges and pose are one guide."""

    def __init__(
        self, inputs: int, outputs: int, styles: int, guides: Mapping[str, int], hidden: int, norm: str = "instance"
    ) -> None:
        super().__init__()
        between, channels = min(inputs, outputs), styles + sum(guides.values())
        self.norm = _NORMS[norm]
        self.norm_0, self.conv_0 = Spade(inputs, channels, hidden), nn.Conv2d(inputs, between, 3, padding=1)
        self.norm_1, self.conv_1 = Spade(between, channels, hidden), nn.Conv2d(between, outputs, 3, padding=1)
        self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x_BCHW: Tensor, style_BChw: Tensor, guides: Mapping[str, Tensor]) -> Tensor:
        """(B, outputs, H, W)."""
        size = x_BCHW.shape[2:]
        guide = torch.cat([F.interpolate(maps, size, mode="nearest") for maps in (style_BChw, *guides.values())], 1)
        x = self.conv_0(self.norm_0(self.norm(x_BCHW), guide))
        return self.conv_s(x_BCHW) + self.conv_1(self.norm_1(self.norm(x), guide))


class Generator(nn.Module):
    """IS-Net, and PCT-Net within it: the source person in the target pose.

    With `size` the decoder draws pictures of this height and width whatever it is given, as the published network;
    otherwise pictures of the source's size.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        start: str = "noise",
        contents: int = 1,
        has_prior: bool = True,
        block: str = "content_style",
        encoder_norm: str = "none",
        norm: str = "instance",
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        channels = {number: scaled(number, width) for number in (64, 128, 256, 512)}
        self.start, self.size, self.channels, self.noises = start, size, channels[512], scaled(256, width)
        if has_prior:
            # The names of the published checkpoint's entries.
            self.edge_generator = nn.ModuleDict({"model_edge": PriorTransfer(width=width, contents=contents)})
        self.enc_style = StyleEncoder(width, encoder_norm, keeps_rows=size is None)
        self.fc: nn.Module
        if start == "noise":
            self.fc = nn.Linear(self.noises, channels[512] * _START[0] * _START[1])
        else:
            self.fc = nn.Conv2d(len(JOINTS), channels[512], 3, padding=1)
        kind = SpadeResidualBlock if block == "spade" else ContentStyleBlock
        guides = {"e": contents, "p": len(JOINTS)} if block != "pose_branch" else {"p": len(JOINTS)}
        for name, inputs, outputs in _DECODER:
            layer = kind(channels[inputs], channels[outputs], channels[512], guides, channels[128], norm)
            self.add_module(name, layer)
        self.conv_img = nn.Conv2d(channels[64], 3, 3, padding=1)

    def forward(
        self, source: Tensor, edge: Tensor, pose: Tensor, crops: Tensor, z: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The target's edges (B, G, H, W) as they are predicted, and the picture (B, 3, H, W), both in [-1, 1].

        `source` (B, 3, H, W) and `edge` (B, G, H, W) are in [-1, 1], lines at 1. `z` (B, 256 x width) is the noise to
        begin with; None draws it, as the published network does in every call, in testing too.
        """
        content = self.transfer(edge, pose, crops)
        return content, self.paint(source, content, pose, z)

    def transfer(self, edge: Tensor, pose: Tensor, crops: Tensor) -> Tensor:
        """(B, G, H, W): the target's content, or the source's own where none is predicted."""
        if not hasattr(self, "edge_generator"):
            return edge
        predicted: Tensor = self.edge_generator["model_edge"](edge, pose, crops)
        return predicted

    def paint(self, source: Tensor, content: Tensor, pose: Tensor, z: Tensor | None = None) -> Tensor:
        """(B, 3, H, W): the picture that this content of the target guides."""
        sizes = _ladder(self.size or (source.shape[2], source.shape[3]))
        style, guides = self.enc_style(source), {"e": content, "p": pose}
        x = self._begin(pose, z, sizes[0])
        rungs = iter(sizes[1:])
        for name, *_ in _DECODER:
            if name not in ("head_0", "G_middle_1"):
                x = F.interpolate(x, next(rungs), mode="bilinear", align_corners=False)
            x = self.get_submodule(name)(x, style, guides)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))

    def _begin(self, pose: Tensor, z: Tensor | None, size: tuple[int, int]) -> Tensor:
        if self.start == "pose":
            return self.fc(F.interpolate(pose, size, mode="nearest"))
        if z is None:
            z = torch.randn((len(pose), self.noises), device=pose.device)
        x: Tensor = self.fc(z).unflatten(1, (self.channels, *_START))
        return x if size == _START else F.interpolate(x, size, mode="bilinear", align_corners=False)


# Blocks of the decoder and their channels at full width; before the others than head_0 and G_middle_1 the size doubles.
_DECODER = (
    ("head_0", 512, 512),
    ("G_middle_0", 512, 512),
    ("G_middle_1", 512, 512),
    ("up_0", 512, 512),
    ("up_1", 512, 256),
    ("up_2", 256, 128),
    ("up_3", 128, 64),
)


def _ladder(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of each rung from the start to `size`: halved and rounded, at least 2.

    At 256x176 these are the original's: 8x6, 16x11, 32x22 and so on.
    """
    height, width = size
    halves = [2**rung for rung in range(_RUNGS, 0, -1)]
    return [(_rounded(height / half), _rounded(width / half)) for half in halves] + [size]


def _rounded(side: float) -> int:
    return max(2, math.floor(side + 0.5))


def initialise(generator: Generator, kind: str) -> None:
    """First weights of the generator; the critics keep PyTorch's.

    `original`: N(0, 0.02), those of norms N(1, 0.02), biases PyTorch's. At a small width hardly anything of the source
    then reaches the style map. `kaiming` keeps the variance from layer to layer, and the picture begins near grey;
    source and pose begin with about the same say in it, though pose maps are nearly empty; colours reach the style map
    as they are.
    """
    for name, module in generator.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if kind == "original" or name.endswith(("mlp_gamma", "conv_img")):
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if kind == "kaiming":
                module.weight.data *= _say(name)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    if kind == "kaiming":
        _begin_clear(generator.enc_style)


def _say(name: str) -> float:
    """How much louder than by its variance a layer begins."""
    if ".norm_p" in name and ".mlp_shared" in name:
        return 4.0
    return 0.1 if name.startswith("enc_style.") and name.endswith("conv2.conv") else 1.0


@torch.no_grad()
def _begin_clear(encoder: StyleEncoder) -> None:
    """Let the shortcuts hand on red, green, blue and their negatives, each the mean of nine pixels.

    After a dozen random layers with ReLU the maps of red and blue differ by a sixth to a half of what they share.
    """
    for number, block in enumerate(encoder.children()):
        weight = block.skip.conv.weight
        outputs, inputs, middle = weight.shape[0], weight.shape[1], weight.shape[2] // 2
        weight.zero_()
        for channel in range(min(outputs, 2 * inputs if number == 0 else inputs)):
            sign = -1 if number == 0 and channel >= inputs else 1
            weight[channel, channel % inputs, middle - 1 : middle + 2, middle - 1 : middle + 2] = sign / 9
