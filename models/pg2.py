"""PG2 (Ma et al., NIPS 2017) and its variants of CS231N (Gupta et al., 2018): a coarse picture, then what it lacks.

G1 draws the person in the pose as well as a pixel loss teaches it; G2 sees that and the source and gives a map of
differences, judged by a critic. Shape suffixes: B batch, H W rows and columns.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import BottleneckUNet, ResidualPair, SameConv, scaled
from models.data import Batch, pose_maps, scaled_size
from models.discriminators import DcganDiscriminator, clip_weights
from models.losses import foreground_l1, log_likelihood, wasserstein
from models.method import Method, Moment, Phase, Update
from models.settings import setting
from pipeline.people.skeleton import JOINTS

CRITICS = ("pairs", "triplet", "wgan", "wgan_triplet")


@dataclass(frozen=True)
class Pg2Settings:
    """The networks, the size they belong to, and how they learn: by default as the released DeepFashion code."""

    width: float = setting(1.0, low=0.05, high=2)  # channels, as a share of the published network's
    scale: float = setting(1.0, low=0.25, high=1)  # of the pack's pictures; what is drawn is enlarged
    rows: int = setting(256, low=16, high=2048)  # size of the pack's pictures, to which the linear layers belong
    columns: int = setting(176, low=16, high=2048)
    variant: str = setting("deepfashion", choices=("deepfashion", "market"))  # G2 with its finest skip, or without
    radius_px: float = setting(4.0, low=0.5, high=50)  # of the discs that show the joints
    coarse: float = setting(0.275, low=0.01, high=1)  # share of the steps for G1; with 1 there is no G2
    critic: str = setting("triplet", choices=CRITICS)
    critic_steps: int = setting(10, low=1, high=1000)  # of a WGAN's critic before each step of G2
    clip: float = setting(0.01, low=1e-4, high=10)  # where a WGAN's critic has its weights cut off
    reconstruction: float = setting(50.0, low=0)  # weight of the pose-mask loss beside the critic's verdict
    learning_rate: float = setting(2e-5, low=0, high=1)
    compat: str = setting("mended", choices=("mended", "original"))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the networks work at, as `Batch.scaled` makes them."""
        return scaled_size((self.rows, self.columns), self.scale)

    @property
    def levels(self) -> int:
        """Of G1: 6 for 256 rows, 5 for 128."""
        return max(3, round(math.log2(self.size[0])) - 2)

    @property
    def is_wasserstein(self) -> bool:
        """Is the critic WGAN's?"""
        return self.critic.startswith("wgan")

    @property
    def is_triplet(self) -> bool:
        """Does the critic judge single pictures: target, generated, source?"""
        return self.critic.endswith("triplet")


class DifferenceNet(nn.Module):
    """G2: the coarse picture and the source (B, 6, H, W) -> what the coarse one lacks (B, 3, H, W), linear.

    A U-Net without residual sums and without a linear layer, so that detail stays where it is. Without `finest_skip`,
    as on Market-1501, nothing at full size gets past the levels: small pictures would be copied from the source.
    """

    def __init__(self, *, levels: int, width: float = 1.0, finest_skip: bool = True) -> None:
        super().__init__()
        n = scaled(128, width)
        wide = [n * (level + 1) for level in range(levels)]
        self.finest_skip = finest_skip
        self.first = SameConv(6, n, 3)
        self.encoder = nn.ModuleList(
            nn.ModuleList([SameConv(before, after, 3), SameConv(after, after, 3)])
            for before, after in zip([n, *wide], wide, strict=False)
        )
        self.downs = nn.ModuleList(SameConv(channels, channels, 3, stride=2) for channels in wide[:-1])
        skips = [channels if level or finest_skip else 0 for level, channels in enumerate(wide)][::-1]
        self.decoder = nn.ModuleList(
            nn.ModuleList([SameConv(before + skip, n, 3), SameConv(n, n, 3)])
            for before, skip in zip([wide[-1], *[n] * (levels - 1)], skips, strict=True)
        )
        self.last = SameConv(n, 3, 3)

    def forward(self, coarse_B3HW: Tensor, source_B3HW: Tensor) -> Tensor:
        """(B, 3, H, W); H and W are multiples of 2 ** (levels - 1)."""
        x, left = F.relu(self.first(torch.cat([coarse_B3HW, source_B3HW], dim=1))), []
        for level, (one, two) in enumerate(self.encoder):
            x = F.relu(two(F.relu(one(F.relu(self.downs[level - 1](x)) if level else x))))
            left.append(x)
        for level, (one, two) in enumerate(self.decoder):
            if level < len(left) - 1 or self.finest_skip:
                x = torch.cat([x, left[-1 - level]], dim=1)
            x = F.relu(two(F.relu(one(x))))
            if level < len(left) - 1:
                x = F.interpolate(x, scale_factor=2)
        return self.last(x)


class Pg2(Method):
    """G1, G2 and the critic.

    Quirks of the released code, which `compat: original` brings back. With a triplet: G2's verdict on DeepFashion is
    the mean over both fakes though nothing of it can change the source, so it counts half; on Market-1501 the critic
    sees G1's picture in its batch too, whose score nobody reads but whose statistics the batch norm mixes in. G2
    begins with random differences; mended, with none. Its arguments for learning rates, which did nothing, are gone.
    """

    name = "pg2"
    Settings = Pg2Settings
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {
        "everything": ("",),
        "frozen_encoders": ("coarse.decoder", "fine.decoder", "fine.last", "critic"),
        "decoder": ("coarse.decoder", "fine.decoder", "fine.last"),
    }
    checkpointed = (ResidualPair, DcganDiscriminator)
    bound = ("radius_px",)

    def __init__(self, settings: Pg2Settings) -> None:
        super().__init__(settings)
        levels, width, size = settings.levels, settings.width, settings.size
        self.step_px = 2 ** (levels - 1)
        smallest = (-(-size[0] // self.step_px), -(-size[1] // self.step_px))
        self.coarse = BottleneckUNet(3 + len(JOINTS), levels=levels, smallest=smallest, width=width)
        self.phases = (Phase("coarse"),)
        networks: list[nn.Module] = [self.coarse]
        if settings.coarse < 1:
            self.phases = (Phase("coarse", settings.coarse), Phase("fine", 1 - settings.coarse))
            finest_skip = settings.variant == "deepfashion"
            self.fine = DifferenceNet(levels=levels - 2, width=width, finest_skip=finest_skip)
            inputs = 3 if settings.is_triplet else 6
            self.critic = DcganDiscriminator(inputs, layers=levels - 1, size=size, width=width)
            networks.append(self.fine)
        for network in networks:
            _initialise(network)
        if settings.coarse < 1 and settings.compat == "mended":
            nn.init.zeros_(self.fine.last.weight)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999); in the second phase RMSProp for both networks of a WGAN."""
        names = ("coarse",) if phase == "coarse" else ("fine", "critic")
        rate, found = self.settings.learning_rate, {}
        for name in names:
            parameters = self.learning_parameters(getattr(self, name))
            if parameters and phase == "fine" and self.settings.is_wasserstein:
                found[name] = torch.optim.RMSprop(parameters, lr=rate)
            elif parameters:
                found[name] = torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)
        return found

    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """First phase: G1 by the pose-mask loss. Second: the critic, then G2, G1 being frozen.

        A WGAN's critic takes `critic_steps` steps, each on a batch of its own, before each step of G2.
        """
        if at.phase == "coarse":
            loss = self._distance(self._draw_coarse(batch), batch)
            update("coarse", loss)
            return {"coarse": loss.detach()}
        with torch.no_grad():
            coarse = self._draw_coarse(batch)
        critic_learns = bool(self.learning_parameters(self.critic))
        period = self.settings.critic_steps if critic_learns and self.settings.is_wasserstein else 1
        is_turn = (at.step + 1) % period == 0
        with torch.set_grad_enabled(is_turn):
            image = self._refine(coarse, batch)
        terms = self._teach_critic(image.detach(), coarse, batch, update) if critic_learns else {}
        if is_turn:
            distance, verdict = self._distance(image, batch), self._verdict(image, coarse, batch)
            update("fine", self.settings.reconstruction * distance + verdict)
            terms |= {"fine": distance, "gan": verdict}
        return {name: term.detach() for name, term in terms.items()}

    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1]; the networks' own output has no bounds."""
        return self.draw_both(batch)[-1]

    def draw_both(self, batch: Batch) -> tuple[Tensor, ...]:
        """What G1 draws, and where there is a G2 what the two draw together, in [-1, 1]."""
        coarse = self._draw_coarse(batch)
        images = (coarse,) if self.settings.coarse == 1 else (coarse, self._refine(coarse, batch))
        return tuple(image.clamp(-1, 1) for image in images)

    def _draw_coarse(self, batch: Batch) -> Tensor:
        radius_px = self.settings.radius_px * batch.scale
        pose = pose_maps(batch.target_joints, batch.size, kind="disc", sigma_px=radius_px) * 2 - 1
        pads = self._pads(batch.size)
        joined = torch.cat([F.pad(batch.source, pads, mode="replicate"), F.pad(pose, pads, value=-1.0)], dim=1)
        return _cut(self.coarse(joined), pads)

    def _refine(self, coarse: Tensor, batch: Batch) -> Tensor:
        pads = self._pads(batch.size)
        padded = (F.pad(image, pads, mode="replicate") for image in (coarse, batch.source))
        return coarse + _cut(self.fine(*padded), pads)

    def _pads(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, right, top, bottom: up to the next size that halves often enough, as 176 columns to 192."""
        down, across = (-side % self.step_px for side in size)
        return across // 2, across - across // 2, down // 2, down - down // 2

    @staticmethod
    def _distance(image: Tensor, batch: Batch) -> Tensor:
        """The pose-mask loss: mean of |image - target| (1 + mask)."""
        return foreground_l1(image, batch.target, batch.target_mask, 1.0)

    def _teach_critic(self, image: Tensor, coarse: Tensor, batch: Batch, update: Update) -> dict[str, Tensor]:
        """A step of the critic: the target is real; what is generated, and in a triplet the source, is not."""
        real, *fakes = self._scores(image, coarse, batch)
        is_wasserstein = self.settings.is_wasserstein
        judge = wasserstein if is_wasserstein else log_likelihood
        loss = judge(real, is_real=True) + torch.stack([judge(fake, is_real=False) for fake in fakes]).mean()
        loss = loss if is_wasserstein else loss / 2
        update("critic", loss)
        if is_wasserstein:
            clip_weights(self.critic, self.settings.clip)
        return {"critic": loss}

    def _verdict(self, image: Tensor, coarse: Tensor, batch: Batch) -> Tensor:
        """What G2 is told by the critic."""
        _, *fakes = self._scores(image, coarse, batch)
        if self.settings.is_wasserstein:
            return wasserstein(fakes[0], is_real=True)
        counts_both = self.settings.compat == "original" and self.settings.variant == "deepfashion"
        judged = fakes if counts_both else fakes[:1]
        return torch.stack([log_likelihood(scores, is_real=True) for scores in judged]).mean()

    def _scores(self, image: Tensor, coarse: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        """(B,) scores of target and generated picture, in a triplet of the source too, from one pass of the critic."""
        seen = [batch.target, image]
        if not self.settings.is_triplet:
            seen = [torch.cat([batch.source, picture], dim=1) for picture in seen]
            return self.critic(torch.cat(seen)).chunk(2)
        seen.append(batch.source)
        if self.settings.compat == "original" and self.settings.variant == "market":
            seen.append(coarse)
        return self.critic(torch.cat(seen)).chunk(len(seen))[:3]


def _cut(x_BCHW: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    left, right, top, bottom = pads
    return x_BCHW[..., top : x_BCHW.shape[-2] - bottom, left : x_BCHW.shape[-1] - right]


def _initialise(network: nn.Module) -> None:
    """Glorot's uniform weights, biases 0, as the original's library begins."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
