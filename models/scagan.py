"""SCA-GAN: Yu et al., Spatial Content Alignment for Pose Transfer, ICME 2021.

Two networks (models/scagan_networks.py), trained one after the other. PCT-Net predicts the target's edge map from the
source's edges, the target pose and what lies around each joint, moved to its new place. IS-Net paints the picture from
the source's style, the predicted edges and the pose. Where the original has a quirk that matters, `compat: original`
reproduces it: the values of the joint-wise crops (models/edge_crops.py), and PCT-Net's running statistics, which move
on while IS-Net learns.

Shape suffixes: B batch, G channels of a guide, J the 18 joints, H W rows and columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data import Batch, one_hot, pose_maps
from models.discriminators import ResidualDiscriminator
from models.edge_crops import crop_joints, crop_joints_as_original
from models.likeness import Likeness
from models.losses import ADVERSARIAL
from models.method import Method, Moment, Phase, Update
from models.scagan_networks import ContentStyleBlock, Generator, SpadeResidualBlock, initialise
from models.settings import SettingsError, setting
from pipeline.people.labels import LABELS
from pipeline.people.skeleton import JOINTS

_CONTENTS = {"edges": 1, "parsing": len(LABELS)}  # channels of the content that is carried over
_PRIOR, _PICTURE = "prior", "picture"  # the phases


@dataclass(frozen=True)
class ScaganSettings:
    """The networks, the size they work at, the losses' weights: but for `compat`, those of the published code.

    `content`, `prior_transfer`, `block` and `encoder_norm` are the paper's ablations. `auto` is VGG-19 where
    `vgg19_weights` names torchvision's file, and the VGG-16 that comes with a package otherwise.
    """

    width: float = setting(1.0, low=0.05, high=2)  # channels, as a share of the published network's
    scale: float = setting(1.0, low=0.25, high=1)  # of the pack's pictures; what is drawn is enlarged
    content: str = setting("edges", choices=tuple(_CONTENTS))  # what PCT-Net carries over to the target pose
    prior_transfer: bool = setting(True)  # without it the source's content guides IS-Net as it is
    block: str = setting("content_style", choices=("content_style", "pose_branch", "spade"))
    encoder_norm: str = setting("none", choices=("none", "batch", "instance"))
    norm: str = setting("instance", choices=("instance", "scale"))  # of the decoder: `scale` leaves channels their mean
    start: str = setting("noise", choices=("noise", "pose"))  # what the decoder begins with
    drawn_noise: str = setting("one", choices=("one", "zero"))  # every picture with the same noise, or with none
    compat: str = setting("mended", choices=("mended", "original"))
    crop_radius_px: int = setting(20, low=1, high=200)
    sigma_px: float = setting(12.0, low=0.5, high=50)  # of the pose maps
    first_weights: str = setting("original", choices=("original", "kaiming"))
    prior_share: float = setting(0.01, low=0.001, high=0.999)  # of the steps: those of PCT-Net
    prior_rate: float = setting(2e-4, low=0, high=1)  # learning rate of PCT-Net and its critics
    learning_rate: float = setting(1e-4, low=0, high=1)
    critics_after: float = setting(0.0, low=0, high=1)  # share of each phase before its critics join
    adversarial: str = setting("lsgan", choices=tuple(ADVERSARIAL))
    gan: float = setting(5.0, low=0)
    l1: float = setting(1.0, low=0)
    perceptual: float = setting(1.0, low=0)
    contextual: float = setting(0.1, low=0)  # of pictures alone
    loss_vgg: str = setting("auto", choices=("auto", "vgg16", "vgg19"))
    vgg19_weights: str = setting("")

    def __post_init__(self) -> None:
        if self.compat == "original" and self.content != "edges":
            raise SettingsError(f"compat: original goes with content: edges, not {self.content}")

    def trunk(self, choice: str) -> str:
        """`choice` with `auto` resolved."""
        return choice if choice != "auto" else "vgg19" if self.vgg19_weights else "vgg16"

    @property
    def has_prior(self) -> bool:
        """Is there a PCT-Net? Not where its edges would guide nothing."""
        return self.prior_transfer and self.block != "pose_branch"


class Scagan(Method):
    """PCT-Net with two critics of edges, then IS-Net with two critics of pictures."""

    name = "scagan"
    Settings = ScaganSettings
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {
        "everything": ("",),
        "frozen_encoders": (*(f"generator.{name}" for name in ("fc", "head_0", "G_", "up_", "conv_img")), "critic_"),
        "decoder": tuple(f"generator.{name}" for name in ("fc", "head_0", "G_", "up_", "conv_img")),
    }
    checkpointed = (ContentStyleBlock, SpadeResidualBlock, ResidualDiscriminator)
    bound = ("content", "encoder_norm", "norm", "compat", "sigma_px")
    reads = frozenset({"edges"})

    def __init__(self, settings: ScaganSettings) -> None:
        super().__init__(settings)
        width, contents = settings.width, _CONTENTS[settings.content]
        self.generator = Generator(
            width=width,
            start=settings.start,
            contents=contents,
            has_prior=settings.has_prior,
            block=settings.block,
            encoder_norm=settings.encoder_norm,
            norm=settings.norm,
        )
        self.critic_pose = ResidualDiscriminator(3 + len(JOINTS), width=width)
        self.critic_texture = ResidualDiscriminator(6, width=width)
        if settings.has_prior:
            self.prior_critic_pose = ResidualDiscriminator(contents + len(JOINTS), width=width)
            self.prior_critic_source = ResidualDiscriminator(2 * contents, width=width)
        self._likeness = Likeness(settings.trunk(settings.loss_vgg), settings.vgg19_weights)
        initialise(self.generator, settings.first_weights)
        self.phases = self._phases()

    def let_learn(self, choice: str) -> None:
        """Freeze every parameter that `trainable[choice]` does not name; a PCT-Net at rest has no phase."""
        super().let_learn(choice)
        self.phases = self._phases()

    def _phases(self) -> tuple[Phase, ...]:
        share = self.settings.prior_share
        learns = self.settings.has_prior and self.learning_parameters(self.generator.edge_generator)
        return (Phase(_PRIOR, share), Phase(_PICTURE, 1 - share)) if learns else (Phase(_PICTURE),)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """Adam (0.5, 0.999) for each network of the phase that learns."""
        if phase == _PRIOR:
            networks = {"generator": self.generator.edge_generator}
            networks |= {"source": self.prior_critic_source, "pose": self.prior_critic_pose}
            rate = self.settings.prior_rate
        else:
            networks = {"generator": self._painter(), "texture": self.critic_texture, "pose": self.critic_pose}
            rate = self.settings.learning_rate
        learning = {name: self.learning_parameters(network) for name, network in networks.items()}
        return {
            name: torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)
            for name, parameters in learning.items()
            if parameters
        }

    def _painter(self) -> nn.Module:
        """What of the generator is IS-Net's own."""
        return nn.ModuleList(part for name, part in self.generator.named_children() if name != "edge_generator")

    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Generator, then the critic that knows the source, then the one that knows the pose."""
        edge, pose, crops = self._inputs(batch)
        if at.phase == _PRIOR:
            fake = self.generator.transfer(edge, pose, crops)
            critics = {"source": (self.prior_critic_source, edge), "pose": (self.prior_critic_pose, pose)}
            terms = self._round(update, at, fake, self._content(batch.target_edges, batch.target_parsing), critics)
            return {f"prior_{name}": term for name, term in terms.items()}
        fake = self.generator.paint(batch.source, self._guide(edge, pose, crops), pose)
        critics = {"texture": (self.critic_texture, batch.source), "pose": (self.critic_pose, pose)}
        return self._round(update, at, fake, batch.target, critics)

    def _round(
        self, update: Update, at: Moment, fake: Tensor, real: Tensor, critics: Mapping[str, tuple[nn.Module, Tensor]]
    ) -> dict[str, Tensor]:
        """One step of a generator and of its critics, each of which sees a condition beside what it judges."""
        weights = self.settings
        contextual = weights.contextual if at.phase == _PICTURE else 0.0
        terms = {"l1": weights.l1 * F.l1_loss(fake, real)}
        terms |= self._likeness.terms(fake, real, perceptual=weights.perceptual, contextual=contextual)
        is_judged = at.progress >= weights.critics_after
        if is_judged:
            verdicts = [self._realness(critic(torch.cat([fake, seen], 1)), True) for critic, seen in critics.values()]
            terms["gan"] = weights.gan * torch.stack(verdicts).mean()
        update("generator", torch.stack(list(terms.values())).sum())
        for name, (critic, seen) in critics.items() if is_judged else ():
            if self.learning_parameters(critic):
                loss = weights.gan * self._critic_loss(critic, real, fake.detach(), seen)
                update(name, loss)
                terms[f"critic_{name}"] = loss
        return {name: term.detach() for name, term in terms.items()}

    def _realness(self, scores: Tensor, is_real: bool) -> Tensor:
        return ADVERSARIAL[self.settings.adversarial](scores, is_real=is_real)

    def _critic_loss(self, critic: nn.Module, real: Tensor, fake: Tensor, seen: Tensor) -> Tensor:
        """Half the sum of both terms; real and fake go through as one batch, which no norm mixes."""
        on_real, on_fake = critic(torch.cat([torch.cat([real, fake]), torch.cat([seen, seen])], dim=1)).chunk(2)
        return (self._realness(on_real, True) + self._realness(on_fake, False)) / 2

    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] for a batch of the network's size; of the target only its joints are read."""
        edge, pose, crops = self._inputs(batch)
        return self.generator.paint(batch.source, self._guide(edge, pose, crops), pose, self._noise(pose))

    @torch.no_grad()
    def predict_content(self, batch: Batch) -> Tensor:
        """(B, G, H, W) in [-1, 1]: what guides the picture, at the network's size, in eval mode."""
        was_training = self.training
        content = self.eval()._guide(*self._inputs(batch.scaled(self.settings.scale)))
        self.train(was_training)
        return content

    @torch.no_grad()
    def _guide(self, edge: Tensor, pose: Tensor, crops: Tensor) -> Tensor:
        """What PCT-Net predicts, its weights at rest: its running statistics rest too, or move on as the original's."""
        if not self.settings.has_prior:
            return edge
        network = self.generator.edge_generator
        was_training = network.training
        network.train(was_training and self.settings.compat == "original")
        content = self.generator.transfer(edge, pose, crops)
        network.train(was_training)
        return content

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The source's content, the target's pose maps, and the joint-wise crops."""
        content = self._content(batch.source_edges, batch.source_parsing)
        pose = pose_maps(batch.target_joints, batch.size, sigma_px=self.settings.sigma_px * batch.scale)
        if not self.settings.has_prior:
            return content, pose, content[:, :0]
        crop = crop_joints_as_original if self.settings.compat == "original" else crop_joints
        radius_px = max(1, round(self.settings.crop_radius_px * batch.scale))
        return content, pose, crop(content, batch.source_joints, batch.target_joints, radius_px=radius_px)

    def _content(self, edges_B1HW: Tensor | None, parsing_BHW: Tensor) -> Tensor:
        if self.settings.content == "parsing":
            return 2 * one_hot(parsing_BHW) - 1
        if edges_B1HW is None:
            raise SettingsError("scagan: the batch has no edges; read the pack with reads={'edges'}")
        return edges_B1HW

    def _noise(self, like: Tensor) -> Tensor | None:
        """(B, 256 x width) noise to draw with, the same for everybody; None where there is none."""
        if self.settings.start != "noise":
            return None
        if self.settings.drawn_noise == "zero":
            return like.new_zeros((len(like), self.generator.noises))
        dice = torch.Generator().manual_seed(0)
        return torch.randn((1, self.generator.noises), generator=dice).to(like).expand(len(like), -1)
