"""SPT's networks: H_A draws pictures, H_S draws label maps, two kinds of judges look at them.

Shape suffixes: B batch, C channels, H W rows and columns. Attribute names are the published files': at width 1 the
entries of `Appearance`, `PatchCritic(12)` and `PoseNetwork` equal theirs, one for one.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import instance_norm, scaled
from models.warps import Warps, make_warps
from pipeline.people.skeleton import JOINTS

_WIDTHS = (64, 128, 256, 512, 512, 512)
_WARPED = 4  # levels whose skips carry the source's features to the target's pose
_UP = (512, 512, 512, 256, 128)
_DROPPED_OUT = 3  # of these


class WholeNorm(nn.Module):
    """A whole sample at mean 0 and (biased) variance 1, eps 1e-3 inside the root; one scale and one shift."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) normalised."""
        return torch.addcmul(self.bias, F.group_norm(x_BCHW, 1, eps=1e-3), self.weight)


class Down(nn.Module):
    """Leaky ReLU, convolution 4 with stride 2, norm: half the size, rounded down."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool = True) -> None:
        super().__init__()
        layers = [nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), *([WholeNorm()] if norm else [])]
        self.net = nn.Sequential(*layers)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, outputs, H // 2, W // 2)."""
        return self.net(x_BCHW)


class Up(nn.Module):
    """ReLU, transposed convolution 4 with stride 2, norm, dropout of channels.

    The original crops a pixel from each side, which is what the padding does; place 2 is where it does.
    """

    def __init__(self, inputs: int, outputs: int, *, dropout: bool = False) -> None:
        super().__init__()
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        drop = nn.Dropout2d(0.5) if dropout else nn.Identity()
        self.net = nn.Sequential(nn.ReLU(), convolution, nn.Identity(), WholeNorm(), drop)

    def forward(self, x_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, outputs, *size): twice the size, or a pixel more."""
        x_BCHW = self.net[1](self.net[0](x_BCHW), output_size=list(size))
        return self.net[4](self.net[3](x_BCHW))


class Encoder(nn.Module):
    """A convolution and five halvings."""

    def __init__(self, inputs: int, width: float) -> None:
        super().__init__()
        channels = [scaled(number, width) for number in _WIDTHS]
        steps = itertools.pairwise(channels)
        last = len(channels) - 2
        self.net = nn.Sequential(
            nn.Conv2d(inputs, channels[0], 3, 1, 1),
            *(Down(before, after, norm=level < last) for level, (before, after) in enumerate(steps)),
        )

    def forward(self, x_BCHW: Tensor, first: Tensor | None = None, alpha: float = 0.0) -> list[Tensor]:
        """Features of the six levels; `first` fades in as the finest with the share `alpha`."""
        if first is None or alpha == 0:
            features = [self.net[0](x_BCHW)]
        else:
            features = [first if alpha == 1 else (1 - alpha) * self.net[0](x_BCHW) + alpha * first]
        for layer in self.net[1:]:
            features.append(layer(features[-1]))
        return features


class Decoder(nn.Module):
    """Five doublings that take up the skips, and a convolution."""

    def __init__(self, outputs: int, width: float) -> None:
        super().__init__()
        skips, ups = ([scaled(number, width) for number in numbers] for numbers in (_WIDTHS, _UP))
        inputs = [2 * skips[5], *(up + 2 * skip for up, skip in zip(ups, skips[4:0:-1], strict=False))]
        self.net = nn.ModuleList(
            Up(before, after, dropout=level < _DROPPED_OUT)
            for level, (before, after) in enumerate(zip(inputs, ups, strict=True))
        )
        self.net.append(nn.ReLU())
        self.net.append(nn.Conv2d(ups[-1] + 2 * skips[0], outputs, 3, 1, 1))

    def features(self, skips: list[Tensor]) -> Tensor:
        """(B, 128 x width, H, W) of the finest level, without its skip."""
        x = skips[-1]
        for level, layer in enumerate(self.net[: len(_UP)]):
            skip = skips[-2 - level]
            x = layer(x if level == 0 else torch.cat([x, skips[-1 - level]], 1), skip.shape[-2:])
        return x

    def finish(self, x_BCHW: Tensor) -> Tensor:
        """(B, outputs, H, W) from the features with their skip, raw."""
        return self.net[-1](self.net[-2](x_BCHW))


class _Chain(nn.Module):
    """Layers under the name `net`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers)


class _Global(nn.Module):
    """The part of H_A that works at half the size."""

    def __init__(self, seen: int, wanted: int, width: float) -> None:
        super().__init__()
        self.encoder_app = Encoder(seen, width)
        self.encoder_pose = Encoder(wanted, width)
        self.decoder = Decoder(3, width)


class Appearance(nn.Module):
    """H_A: a person's picture, label map and pose -> the person with another label map in another pose.

    The global network works at half the size; the local enhancer adds the finest level. `seen` and `wanted` are the
    channels of what is known of the source and of the target.
    """

    def __init__(self, *, seen: int = 30, wanted: int = 27, width: float = 1.0) -> None:
        super().__init__()
        fine, wide, last = (scaled(channels, width) for channels in (32, 64, 128))
        self.model_global = _Global(seen, wanted, width)
        self.model_local_encoder_app = _Chain(nn.Conv2d(seen, fine, 3, 1, 1), Down(fine, wide))
        self.model_local_encoder_pose = _Chain(nn.Conv2d(wanted, fine, 3, 1, 1), Down(fine, wide))
        self.model_local_decoder = _Chain(Up(last + 2 * wide, wide), nn.ReLU(), nn.Conv2d(wide + 2 * fine, 3, 3, 1, 1))
        first_weights(self)

    def forward(
        self,
        full: tuple[Tensor, Tensor],
        half: tuple[Tensor, Tensor],
        warps: tuple[Warps, Warps],
        alpha: float = 1.0,
    ) -> Tensor:
        """(B, 3, H, W) in [-1, 1] from (seen, wanted) at full and half size, the warps of either, and the fading."""
        local = [
            _two(encoder.net, part)
            for encoder, part in zip((self.model_local_encoder_app, self.model_local_encoder_pose), full, strict=True)
        ] if alpha > 0 else None  # fmt: skip
        seen, wanted = (
            encoder(part, local[place][1] if local else None, alpha)
            for place, (encoder, part) in enumerate(
                zip((self.model_global.encoder_app, self.model_global.encoder_pose), half, strict=True)
            )
        )
        skips = [
            torch.cat([warps[1](ours) if level < _WARPED else ours, theirs], 1)
            for level, (ours, theirs) in enumerate(zip(seen, wanted, strict=True))
        ]
        decoder = self.model_global.decoder
        joined = torch.cat([decoder.features(skips), skips[0]], 1)
        if local is None:
            return _large(decoder, joined)
        up, relu, last = self.model_local_decoder.net
        fine = torch.cat([up(joined, full[0].shape[-2:]), warps[0](local[0][0]), local[1][0]], 1)
        image = torch.tanh(last(relu(fine)))
        return image if alpha == 1 else alpha * image + (1 - alpha) * _large(decoder, joined)


def _two(layers: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    first = layers[0](x)
    return first, layers[1](first)


def _large(decoder: Decoder, joined: Tensor) -> Tensor:
    return torch.tanh(decoder.finish(F.interpolate(joined, scale_factor=2, mode="nearest")))


class PublishedAppearance(Appearance):
    """H_A as published: takes what the released demo gave it, and makes warps and masks itself.

    Alpha is 1, as at test time. Mended is what only other than square pictures show: height and width do not change
    places in the warps unless `compat` is set to `original`. In eval mode the dropout rests, which the demo left on.
    """

    compat = "mended"

    def forward(  # type: ignore[override]
        self, full: Tensor, half: Tensor, source_joints: Tensor, target_joints: Tensor
    ) -> Tensor:
        """(B, 3, H, W) in [-1, 1] from `full` (B, 57, H, W) and `half` (B, 57, H/2, W/2).

        Channels: source picture 3, parsing 9, pose 18, target parsing 9, pose 18. Joints (B, 18, 2) are x, y in pixels
        of `full`, -1 where missing; for `half` they are halved and cut to whole pixels.
        """
        exchanged = self.compat == "original"
        ours, theirs = (_with_scores(joints) for joints in (source_joints, target_joints))
        fine = make_warps(ours, theirs, (full.shape[2], full.shape[3]), exchanged=exchanged)
        coarse = make_warps(_cut_half(ours), _cut_half(theirs), (half.shape[2], half.shape[3]), exchanged=exchanged)
        wide, small = ((planes[:, :30], planes[:, [*range(39, 57), *range(30, 39)]]) for planes in (full, half))
        return super().forward(wide, small, (fine, coarse))


def _with_scores(joints_BJ2: Tensor) -> Tensor:
    """(B, 18, 3) with the score 1 of joints that are there, 0 of those that are not."""
    is_there = (joints_BJ2 >= 0).all(-1, keepdim=True)
    return torch.cat([torch.where(is_there, joints_BJ2, -1).float(), is_there.float()], -1)


def _cut_half(joints_BJ3: Tensor) -> Tensor:
    """Half the coordinates, cut to whole pixels; missing joints stay as they are."""
    places = torch.where(joints_BJ3[..., 2:] > 0, (joints_BJ3[..., :2] * 0.5).trunc(), joints_BJ3[..., :2])
    return torch.cat([places, joints_BJ3[..., 2:]], -1)


class Semantic(nn.Module):
    """H_S: a person's label map, pose and body mask, and another pose and its mask -> the label map in that pose.

    Built as H_A's global network, without warps and with a soft-max: SPT does not publish it.
    """

    def __init__(self, *, labels: int = 10, width: float = 1.0) -> None:
        super().__init__()
        poses = len(JOINTS) + 1
        self.encoder_map = Encoder(labels + poses, width)
        self.encoder_pose = Encoder(poses, width)
        self.decoder = Decoder(labels, width)
        first_weights(self)

    def forward(self, seen: Tensor, wanted: Tensor) -> Tensor:
        """(B, labels, H, W) logarithms of probabilities."""
        pairs = zip(self.encoder_map(seen), self.encoder_pose(wanted), strict=True)
        skips = [torch.cat(pair, 1) for pair in pairs]
        joined = torch.cat([self.decoder.features(skips), skips[0]], 1)
        return F.log_softmax(self.decoder.finish(joined), dim=1)


class InstanceStatistics(nn.Module):
    """Instance norm without weights. The published files carry running statistics, which nothing here reads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) normalised."""
        return instance_norm(x_BCHW)


class PatchCritic(nn.Module):
    """pix2pix's 70x70 PatchGAN: a map of raw scores, one for each patch."""

    def __init__(self, inputs: int, width: float = 1.0) -> None:
        super().__init__()
        channels = [scaled(number, width) for number in (64, 128, 256, 512)]
        layers: list[nn.Module] = [nn.Conv2d(inputs, channels[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after, stride in zip(channels[:-1], channels[1:], (2, 2, 1), strict=True):
            layers += [nn.Conv2d(before, after, 4, stride, 1), InstanceStatistics(after), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, 1, 1))
        first_weights(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, 1, h, w); 30x30 for 256x256."""
        return self.model(x_BCHW)


class PoseNetwork(nn.Module):
    """P: a picture -> its 18 pose maps; CycleGAN's generator of nine residual blocks."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        narrow, middle, wide = (scaled(channels, width) for channels in (64, 128, 256))
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, narrow, 7),
            InstanceStatistics(narrow),
            nn.ReLU(),
        ]
        for before, after in ((narrow, middle), (middle, wide)):
            layers += [nn.Conv2d(before, after, 3, 2, 1), InstanceStatistics(after), nn.ReLU()]
        layers += [_PoseBlock(wide) for _ in range(9)]
        for before, after in ((wide, middle), (middle, narrow)):
            up = nn.ConvTranspose2d(before, after, 3, 2, 1, 1)
            layers += [up, InstanceStatistics(after), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(narrow, len(JOINTS), 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        first_weights(self)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """(B, 18, H, W) in -1..1; sides that are no multiple of 4 are cut at the end."""
        return self.model(image_B3HW)[..., : image_B3HW.shape[-2], : image_B3HW.shape[-1]]


class _PoseBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceStatistics(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceStatistics(channels),
        )  # fmt: skip

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.conv_block(x_BCHW)


def first_weights(network: nn.Module) -> None:
    """N(0, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
