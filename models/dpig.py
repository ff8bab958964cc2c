"""DPIG (Ma et al., CVPR 2018): a person as three codes, foreground, background and pose, that can be drawn at random.

Stage I learns to draw the very picture that the codes came from, so no pairs are needed; pose transfer gives the
decoder another pose. Stage II learns for each code a mapping from noise to the codes of real pictures.

Shape suffixes: B batch, H W rows and columns, J the 18 joints, N numbers of a code.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.blocks import ResidualPair, scaled
from models.data import Batch, pose_maps, scaled_size
from models.discriminators import clip_weights
from models.dpig_codes import (
    BACKGROUND,
    FOREGROUND,
    NOISE,
    POSE,
    CodeCritic,
    Codes,
    Mapping,
    ResidualMlp,
    WhitenedMapping,
)
from models.dpig_networks import (
    POSE_NUMBERS,
    AppearanceEncoder,
    Critic,
    Decoder,
    PoseDecoder,
    Pyramid,
    Sight,
    initialise,
)
from models.losses import foreground_l1, log_likelihood, wasserstein
from models.method import Method, Moment, Phase, Update, enlarged
from models.regions import limb_mask, pose_joints, pose_vector, random_twists, region_boxes, region_places
from models.settings import SettingsError, setting
from pipeline.people.regions import DEEPFASHION, MARKET, SEVEN, WHOLE, table
from pipeline.people.skeleton import JOINTS

_REGION_NUMBERS, _BACKGROUND_NUMBERS = 32, 128
_HIDDEN = {FOREGROUND: 512, BACKGROUND: 256, POSE: 512}  # of the mapping of each factor
_CLIP = 0.01  # of the weights of the codes' critics
_MASK_PX_AT_128 = 6.0


@dataclass(frozen=True)
class DpigSettings:
    """The networks, the pictures they are made for, the losses' weights: by default those of the published code.

    `layout` decides what the two published networks differ in beside sizes: `market` masks the person and has a branch
    for the background, `deepfashion` has neither. `compat: original` brings the quirks back that are named in the code.
    """

    width: float = setting(1.0, low=0.05, high=2)  # channels, as a share of the published network's
    scale: float = setting(1.0, low=0.25, high=1)  # of the pack's pictures; what is drawn is enlarged
    layout: str = setting("market", choices=("market", "deepfashion"))
    rows: int = setting(128, low=16, high=2048)  # size of the pack's pictures, to which the linear layers belong
    columns: int = setting(64, low=16, high=2048)
    regions: str = setting("seven", choices=("seven", "whole"))  # of the body, encoded one by one
    crop_px: int = setting(48, low=8, high=256)  # side of a region's crop
    mask: str = setting("limbs", choices=("limbs", "labels"))  # what of a picture is the person
    twist: float = setting(0.0, low=0, high=1)  # how far crops are turned and mirrored while learning
    codes: str = setting("raw", choices=("raw", "standard"))  # standard: mean 0 and deviation 1; never with the VAE
    placed: str = setting("everywhere", choices=("everywhere", "limbs"))  # where the decoder is told a region's code
    radius_px: float = setting(4.0, low=0.5, high=50)  # of the discs that show the joints, in the pack's pictures
    sampling: str = setting("mappings", choices=("mappings", "whitened", "vae"))  # how codes are drawn at random
    first_weights: str = setting("original", choices=("original", "kaiming"))
    learning_rate: float = setting(2e-5, low=0, high=1)
    mapping_rate: float = setting(2e-5, low=0, high=1)
    pose_share: float = setting(0.25, low=0, high=0.99)  # of the steps, for the pose branch
    mapping_share: float = setting(0.25, low=0, high=0.99)  # of the steps, for stage II
    critics_after: float = setting(0.0, low=0, high=1)  # share of the first phase before the critic joins
    gan: float = setting(1.0, low=0)
    l1: float = setting(20.0, low=0)
    foreground: float = setting(0.0, low=0)  # extra weight of the person in l1
    kl: float = setting(0.01, low=0)  # of the baseline `sampling: vae`
    compat: str = setting("mended", choices=("mended", "original"))

    def __post_init__(self) -> None:
        if self.pose_share + self.mapping_share >= 1:
            raise SettingsError(f"pose_share: {self.pose_share} and mapping_share {self.mapping_share} leave no step")

    @property
    def is_market(self) -> bool:
        """Is there a mask and a branch for the background?"""
        return self.layout == "market"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the networks work at, as `Batch.scaled` makes them."""
        return scaled_size((self.rows, self.columns), self.scale)

    @property
    def numbers(self) -> dict[str, int]:
        """How long the code of each factor is."""
        seven = len(SEVEN) * scaled(_REGION_NUMBERS, self.width)
        background = {BACKGROUND: scaled(_BACKGROUND_NUMBERS, self.width)} if self.is_market else {}
        return {FOREGROUND: seven, **background, POSE: POSE_NUMBERS}


def _regions(settings: DpigSettings) -> dict[str, tuple[int, ...]]:
    return SEVEN if settings.regions == "seven" else WHOLE


class Dpig(Method):
    """Appearance encoder and decoder with a critic, a pose branch, and for each factor a mapping with a critic.

    The phases: `appearance` (encoder, decoder, critic), `pose` (its auto-encoder), `mappings` (stage II, not for
    `sampling: vae`). Only source pictures are learnt from.

    Under `compat: original`: the boxes' corners are taken at (H - 1) / H of their place, as TensorFlow's normalised
    boxes; the critic has four convolutions and so gives a large picture several verdicts; coordinates of missing joints
    count in the pose loss. Never reproduced: DeepFashion's stage II with other crops than its stage I, and the tester
    that decoded a reconstructed pose for a sampled one.
    """

    name = "dpig"
    Settings = DpigSettings
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {
        "everything": ("",),
        "frozen_encoders": ("decoder.", "critic.", "pose_decoder.", "mappings.", "code_critics."),
        "decoder": ("decoder.", "critic."),
    }
    checkpointed = (ResidualPair, Pyramid, Critic)
    bound = ("layout", "mask", "crop_px", "placed", "radius_px", "compat")
    edits = frozenset({"sample", "reid"})

    def __init__(self, settings: DpigSettings) -> None:
        super().__init__(settings)
        width, is_vae = settings.width, settings.sampling == "vae"
        hidden = scaled(512, width)
        self.encoder = AppearanceEncoder(
            settings.numbers,
            regions=len(_regions(settings)),
            crop_px=settings.crop_px,
            size=settings.size,
            width=width,
            is_vae=is_vae,
            is_standard=settings.codes == "standard" and not is_vae,
        )
        self.decoder = Decoder(settings.numbers, size=settings.size, width=width)
        self.critic = Critic(settings.size, width=width, is_original=settings.compat == "original")
        self.pose_encoder = ResidualMlp(3 * len(JOINTS), hidden, POSE_NUMBERS * (2 if is_vae else 1))
        self.pose_decoder = PoseDecoder(hidden)
        self.mappings, self.code_critics = nn.ModuleDict(), nn.ModuleDict()
        if not is_vae:
            kind = WhitenedMapping if settings.sampling == "whitened" else Mapping
            for factor, numbers in settings.numbers.items():
                self.mappings[factor] = kind(numbers, scaled(_HIDDEN[factor], width))
                self.code_critics[factor] = CodeCritic(numbers, hidden)
        for network in (self.pose_encoder, self.pose_decoder, self.mappings, self.code_critics):
            initialise(network, "original")
        for network in (self.encoder, self.decoder):
            initialise(network, settings.first_weights)
        for mapping in self.mappings.values():
            if isinstance(mapping, WhitenedMapping):
                mapping.begin_with_gaussian()
        if is_vae:
            self._begin_with_little_noise()
        self.register_buffer("table", torch.from_numpy(table(_regions(settings))), persistent=False)
        first = Phase("appearance", 1 - settings.pose_share - settings.mapping_share)
        shares = (first, Phase("pose", settings.pose_share), Phase("mappings", 0 if is_vae else settings.mapping_share))
        self.phases = tuple(phase for phase in shares if phase.share)

    def _begin_with_little_noise(self) -> None:
        """The VAE's codes would else be noise before they tell anything."""
        towers = [tower for tower in (self.encoder.region, self.encoder.background) if tower is not None]
        for head in (*(tower.head for tower in towers), self.pose_encoder.exit):
            spread = slice(head.out_features // 2, None)
            head.weight.data[spread] *= 0.1
            nn.init.constant_(head.bias.data[spread], -4.0)

    @property
    def factors(self) -> tuple[str, ...]:
        """What can be drawn at random: foreground, background (not in the layout `deepfashion`), pose."""
        return tuple(self.settings.numbers)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """Adam in stage I; RMSProp for each mapping and its critic in stage II."""
        rate, mapping_rate = self.settings.learning_rate, self.settings.mapping_rate
        if phase == "mappings":
            networks = {f"mapping_{factor}": network for factor, network in self.mappings.items()}
            networks |= {f"critic_{factor}": network for factor, network in self.code_critics.items()}
        elif phase == "pose":
            networks = {"pose": nn.ModuleList([self.pose_encoder, self.pose_decoder])}
        else:
            networks = {"generator": nn.ModuleList([self.encoder, self.decoder]), "critic": self.critic}
        learning = {name: self.learning_parameters(network) for name, network in networks.items()}
        return {
            name: torch.optim.RMSprop(parameters, lr=mapping_rate, alpha=0.9)
            if phase == "mappings"
            else torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), fused=True)
            for name, parameters in learning.items()
            if parameters
        }

    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """One step of the phase, on the batch's source pictures alone."""
        step = {"appearance": self._learn_appearance, "pose": self._learn_pose, "mappings": self._learn_mappings}
        return {name: term.detach() for name, term in step[at.phase](batch, update, at).items()}

    def _learn_appearance(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Draw the source again; generator, then critic."""
        codes, kl = self._drawn_codes(self.encoder(batch.source, self._sight(batch, self.settings.twist)))
        fake = self._decoded(codes, batch.source_joints, batch)
        distance = foreground_l1(fake, batch.source, self._mask(batch), self.settings.foreground)
        terms = {"l1": self.settings.l1 * distance, **kl}
        has_critic = self.settings.gan > 0 and at.progress >= self.settings.critics_after
        if has_critic:
            terms["gan"] = self.settings.gan * log_likelihood(self.critic(fake), is_real=True)
        update("generator", torch.stack(list(terms.values())).sum())
        if has_critic and self.learning_parameters(self.critic):
            terms["critic"] = self._critic_loss(batch.source, fake.detach())
            update("critic", terms["critic"])
        return terms

    def _critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of the sum; its norms see real and fake pictures together in the layout `deepfashion`, else apart."""
        if self.settings.is_market:
            on_real, on_fake = self.critic(real), self.critic(fake)
        else:
            on_real, on_fake = self.critic(torch.cat([real, fake])).chunk(2)
        return (log_likelihood(on_real, is_real=True) + log_likelihood(on_fake, is_real=False)) / 2

    def _learn_pose(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Joints -> code -> joints."""
        vector = pose_vector(batch.source_joints, batch.size)
        codes, kl = self._drawn_codes({POSE: self.pose_encoder(vector.flatten(1))})
        error = (self.pose_decoder(codes[POSE]) - vector).square()
        if self.settings.compat != "original":
            # Where a missing joint would be says nothing.
            error = torch.cat([error[..., :2] * vector[..., 2:], error[..., 2:]], 2)
        terms = {"pose": self.settings.l1 * error.mean(), **kl}
        update("pose", torch.stack(list(terms.values())).sum())
        return terms

    def _learn_mappings(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Each factor's WGAN: a step of its critic, clipped; with every fifth also one of its mapping.

        `whitened`: with every one. Where a narrow critic has fewer weights, each may be as much larger.
        """
        with torch.no_grad():
            codes = self._codes(batch)
        limit = _CLIP if self.settings.sampling == "mappings" else _CLIP / self.settings.width
        terms = {}
        for factor, mapping in self.mappings.items():
            assert isinstance(mapping, Mapping)
            critic, like = self.code_critics[factor], mapping.real(codes[factor], is_first=at.step == 0)
            on_real, on_fake = critic(like), critic(mapping.fake(like).detach())
            terms[f"critic_{factor}"] = wasserstein(on_real, is_real=True) + wasserstein(on_fake, is_real=False)
            if self.learning_parameters(critic):
                update(f"critic_{factor}", terms[f"critic_{factor}"])
                clip_weights(critic, limit)
            if (at.step + 1) % mapping.critic_steps == 0 and self.learning_parameters(mapping):
                terms[f"mapping_{factor}"] = wasserstein(critic(mapping.fake(like)), is_real=True)
                update(f"mapping_{factor}", terms[f"mapping_{factor}"])
        return terms

    def _drawn_codes(self, told: Codes) -> tuple[Codes, dict[str, Tensor]]:
        """Codes to learn with: those told, or for the VAE drawn around the means told, and its loss term."""
        if self.settings.sampling != "vae":
            return told, {}
        codes, kl = {}, []
        for factor, told_BN in told.items():
            mean_BN, spread_BN = told_BN.chunk(2, 1)
            codes[factor] = mean_BN + torch.randn_like(mean_BN) * (spread_BN / 2).exp()
            kl.append((mean_BN.square() + spread_BN.exp() - 1 - spread_BN).sum(1).mean() / 2)
        return codes, {"kl": self.settings.kl * torch.stack(kl).sum()}

    def _codes(self, batch: Batch) -> Codes:
        told = self.encoder(batch.source, self._sight(batch))
        told[POSE] = self.pose_encoder(pose_vector(batch.source_joints, batch.size).flatten(1))
        return {factor: code_BN[:, : self.settings.numbers[factor]] for factor, code_BN in told.items()}

    def _sight(self, batch: Batch, twist: float = 0.0) -> Sight:
        settings, device = self.settings, batch.source.device
        margins = MARKET if settings.is_market else DEEPFASHION
        boxes, visible = region_boxes(batch.source_joints, batch.size, self.table, margins)
        if settings.compat == "original":
            height, width = batch.size
            boxes = boxes * boxes.new_tensor([1 - 1 / height, 1 - 1 / width] * 2)
        return Sight(
            self._mask(batch),
            boxes,
            visible,
            random_twists(visible.shape, twist, device) if twist else None,
            random_twists((len(boxes), 1), twist, device) if twist else None,
        )

    def _mask(self, batch: Batch) -> Tensor:
        """(B, 1, H, W) 1 on the source person."""
        if self.settings.mask == "labels":
            return (batch.source_parsing > 0).float()[:, None]
        return limb_mask(batch.source_joints, batch.size, self._reach(batch.size))

    def _reach(self, size: tuple[int, int]) -> float:
        """How far a body reaches beyond its limbs, in pixels."""
        return _MASK_PX_AT_128 * size[0] / 128

    def _decoded(self, codes: Codes, joints_BJ3: Tensor, like: Batch) -> Tensor:
        """(B, 3, H, W), not clipped: persons of these codes with these joints, at the size of the batch `like`."""
        pose = pose_maps(joints_BJ3, like.size, kind="disc", sigma_px=self.settings.radius_px * like.scale) * 2 - 1
        if self.settings.placed == "everywhere":
            return self.decoder.draw(self._joined(codes), pose)
        places = region_places(joints_BJ3, like.size, self.table, self._reach(like.size))
        return self.decoder.draw(self._joined(codes), pose, places)

    def _joined(self, codes: Codes) -> Tensor:
        return torch.cat([codes[factor] for factor in self.factors if factor != POSE], 1)

    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] for a batch of the network's size."""
        return self._decoded(self._codes(batch), batch.target_joints, batch).clamp(-1, 1)

    @torch.no_grad()
    def codes(self, batch: Batch) -> Codes:
        """(B, N) of every factor of the source persons, for a batch of any size."""
        return self._codes(batch.scaled(self.settings.scale))

    @torch.no_grad()
    def compose(self, codes: Codes, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] at the batch's size: persons of these codes, of whose pose, too, where it is there.

        Without a code of the pose they take the batch's target poses.
        """
        small = batch.scaled(self.settings.scale)
        joints = pose_joints(self.pose_decoder(codes[POSE]), small.size) if POSE in codes else small.target_joints
        return enlarged(self._decoded(codes, joints, small).clamp(-1, 1), batch.size)

    def noise(self, factor: str, count: int, dice: torch.Generator) -> Tensor:
        """(count, N) to give to `mapped`; the first rows are the same however many there are."""
        rows = [torch.randn(self.settings.numbers[factor], generator=dice) for _ in range(count)]
        return torch.stack(rows) * (NOISE if self.mappings else 1.0)

    @torch.no_grad()
    def mapped(self, factor: str, noise_BN: Tensor) -> Tensor:
        """(B, N) codes of the noise; the VAE's are the noise itself."""
        return self.mappings[factor](noise_BN) if self.mappings else noise_BN

    def find_noise(self, factor: str, code_BN: Tensor, *, steps: int = 400, rate: float = 0.02) -> Tensor:
        """(B, N) the noise whose code is nearest to the given one, found by Adam from 0 (inverse interpolation)."""
        if not self.mappings:
            return code_BN
        noise_BN = torch.zeros_like(code_BN).requires_grad_()
        optimiser = torch.optim.Adam([noise_BN], lr=rate)
        for _ in range(steps):
            optimiser.zero_grad()
            (self.mappings[factor](noise_BN) - code_BN).square().sum().backward(inputs=[noise_BN])
            optimiser.step()
        return noise_BN.detach()
