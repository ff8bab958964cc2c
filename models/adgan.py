"""ADGAN (Men et al., CVPR 2020): a person as eight codes, one per part, and a pose that the decoder dresses in them.

Shape suffixes: B batch, C channels, H W rows and columns, K the eight parts, S numbers of one part's code. Attribute
names are the published checkpoint's: at width 1 with `texture_vgg: vgg19` the state dict equals it entry for entry.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import (
    Chain,
    ConvBlock,
    InstanceNorm,
    LayerNorm,
    LinearBlock,
    ResidualBlock,
    StyledResidualBlock,
    identity,
    scaled,
)
from models.data import Batch, one_hot, pose_maps
from models.discriminators import ResidualDiscriminator
from models.features import Trunk, layer_index
from models.likeness import Likeness
from models.losses import ADVERSARIAL, foreground_l1
from models.method import Method, Moment, Update
from models.settings import setting
from pipeline.people.labels import LABELS
from pipeline.people.skeleton import JOINTS

_BLOCKS = 8  # residual blocks of the pose encoder, and of the decoder
_VGG_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_VGG_CHANNELS = (64, 128, 256, 512)


@dataclass(frozen=True)
class AdganSettings:
    """The networks, the size they work at, the losses' weights: by default those of the published code.

    `auto` is VGG-19 where `vgg19_weights` names torchvision's file, and the VGG-16 that comes with a package otherwise.
    """

    width: float = setting(1.0, low=0.05, high=2)  # channels, as a share of the published network's
    scale: float = setting(1.0, low=0.25, high=1)  # of the pack's pictures; what is drawn is enlarged
    texture_vgg: str = setting("auto", choices=("auto", "none", "vgg16", "vgg19"))
    pooling: str = setting("picture", choices=("picture", "part"))  # what a part's code is a mean over
    pose_map: str = setting("gaussian", choices=("gaussian", "delta", "disc"))
    sigma_px: float = setting(6.0, low=0.5, high=50)
    first_weights: str = setting("original", choices=("original", "kaiming"))
    learning_rate: float = setting(1e-3, low=0, high=1)
    critics: str = setting("both", choices=("both", "pose", "texture", "none"))  # which of the two judge
    critics_after: float = setting(0.0, low=0, high=1)  # share of the steps before the critics join
    adversarial: str = setting("lsgan", choices=tuple(ADVERSARIAL))
    gan: float = setting(5.0, low=0)
    l1: float = setting(1.0, low=0)
    foreground: float = setting(0.0, low=0)  # extra weight of the person in l1
    perceptual: float = setting(1.0, low=0)
    contextual: float = setting(0.1, low=0)
    loss_vgg: str = setting("auto", choices=("auto", "vgg16", "vgg19"))
    vgg19_weights: str = setting("")

    def trunk(self, choice: str) -> str:
        """`choice` with `auto` resolved."""
        return choice if choice != "auto" else "vgg19" if self.vgg19_weights else "vgg16"

    def has_critic(self, name: str) -> bool:
        """Does the critic `pose` or `texture` judge?"""
        return self.critics in ("both", name)


class PoseEncoder(Chain):
    """(B, 18, H, W) pose maps -> (B, C, H/4, W/4)."""

    def __init__(self, width: float) -> None:
        narrow, middle, wide = (scaled(channels, width) for channels in (64, 128, 256))
        super().__init__(
            ConvBlock(len(JOINTS), narrow, 7, norm=InstanceNorm()),
            ConvBlock(narrow, middle, 4, stride=2, norm=InstanceNorm()),
            ConvBlock(middle, wide, 4, stride=2, norm=InstanceNorm()),
            Chain(*(ResidualBlock(wide) for _ in range(_BLOCKS))),
        )


Box = tuple[int, int, int, int]  # rows from, to, columns from, to; of pixels, multiples of 8


class Surroundings:
    """What lies around a box of a picture that is empty elsewhere: the maps of the picture of nothing.

    A convolution sees the box with a frame of what is known there, or of the border's padding. First a whole empty
    picture goes through, and what each convolution is given is remembered; then boxes do, in the same order.
    """

    def __init__(self, maps: list[Tensor] | None = None, box: Box | None = None) -> None:
        self.maps, self.box, self.met = [] if maps is None else maps, box, 0

    def of(self, box: Box) -> "Surroundings":
        """What lies around this box."""
        return Surroundings(self.maps, box)

    def convolve(self, conv: nn.Conv2d, x_1CHW: Tensor) -> Tensor:
        """What the convolution makes of the box."""
        if self.box is None:
            self.maps.append(x_1CHW)
            return conv(x_1CHW)
        around, self.met = self.maps[self.met], self.met + 1
        (height, width), whole, pad = around.shape[2:], self.maps[0].shape[2], int(conv.padding[0])
        top, bottom, left, right = (side * height // whole for side in self.box)
        first, last = max(0, top - pad), min(height, bottom + pad)
        start, stop = max(0, left - pad), min(width, right + pad)
        above, below = around[..., first:top, left:right], around[..., bottom:last, left:right]
        x_1CHW = torch.cat([above, x_1CHW, below], dim=2)
        x_1CHW = torch.cat([around[..., first:last, start:left], x_1CHW, around[..., first:last, right:stop]], dim=3)
        pads = [pad - (left - start), pad - (stop - right), pad - (top - first), pad - (last - bottom)]
        if any(pads):
            x_1CHW = F.pad(x_1CHW, pads, mode="constant" if conv.padding_mode == "zeros" else conv.padding_mode)
        return F.conv2d(x_1CHW, conv.weight, conv.bias, conv.stride)


def cut(x_BCHW: Tensor, box: Box, step: int = 1) -> Tensor:
    """The box of a map whose cells are `step` pixels wide."""
    top, bottom, left, right = (side // step for side in box)
    return x_BCHW[..., top:bottom, left:right]


def reach(trunk: Trunk, tap: str) -> int:
    """How many pixels away from a change the features of a tap still differ."""
    reached, step = 0, 1
    for index in range(layer_index(trunk.kind, tap) + 1):
        if isinstance(trunk[index], nn.Conv2d | nn.MaxPool2d):
            reached += step
        if isinstance(trunk[index], nn.MaxPool2d):
            step *= 2
    return reached


def part_boxes(masks_NHW: Tensor, margin: int) -> list[Box] | None:
    """For each mask the box in which features may differ from the empty picture's; None where whole ones are no more.

    None also for pictures whose sides are no multiples of 8.
    """
    height, width = masks_NHW.shape[1:]
    if height % 8 or width % 8:
        return None
    boxes = []
    for mask_HW in masks_NHW:
        sides: list[int] = []
        for axis, size in ((1, height), (0, width)):
            shown = mask_HW.amax(axis).nonzero()
            span = (int(shown[0]) - margin, int(shown[-1]) + 1 + margin) if len(shown) else (0, 0)
            sides += [max(0, span[0] // 8 * 8), min(size, -(-span[1] // 8) * 8)]
        boxes.append((sides[0], sides[1], sides[2], sides[3]))
    area = sum((box[1] - box[0]) * (box[3] - box[2]) for box in boxes)
    return boxes if area < (len(boxes) - 1) * height * width else None


class TextureEncoder(nn.Module):
    """(B, 3, H, W) pictures of one part each -> (B, S) codes.

    Four convolutions without norm. With a VGG each is joined by the frozen features of its size, taken from the masked
    picture in [-1, 1] as it is: the original leaves ImageNet's mean and deviation out. The original averages over the
    whole `picture`, where a small part drowns in the grey around it; `part` averages over the part.
    """

    def __init__(self, width: float, vgg: str, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        channels = [scaled(number, width) for number in (64, 128, 256, 512)]
        joined = channels if vgg == "none" else [own + seen for own, seen in zip(channels, _VGG_CHANNELS, strict=True)]
        self.conv1 = ConvBlock(3, channels[0], 7)
        self.conv2 = ConvBlock(joined[0], channels[1], 4, stride=2)
        self.conv3 = ConvBlock(joined[1], channels[2], 4, stride=2)
        self.conv4 = ConvBlock(joined[2], channels[3], 4, stride=2)
        self.model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(joined[3], scaled(64, width), 1))
        if vgg != "none":
            # The checkpoint of the original holds the whole VGG-19, up to its last convolution.
            self.vgg = Trunk(vgg, layers=36 if vgg == "vgg19" else layer_index(vgg, _VGG_TAPS[-1]) + 1)

    def forward(self, image_B3HW: Tensor, part_B1HW: Tensor) -> Tensor:
        """(B, S) codes of the part that the mask shows."""
        image_B3HW = image_B3HW * part_B1HW
        seen = self.vgg.taps(image_B3HW, _VGG_TAPS) if hasattr(self, "vgg") else [None] * 4
        x_BCHW = image_B3HW
        for layer, features in zip((self.conv1, self.conv2, self.conv3, self.conv4), seen, strict=True):
            x_BCHW = layer(x_BCHW)
            if features is not None:
                x_BCHW = torch.cat([x_BCHW, features], dim=1)
        if self.pooling == "part":
            part_B1HW = F.interpolate(part_B1HW, x_BCHW.shape[2:], mode="area")
            x_BCHW = x_BCHW * (part_B1HW / part_B1HW.mean((2, 3), keepdim=True).clamp_min(1e-6))
        return self.model(x_BCHW).flatten(1)

    def codes(self, image_B3HW: Tensor, parts_BKHW: Tensor) -> Tensor:
        """(B, K, S) codes of the parts of each picture: the masked pictures go through as one batch.

        With a VGG on the CPU each is computed within its box instead, see `Surroundings`, where that is less work. A
        GPU would wait for the boxes to be read.
        """
        count, parts = parts_BKHW.shape[:2]
        if hasattr(self, "vgg") and image_B3HW.device.type == "cpu":
            boxes = part_boxes(parts_BKHW.flatten(0, 1), reach(self.vgg, _VGG_TAPS[-1]))
            if boxes is not None:
                return self._within(image_B3HW, parts_BKHW, boxes).unflatten(0, (count, parts))
        codes_NS = self(image_B3HW.repeat_interleave(parts, 0), parts_BKHW.flatten(0, 1)[:, None])
        return codes_NS.unflatten(0, (count, parts))

    def _within(self, image_B3HW: Tensor, parts_BKHW: Tensor, boxes: list[Box]) -> Tensor:
        """(B K, S) codes from the boxes of the parts; around them all is as in the picture of nothing."""
        around = Surroundings()
        empty_1CHW = self._walk(torch.zeros_like(image_B3HW[:1]), around)
        pooled = []
        for number, box in enumerate(boxes):
            mask_11HW = parts_BKHW.flatten(0, 1)[number, None, None]
            image_13HW = image_B3HW[number // parts_BKHW.shape[1], None]
            is_there = box[0] < box[1]
            x_1CHW = (
                self._walk(cut(image_13HW * mask_11HW, box), around.of(box)) if is_there else empty_1CHW[..., :0, :0]
            )
            pooled.append(self._pooled(x_1CHW, empty_1CHW, mask_11HW, box))
        return self.model[1](torch.cat(pooled)).flatten(1)

    def _walk(self, x_1CHW: Tensor, around: Surroundings) -> Tensor:
        """The last map of a box, or of a whole picture where `around` is new."""
        seen, indices = {}, [layer_index(self.vgg.kind, tap) for tap in _VGG_TAPS]
        features = x_1CHW
        for index in range(indices[-1] + 1):
            layer = self.vgg[index]
            features = around.convolve(layer, features) if isinstance(layer, nn.Conv2d) else layer(features)
            seen[index] = features
        for block, index in zip((self.conv1, self.conv2, self.conv3, self.conv4), indices, strict=True):
            x_1CHW = torch.cat([F.relu(around.convolve(block.conv, x_1CHW)), seen[index]], dim=1)
        return x_1CHW

    def _pooled(self, x_1CHW: Tensor, empty_1CHW: Tensor, mask_11HW: Tensor, box: Box) -> Tensor:
        """(1, C, 1, 1) the mean that makes a code, of the map within the box and the empty picture's around it."""
        size = (empty_1CHW.shape[2], empty_1CHW.shape[3])
        if self.pooling == "part":
            share_11HW = F.interpolate(mask_11HW, size, mode="area")
            x_1CHW = x_1CHW * cut(share_11HW / share_11HW.mean((2, 3), keepdim=True).clamp_min(1e-6), box, 8)
            total = x_1CHW.sum((2, 3), keepdim=True)
        else:
            total = empty_1CHW.sum((2, 3), keepdim=True) - cut(empty_1CHW, box, 8).sum((2, 3), keepdim=True)
            total = total + x_1CHW.sum((2, 3), keepdim=True)
        return total / (size[0] * size[1])


class Decoder(nn.Module):
    """Pose features, restyled by AdaIN, back to a picture in [-1, 1]."""

    def __init__(self, width: float) -> None:
        super().__init__()
        wide, middle, narrow = (scaled(channels, width) for channels in (256, 128, 64))
        self.channels = wide
        self.model = nn.Sequential(
            _StyledBlocks(wide),
            nn.Upsample(scale_factor=2),
            ConvBlock(wide, middle, 5, norm=LayerNorm(middle)),
            nn.Upsample(scale_factor=2),
            ConvBlock(middle, narrow, 5, norm=LayerNorm(narrow)),
            ConvBlock(narrow, 3, 7, activation=torch.tanh),
        )

    @property
    def style_numbers(self) -> int:
        """How many numbers of style the blocks eat."""
        return _BLOCKS * 4 * self.channels

    def forward(self, pose_BCHW: Tensor, style_BN: Tensor) -> Tensor:
        """(B, 3, 4 H, 4 W)."""
        x = self.model[0](pose_BCHW, style_BN)
        for layer in self.model[1:]:
            x = layer(x)
        return x


class _StyledBlocks(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.ModuleList(StyledResidualBlock(channels) for _ in range(_BLOCKS))

    def forward(self, x_BCHW: Tensor, style_BN: Tensor) -> Tensor:
        for block, style in zip(self.model, style_BN.chunk(_BLOCKS, dim=1), strict=True):
            x_BCHW = block(x_BCHW, style)
        return x_BCHW


class Generator(nn.Module):
    """Target pose, source picture and source parsing -> the source person in the target pose."""

    def __init__(self, *, width: float = 1.0, texture_vgg: str = "none", pooling: str = "picture") -> None:
        super().__init__()
        style, hidden = scaled(64, width) * len(LABELS), scaled(256, width)
        self.enc_content = PoseEncoder(width)
        self.enc_style = TextureEncoder(width, texture_vgg, pooling)
        self.dec = Decoder(width)
        self.fc = LinearBlock(style, style)
        self.mlp = Chain(
            LinearBlock(style, hidden),
            LinearBlock(hidden, hidden),
            LinearBlock(hidden, self.dec.style_numbers, activation=identity),
        )

    def encode(self, source_B3HW: Tensor, parsing_BKHW: Tensor) -> Tensor:
        """(B, K, S) codes of the parts."""
        return self.enc_style.codes(source_B3HW, parsing_BKHW)

    def decode(self, pose_BJHW: Tensor, codes_BKS: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1]: the person of these codes in this pose."""
        return self.dec(self.enc_content(pose_BJHW), self.mlp(self.fc(codes_BKS.flatten(1))))

    def forward(self, pose_BJHW: Tensor, source_B3HW: Tensor, parsing_BKHW: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1]; parsing one-hot."""
        return self.decode(pose_BJHW, self.encode(source_B3HW, parsing_BKHW))


class Adgan(Method):
    """Generator and two discriminators: does the picture fit the pose, and is it the source's person."""

    name = "adgan"
    Settings = AdganSettings
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {
        "everything": ("",),
        "frozen_encoders": ("generator.fc", "generator.mlp", "generator.dec", "critic_"),
        "decoder": ("generator.fc", "generator.mlp", "generator.dec"),
    }
    # The blocks of the texture encoder, not the encoder: computed again as a whole it would take as much as ever.
    checkpointed = (ResidualBlock, StyledResidualBlock, ConvBlock, ResidualDiscriminator)
    bound = ("pooling", "pose_map")
    edits = frozenset({"dress", "blend"})

    def __init__(self, settings: AdganSettings) -> None:
        super().__init__(settings)
        texture_vgg = settings.trunk(settings.texture_vgg)
        self.generator = Generator(width=settings.width, texture_vgg=texture_vgg, pooling=settings.pooling)
        self.critic_pose = ResidualDiscriminator(3 + len(JOINTS), width=settings.width)
        self.critic_texture = ResidualDiscriminator(6, width=settings.width)
        self._likeness = Likeness(settings.trunk(settings.loss_vgg), settings.vgg19_weights)
        _initialise(self.generator, settings.first_weights)

    def read_frozen(self) -> None:
        """Read the texture encoder's VGG."""
        kind = self.settings.trunk(self.settings.texture_vgg)
        if kind != "none":
            self.generator.enc_style.vgg.load(self._vgg_file(kind))

    def _vgg_file(self, kind: str) -> Path | None:
        return Path(self.settings.vgg19_weights) if kind == "vgg19" else None

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """Adam for each network that learns, as the paper's code."""
        networks: dict[str, nn.Module] = {"generator": self.generator, **self._critics}
        learning = {name: self.learning_parameters(network) for name, network in networks.items()}
        rate = self.settings.learning_rate
        return {
            name: torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)
            for name, parameters in learning.items()
            if parameters
        }

    @property
    def _critics(self) -> dict[str, nn.Module]:
        """The critics that judge, in the paper's order. One that rests stays in the state dict all the same."""
        critics = {"texture": self.critic_texture, "pose": self.critic_pose}
        return {name: critic for name, critic in critics.items() if self.settings.has_critic(name)}

    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Generator, then texture critic, then pose critic, as far as they judge."""
        pose = self._pose(batch)
        fake = self.generator(pose, batch.source, one_hot(batch.source_parsing))
        weights = self.settings
        terms = {"l1": weights.l1 * foreground_l1(fake, batch.target, batch.target_mask, weights.foreground)}
        terms |= self._likeness.terms(fake, batch.target, perceptual=weights.perceptual, contextual=weights.contextual)
        conditions, critics = {"texture": batch.source, "pose": pose}, self._critics
        is_judged = bool(critics) and at.progress >= self.settings.critics_after
        if is_judged:
            scores = [critic(torch.cat([fake, conditions[name]], 1)) for name, critic in reversed(critics.items())]
            verdicts = [self._realness(score, is_real=True) for score in scores]
            terms["gan"] = self.settings.gan * torch.stack(verdicts).mean()
        update("generator", torch.stack(list(terms.values())).sum())
        for name, critic in critics.items() if is_judged else ():
            if self.learning_parameters(critic):
                loss = self.settings.gan * self._critic_loss(critic, batch.target, fake.detach(), conditions[name])
                update(name, loss)
                terms[f"critic_{name}"] = loss
        return {name: term.detach() for name, term in terms.items()}

    def _realness(self, scores: Tensor, *, is_real: bool) -> Tensor:
        return ADVERSARIAL[self.settings.adversarial](scores, is_real=is_real)

    def _critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, condition: Tensor) -> Tensor:
        """Half the sum of both terms; real and fake go through as one batch, which no norm mixes."""
        scores = critic(torch.cat([torch.cat([real, fake]), torch.cat([condition, condition])], dim=1))
        on_real, on_fake = scores.chunk(2)
        return (self._realness(on_real, is_real=True) + self._realness(on_fake, is_real=False)) / 2

    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] for a batch of the network's size."""
        return self.decode(batch, self.encode(batch))

    def encode(self, batch: Batch) -> Tensor:
        """(B, K, S) codes of the source persons' parts."""
        return self.generator.encode(batch.source, one_hot(batch.source_parsing))

    def decode(self, batch: Batch, codes_BKS: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1]: persons of these codes in the target poses."""
        return self.generator.decode(self._pose(batch), codes_BKS)

    def _pose(self, batch: Batch) -> Tensor:
        sigma_px = self.settings.sigma_px * batch.scale
        maps = pose_maps(batch.target_joints, batch.size, kind=self.settings.pose_map, sigma_px=sigma_px)
        return never_flat(maps)


def never_flat(maps_BJHW: Tensor) -> Tensor:
    """The pose maps; those of somebody without any joint become a ramp, 0 at the left border and 1 at the right.

    Maps of nothing stay without contrast through every convolution, and each norm on the way divides by a deviation of
    0: it multiplies the gradient by hundreds, which after sixteen of them is no number any more.
    """
    ramp_W = torch.linspace(0, 1, maps_BJHW.shape[-1], device=maps_BJHW.device)
    is_empty_B = maps_BJHW.flatten(1).amax(1) == 0
    return torch.where(is_empty_B[:, None, None, None], ramp_W, maps_BJHW)


def _initialise(generator: Generator, kind: str) -> None:
    """First weights of the generator; the discriminators keep PyTorch's.

    `original`: N(0, 0.02), biases PyTorch's. At a small width hardly anything of the source then reaches the decoder:
    `kaiming` keeps the variance from layer to layer, and the AdaIN layers begin with a scale around 1.
    """
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if kind == "original":
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    if kind == "kaiming":
        style = generator.mlp.model[-1].fc
        nn.init.ones_(style.bias.view(-1, 2, generator.dec.channels)[:, 1])
