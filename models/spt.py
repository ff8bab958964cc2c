"""SPT (Song et al., CVPR 2019): a label map is moved into the new pose first, and then dressed; no pairs are needed.

H_S moves the label map. It learns from pseudo labels: maps of other people that could be the person's own. H_A draws
the picture. It learns from a circle, there and back, with critics, a pose network P that was trained on the source
pictures before, and a style that is compared region by region. Of the target nothing is read but the joints.

Shape suffixes: B batch, C channels, H W rows and columns, L regions, J the 18 joints. "Half" is half of the size that
H_A works at, where its global network and H_S work (models/spt_networks.py).

What `compat: original` keeps of the published code, and the default mends: height and width change places in the warps
(`models.warps`); at half the size joints are cut to whole pixels while the pose maps' sigma stays; ImageNet's mean and
deviation are taken from pictures in [-1, 1] instead of [0, 1]. Mended in any case: dropout rests when pictures are
drawn; the clipping of gradients, which came too early to have an effect, is left out.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data import Batch
from models.features import Trunk, layer_index, to_imagenet
from models.losses import lsgan
from models.method import Method, Moment, Phase, Update
from models.precision import in_float32
from models.settings import SettingsError, setting
from models.spt_looks import Look, Sizes, halved, make_look, padded
from models.spt_networks import Appearance, Down, PatchCritic, PoseNetwork, Semantic, Up
from models.warps import body_masks, body_parts, crop_faces, joint_patches, make_warps, moved_at_random, ten_labels
from pipeline.people.parts import TEN_LABELS
from pipeline.people.skeleton import JOINTS

_TAP = "relu2_1"
_MASK_PX = 4.0  # of the body masks, for pictures of 256 rows
_MODES = {
    "baseline": ("pose", "appearance"),
    "ts_gt": ("pose", "appearance"),
    "ts_pred": ("pose", "semantic", "appearance"),
    "e2e": ("pose", "semantic", "appearance", "joint"),
}


@dataclass(frozen=True)
class SptSettings:
    """The networks, the sizes they work at, what they learn from: by default as published where that is known.

    The published code has neither H_S nor a training script: learning rate, the phases' shares and H_S's weights are
    ours.
    """

    width: float = setting(1.0, low=0.05, high=2)  # channels, as a share of the published networks'
    scale: float = setting(1.0, low=0.25, high=1)  # of the pack's pictures; what is drawn is enlarged
    mode: str = setting("e2e", choices=tuple(_MODES))
    style_regions: str = setting("semantic", choices=("semantic", "mask", "patch"))  # the ablations of the style loss
    compat: str = setting("mended", choices=("mended", "original"))
    sigma_px: float = setting(6.0, low=0.5, high=50)
    judged: str = setting("full", choices=("full", "half"))  # size at which P and the VGG look at pictures
    learning_rate: float = setting(2e-4, low=0, high=1)
    pose_share: float = setting(0.1, low=0.001, high=1)  # of the steps, for P
    semantic_share: float = setting(0.3, low=0.001, high=1)  # for H_S alone
    joint_share: float = setting(0.2, low=0.001, high=1)  # for both together, at the end; the rest is H_A's
    enhancer_from: float = setting(0.2, low=0, high=1)  # shares of H_A's steps between which the enhancer fades in
    enhancer_until: float = setting(0.4, low=0, high=1)
    critics_after: float = setting(0.0, low=0, high=1)  # share of a phase's steps before its critics join
    gan: float = setting(1.0, low=0)
    face: float = setting(1.0, low=0)
    pose: float = setting(700.0, low=0)
    content: float = setting(0.03, low=0)
    style: float = setting(1.0, low=0)
    l1: float = setting(0.0, low=0)  # of the circle's end to the source; none in the published code
    # Share of H_A's own steps that it first draws the source flipped, shifted and scaled, of which the truth is known.
    own_until: float = setting(0.0, low=0, high=1)
    semantic_gan: float = setting(0.1, low=0)

    def __post_init__(self) -> None:
        if self.enhancer_until < self.enhancer_from:
            raise SettingsError(f"enhancer_until: {self.enhancer_until} is before enhancer_from ({self.enhancer_from})")
        if self.pose_share + self.semantic_share + self.joint_share >= 1:
            raise SettingsError("pose_share: with semantic_share and joint_share it must leave steps for H_A (below 1)")


@dataclass(frozen=True)
class Circle:
    """Source and target looks, the source's picture, the person drawn in the target's look, and drawn back."""

    source: Look
    target: Look
    real: Tensor
    there: Tensor
    back: Tensor


class Spt(Method):
    """H_A, H_S, P, and the critics of pictures, faces and label maps."""

    name = "spt"
    Settings = SptSettings
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {
        "everything": ("",),
        "appearance": ("appearance", "critic_picture", "critic_face"),
    }
    checkpointed = (Down, Up, PatchCritic, PoseNetwork)
    bound = ("mode", "compat")
    reads = frozenset({"pseudo_labels"})
    edits = frozenset({"restyle", "edit"})

    def __init__(self, settings: SptSettings) -> None:
        super().__init__(settings)
        mode, width = settings.mode, settings.width
        # The baseline knows no label maps.
        parts = 0 if mode == "baseline" else len(TEN_LABELS) - 1
        if mode == "baseline":
            self.edits = frozenset()
        if mode == "ts_gt":
            self.reads = frozenset()
        self.phases = tuple(Phase(name, self._share(name)) for name in _MODES[mode])
        self.appearance = Appearance(seen=3 + parts + len(JOINTS), wanted=len(JOINTS) + parts, width=width)
        self.pose_network = PoseNetwork(width)
        self.critic_picture = PatchCritic(3 + parts, width)
        self.critic_face = PatchCritic(3, width) if settings.face else None
        if "semantic" in _MODES[mode]:
            self.semantic = Semantic(width=width)
            self.critic_labels = PatchCritic(len(TEN_LABELS), width)

    def _share(self, phase: str) -> float:
        own = {name: getattr(self.settings, f"{name}_share") for name in ("pose", "semantic", "joint")}
        return own.get(phase, 1 - sum(own[name] for name in _MODES[self.settings.mode] if name in own))

    @cached_property
    def _trunk(self) -> Trunk:
        """The VGG of the losses: read when a step first needs it, and no part of the module's state."""
        trunk = Trunk("vgg16", layers=layer_index("vgg16", _TAP) + 1).load()
        return trunk.to(next(self.parameters()).device)

    def _networks(self, phase: str) -> dict[str, list[nn.Module]]:
        """What learns in a phase, by the name of its optimiser."""
        if phase == "pose":
            return {"pose": [self.pose_network]}
        if phase == "semantic":
            return {"generators": [self.semantic], "critics": [self.critic_labels]}
        critics: list[nn.Module] = [self.critic_picture, *([self.critic_face] if self.critic_face else [])]
        if phase == "joint":
            return {"generators": [self.appearance, self.semantic], "critics": [*critics, self.critic_labels]}
        return {"generators": [self.appearance], "critics": critics}

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """Adam for the generators of the phase together, and for its critics together."""
        learning = {
            name: [parameter for network in networks for parameter in self.learning_parameters(network)]
            for name, networks in self._networks(phase).items()
        }
        return {
            name: torch.optim.Adam(parameters, lr=self.settings.learning_rate, betas=(0.5, 0.999), fused=True)
            for name, parameters in learning.items()
            if parameters
        }

    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """Generators first, then critics. Of the target only the joints are read (`ts_gt`: its label map too)."""
        batch = padded(batch)
        has_critics = at.phase == "joint" or at.progress >= self.settings.critics_after
        if at.phase == "pose":
            terms = {"pose": self._pose_error(batch.source, self._look(batch.source_joints, None, batch))}
            criticism: dict[str, Tensor] = {}
        elif at.phase == "semantic":
            terms, criticism = self._semantic_terms(batch, with_critic=has_critics)
        elif at.phase == "appearance" and at.progress < self.settings.own_until:
            terms, criticism = self._own_terms(batch, at), {}
        else:
            terms, criticism = self._appearance_terms(batch, at, with_critics=has_critics)
            if at.phase == "joint":
                more, judged = self._semantic_terms(batch, with_critic=True)
                terms, criticism = terms | more, criticism | judged
        learning = {
            name for name, networks in self._networks(at.phase).items() if any(map(self.learning_parameters, networks))
        }
        for name, losses in (("pose" if at.phase == "pose" else "generators", terms), ("critics", criticism)):
            if losses and name in learning:
                update(name, torch.stack(list(losses.values())).sum())
        return {name: term.detach() for name, term in (terms | criticism).items()}

    # What is known of a person.

    def _look(self, joints_BJ3: Tensor, labels_BHW: Tensor | None, batch: Batch) -> Look:
        """The look of these joints and ten labels, at the batch's size."""
        sigma_px, cut = self.settings.sigma_px * batch.scale, self.settings.compat == "original"
        return make_look(joints_BJ3, labels_BHW, batch.size, sigma_px=sigma_px, cut=cut)

    def _known_look(self, parsing_BHW: Tensor, joints_BJ3: Tensor, batch: Batch) -> Look:
        """The look of a person whose label map is known."""
        is_blind = self.settings.mode == "baseline"
        return self._look(joints_BJ3, None if is_blind else ten_labels(parsing_BHW, joints_BJ3), batch)

    def _target_look(self, batch: Batch, source: Look) -> Look:
        """The look in the target pose: its label map moved by H_S, or the true one (`ts_gt`), or none."""
        if self.settings.mode == "ts_gt":
            return self._known_look(batch.target_parsing, batch.target_joints, batch)
        look = self._look(batch.target_joints, None, batch)
        if self.settings.mode == "baseline":
            return look
        moved = self._move_labels(source, look, batch).exp()
        full = F.interpolate(moved, batch.size, mode="bilinear", align_corners=False)
        return replace(look, labels=(full[:, 1:], moved[:, 1:]))

    def _move_labels(self, source: Look, target: Look, batch: Batch) -> Tensor:
        """(B, 10, h, w) logarithms of probabilities, at half size."""
        assert source.labels is not None
        labels = source.labels[1]
        size, radius_px = labels.shape[-2:], _MASK_PX * batch.scale / 2
        ours, theirs = (
            torch.cat([look.poses[1], body_masks(look.joints[1], size, radius_px=radius_px)], 1)
            for look in (source, target)
        )
        return self.semantic(torch.cat([1 - labels.sum(1, keepdim=True), labels, ours], 1), theirs)

    # The picture.

    def _paint(self, image: Sizes, source: Look, target: Look, alpha: float = 1.0) -> Tensor:
        """(B, 3, H, W) in [-1, 1]: the person of the picture with the target's look."""
        seen, wanted = (
            tuple(torch.cat(planes, 1) for planes in (parts(0), parts(1)))
            for parts in (
                lambda size: [image[size], *source.planes(size)],
                # The pose comes first here, as published.
                lambda size: target.planes(size)[::-1],
            )
        )
        exchanged = self.settings.compat == "original"
        full, half = (
            make_warps(ours, theirs, picture.shape[-2:], exchanged=exchanged)
            for ours, theirs, picture in zip(source.joints, target.joints, image, strict=True)
        )
        return self.appearance((seen[0], wanted[0]), (seen[1], wanted[1]), (full, half), alpha)

    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] for a batch of the network's size."""
        whole = padded(batch)
        source = self._known_look(whole.source_parsing, whole.source_joints, whole)
        image = self._paint(halved(whole.source), source, self._target_look(whole, source))
        return image[..., : batch.size[0], : batch.size[1]]

    @torch.no_grad()
    def repaint(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) in [-1, 1] at the batch's own size: the source person with the target's own label map and pose.

        For a system in eval mode. SettingsError for the baseline, which knows no label maps.
        """
        if self.settings.mode == "baseline":
            raise SettingsError("spt.mode baseline draws without label maps, so none can be given; train another mode")
        small = batch.scaled(self.settings.scale)
        whole = padded(small)
        source, target = (
            self._known_look(parsing, joints, whole)
            for parsing, joints in (
                (whole.source_parsing, whole.source_joints),
                (whole.target_parsing, whole.target_joints),
            )
        )
        image = self._paint(halved(whole.source), source, target)[..., : small.size[0], : small.size[1]].float()
        if image.shape[-2:] == batch.size:
            return image
        return F.interpolate(image, batch.size, mode="bicubic", align_corners=False).clamp(-1, 1)

    # Losses.

    def _semantic_terms(self, batch: Batch, *, with_critic: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Terms of H_S and of its critic: the pseudo label's pose is the target, its map the truth."""
        if batch.pseudo is None:
            raise SettingsError("spt learns label maps from pseudo labels: read the pictures with models.data.Unpaired")
        source = self._known_look(batch.source_parsing, batch.source_joints, batch)
        parsing, joints = batch.pseudo
        target = self._known_look(parsing, joints, batch)
        assert target.labels is not None
        truth = torch.cat([1 - target.labels[1].sum(1, keepdim=True), target.labels[1]], 1)
        found = self._move_labels(source, target, batch)
        mask = body_masks(target.joints[1], found.shape[-2:], radius_px=_MASK_PX * batch.scale / 2)
        terms = {"labels": -(truth * found * (1 + mask)).sum(1).mean()}
        weight = self.settings.semantic_gan
        if not (with_critic and weight):
            return terms, {}
        terms["labels_gan"] = weight * lsgan(self.critic_labels(found.exp()), is_real=True)
        return terms, {"critic_labels": _criticism(self.critic_labels, truth, [found.exp()])}

    def _appearance_terms(
        self, batch: Batch, at: Moment, *, with_critics: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Terms of H_A (and of H_S behind it, in the joint phase) and of the critics."""
        circle = self._circle(batch, at)
        terms = self._likeness(circle)
        if not with_critics:
            return terms, {}
        source, target = (look.labels[0] if look.labels else None for look in (circle.source, circle.target))
        drawn = [_joined(circle.there, target), _joined(circle.back, source)]
        terms["gan"] = self.settings.gan * _sum(lsgan(self.critic_picture(image), is_real=True) for image in drawn)
        criticism = {"critic_picture": _criticism(self.critic_picture, _joined(circle.real, source), drawn)}
        if self.critic_face is not None:
            terms["face"], criticism["critic_face"] = self._face_terms(circle)
        return terms, criticism

    def _own_terms(self, batch: Batch, at: Moment) -> dict[str, Tensor]:
        """The source drawn from itself, in a look that it is moved to as a whole: here there is a truth."""
        image, parsing, joints = moved_at_random(batch.source, batch.source_parsing, batch.source_joints)
        source = self._known_look(batch.source_parsing, batch.source_joints, batch)
        target = self._known_look(parsing, joints, batch)
        drawn = self._paint(halved(batch.source), source, target, self._alpha(at.progress))
        return {"own": (self.settings.l1 or 1.0) * F.l1_loss(drawn, image)}

    def _circle(self, batch: Batch, at: Moment) -> Circle:
        """The person drawn in the target's look, and from that drawn back."""
        source = self._known_look(batch.source_parsing, batch.source_joints, batch)
        if at.phase == "joint":
            target = self._target_look(batch, source)
        else:
            with torch.no_grad(), _resting(getattr(self, "semantic", None)):
                target = self._target_look(batch, source)
        alpha = 1.0 if at.phase == "joint" else self._alpha(at.progress)
        there = self._paint(halved(batch.source), source, target, alpha)
        back = self._paint((there, F.avg_pool2d(there, 2)), target, source, alpha)
        return Circle(source, target, batch.source, there, back)

    def _alpha(self, progress: float) -> float:
        """The share of the local enhancer in the picture."""
        start, end = self.settings.enhancer_from, self.settings.enhancer_until
        return float(progress >= start) if start == end else min(1.0, max(0.0, (progress - start) / (end - start)))

    def _likeness(self, circle: Circle) -> dict[str, Tensor]:
        weights = self.settings
        terms = {}
        if weights.pose:
            terms["pose"] = self._pose_error(circle.there, circle.target)
            terms["pose"] = terms["pose"] + self._pose_error(circle.back, circle.source)
        if weights.l1:
            terms["l1"] = weights.l1 * F.l1_loss(circle.back, circle.real)
        if weights.content or weights.style:
            real, there, back = (self._seen(image) for image in (circle.real, circle.there, circle.back))
            terms["content"] = weights.content * F.mse_loss(back, real)
            ours, theirs = (self._regions(look, real.shape[-2:]) for look in (circle.source, circle.target))
            shown = (ours.amax((2, 3)) * theirs.amax((2, 3))).detach()
            drawn = grams(there, theirs)
            distances = (style_distance(grams(image, ours), drawn, shown) for image in (real, back))
            terms["style"] = weights.style * _sum(distances)
        return terms

    def _at_judged_size(self, sizes: Sizes) -> Tensor:
        return sizes[self.settings.judged == "half"]

    def _pose_error(self, image: Tensor, look: Look) -> Tensor:
        judged = image if self.settings.judged == "full" else F.avg_pool2d(image, 2)
        return self.settings.pose * F.mse_loss(self.pose_network(judged), self._at_judged_size(look.poses))

    def _seen(self, image: Tensor) -> Tensor:
        """(B, 128, h, w) features of the VGG."""
        image = image if self.settings.judged == "full" else F.avg_pool2d(image, 2)
        # Without the way to [0, 1], which is a quirk of the original.
        image = 2 * image - 1 if self.settings.compat == "original" else image
        return self._trunk.taps(to_imagenet(image), [_TAP])[0]

    def _regions(self, look: Look, size: tuple[int, int]) -> Tensor:
        """(B, L, h, w) masks of the regions whose style is compared."""
        joints, full = look.joints[0], look.poses[0].shape[-2:]
        kind = self.settings.style_regions
        if kind == "patch":
            masks = joint_patches(joints, full)
        elif kind == "mask" or look.labels is None:
            masks = body_parts(joints, full)
        else:
            masks = look.labels[0][:, 1:]  # hair to right leg: the face is left out
        return F.interpolate(masks, size, mode="area")

    def _face_terms(self, circle: Circle) -> tuple[Tensor, Tensor]:
        """What the critic of faces says to H_A, and its own loss; people without a head count nothing."""
        assert self.critic_face is not None
        shown = ((circle.there, circle.target), (circle.back, circle.source), (circle.real, circle.source))
        (there, is_there), (back, is_back), (real, is_real) = (
            crop_faces(image, look.joints[0]) for image, look in shown
        )
        critic, weight = self.critic_face, self.settings.face
        deception = _weighted(critic(there), 1, is_there) + _weighted(critic(back), 1, is_back)
        mistakes = (
            2 * _weighted(critic(real), 1, is_real)
            + _weighted(critic(there.detach()), 0, is_there)
            + _weighted(critic(back.detach()), 0, is_back)
        )
        return weight * deception, mistakes / 2


@in_float32
def grams(features_BCHW: Tensor, masks_BLHW: Tensor) -> Tensor:
    """(B, L, C, C) Gram matrices of the features inside each region, divided by H W, not by the channels."""
    regions = []
    for mask_BHW in masks_BLHW.unbind(1):
        flat_BCN = (features_BCHW * mask_BHW[:, None]).flatten(2)
        regions.append(flat_BCN @ flat_BCN.transpose(1, 2) / flat_BCN.shape[2])
    return torch.stack(regions, 1)


def style_distance(ours_BLCC: Tensor, theirs_BLCC: Tensor, shown_BL: Tensor) -> Tensor:
    """Mean squared difference of Gram matrices, each weighed by how much both show of its region (0..1)."""
    return (shown_BL[..., None, None] * (ours_BLCC - theirs_BLCC)).square().mean()


def _criticism(critic: nn.Module, real: Tensor, fakes: Sequence[Tensor]) -> Tensor:
    """Half the sum of both terms, for each of the fakes."""
    mistakes = _sum(lsgan(critic(fake.detach()), is_real=False) for fake in fakes)
    return (len(fakes) * lsgan(critic(real), is_real=True) + mistakes) / 2


def _weighted(scores: Tensor, wanted: float, weights_B: Tensor) -> Tensor:
    """Least squares of the samples that count."""
    squares_B = (scores - wanted).square().flatten(1).mean(1)
    return (squares_B * weights_B).sum() / weights_B.sum().clamp_min(1)


def _joined(image: Tensor, labels: Tensor | None) -> Tensor:
    return image if labels is None else torch.cat([image, labels], 1)


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


@contextlib.contextmanager
def _resting(network: nn.Module | None) -> Iterator[None]:
    """The network without its dropout, for a while."""
    was_training = network is not None and network.training
    if network is not None:
        network.eval()
    try:
        yield
    finally:
        if network is not None:
            network.train(was_training)
