"""The textbook step of each system, made from one of ours: its weights, its batch.

ADGAN is written from its publication. Of the others our networks are taken and what we do together or leave out is done
as they publish it: part by part, joint by joint, real and drawn pictures apart, at full size, to a VGG's last layer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.textbook.adgan import TextbookAdgan
from models import dpig, dpig_networks, pg2, regions, scagan, scagan_networks, spt
from models.blocks import _PairDecoder
from models.data import Batch, one_hot, pose_maps
from models.dpig_codes import BACKGROUND, FOREGROUND, Codes
from models.edge_crops import crop_joints
from models.features import Trunk, layer_index
from models.method import Method, Moment
from models.warps import Warps

Step = Callable[[], dict[str, Tensor]]


def textbook_step(method: Method, batch: Batch, phase: str) -> Step:
    """A callable that takes one step and gives the detached terms of the losses. The method is changed."""
    if method.name == "adgan":
        return _adgan(method, batch)
    method.__class__ = _FORMS[method.name]
    for module in method.modules():
        if type(module) in _LAYERS:
            module.__class__ = _LAYERS[type(module)]
    return _whole_step(method, batch, phase)


def _adgan(method: Method, batch: Batch) -> Step:
    state = method.state_dict()
    first = state["generator.enc_content.model.0.conv.weight"]
    style = state["generator.enc_style.model.1.weight"]
    textbook = TextbookAdgan(len(first), len(style), method.settings.learning_rate)
    textbook.take(state, Trunk("vgg16").load().state_dict())
    textbook.to(first.device).train()
    for module in textbook.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    pose = pose_maps(batch.target_joints, batch.size, kind="gaussian", sigma_px=method.settings.sigma_px * batch.scale)
    parsing = one_hot(batch.source_parsing)
    return lambda: textbook.step(pose, batch.source, parsing, batch.target)


def _whole_step(method: Method, batch: Batch, phase: str) -> Step:
    """A step whose losses are differentiated with respect to everything, by optimisers that are not fused."""
    optimisers = method.optimisers(phase)
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["fused"] = False

    def update(name: str, loss: Tensor) -> None:
        optimisers[name].zero_grad()
        loss.backward()
        optimisers[name].step()

    def step() -> dict[str, Tensor]:
        torch.manual_seed(0)
        return method.train_step(batch, update, Moment(phase, 90, 100))

    return step


class _WholeTrunk(Trunk):
    """A VGG that always runs to its end."""

    def taps(self, x_B3HW: Tensor, names: Sequence[str]) -> list[Tensor]:
        kept = []
        for layer in self:
            x_B3HW = layer(x_B3HW)
            kept.append(x_B3HW)
        return [kept[layer_index(self.kind, name)] for name in names]


def _whole_trunk() -> Trunk:
    with torch.random.fork_rng(devices=[]):  # the dice of the step go on as if the VGG had been there
        return _WholeTrunk("vgg16").load()


class _LateDecoder(_PairDecoder):
    """The size is doubled before the 1x1 convolution."""

    def forward(self, code_BS: Tensor, left: list[Tensor]) -> Tensor:
        size = (left[-1].shape[2], left[-1].shape[3])
        x = self.grow(code_BS).unflatten(1, (-1, *self.smallest))
        x = x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)
        for level, pair in enumerate(self.pairs):
            x = pair(torch.cat([x, left[-1 - level]], dim=1))
            if level < len(self.ups):
                x = F.relu(self.ups[level](F.interpolate(x, scale_factor=2)))
        return self.last(x)


class _TextbookPg2(pg2.Pg2):
    """The decoder alone differs."""


class _OneByOne(dpig_networks.AppearanceEncoder):
    """Each region's crop goes through the encoder alone."""

    def forward(self, x_B3HW: Tensor, sight: dpig_networks.Sight) -> Codes:
        x_BCHW = self.stem_pair(F.relu(self.stem(x_B3HW)))
        person_BCHW = x_BCHW if self.background is None else x_BCHW * sight.mask
        codes = []
        for region in range(sight.boxes.shape[1]):
            cut = regions.crops(person_BCHW, sight.boxes[:, region, None], self.crop_px)
            codes.append(self.region(cut) * sight.visible[:, region, None])
        found = {FOREGROUND: torch.cat(codes, 1)}
        if self.background is not None:
            found[BACKGROUND] = self.background(x_BCHW * (1 - sight.mask))
        return found


class _TiledDecoder(dpig_networks.Decoder):
    """The code stands at every pixel of the input."""

    def draw(self, code_BN: Tensor, pose_BJHW: Tensor) -> Tensor:
        height, width = pose_BJHW.shape[-2:]
        down, across = (-side % 16 for side in (height, width))
        pose_BJHW = F.pad(pose_BJHW, (0, across, 0, down), value=-1.0)
        tiled_BNHW = code_BN[..., None, None].expand(-1, -1, *pose_BJHW.shape[-2:])
        return self(torch.cat([tiled_BNHW, pose_BJHW], 1))[..., :height, :width]


class _TextbookDpig(dpig.Dpig):
    """Encoder and decoder differ."""


class _FullSpade(scagan_networks.Spade):
    """The guide is enlarged and convolved at full size."""

    def _modulation(self, guide_BGhw: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return self._convolved(F.interpolate(guide_BGhw, size, mode="nearest"))


class _TextbookScagan(scagan.Scagan):
    def train_step(self, batch: Batch, update: Any, at: Moment) -> dict[str, Tensor]:
        if self._likeness._trunk is None:
            self._likeness._trunk = _whole_trunk()  # moves to the device of what it looks at
        return super().train_step(batch, update, at)

    def _critic_loss(self, critic: torch.nn.Module, real: Tensor, fake: Tensor, seen: Tensor) -> Tensor:
        on_real, on_fake = critic(torch.cat([real, seen], 1)), critic(torch.cat([fake, seen], 1))
        return (self._realness(on_real, True) + self._realness(on_fake, False)) / 2

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        edge, pose, _ = super()._inputs(batch)
        radius_px = max(1, round(self.settings.crop_radius_px * batch.scale))
        crops = []
        for joint in range(batch.source_joints.shape[1]):
            ours, theirs = (joints[:, joint, None] for joints in (batch.source_joints, batch.target_joints))
            crops.append(crop_joints(edge, ours, theirs, radius_px=radius_px))
        return edge, pose, torch.cat(crops, 1)


class _AffineWarps(Warps):
    """A grid by `affine_grid` and a mask at the map's size for each part."""

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        moved = []
        for part in range(self.masks.shape[1]):
            size = list(features_BCHW.shape)
            mask = F.interpolate(self.masks[:, part, None], size[2:], mode="bilinear", align_corners=False)
            grid = F.affine_grid(self.moves[:, part], size, align_corners=True)
            moved.append(F.grid_sample(features_BCHW, grid, align_corners=True) * mask)
        return torch.stack(moved).amax(0)


class _TextbookSpt(spt.Spt):
    def train_step(self, batch: Batch, update: Any, at: Moment) -> dict[str, Tensor]:
        if "_trunk" not in self.__dict__:
            self.__dict__["_trunk"] = _whole_trunk().to(batch.source.device)
        ours, spt.make_warps = spt.make_warps, lambda *args, **kwargs: _affine(ours(*args, **kwargs))
        try:
            return super().train_step(batch, update, at)
        finally:
            spt.make_warps = ours


def _affine(warps: Warps) -> Warps:
    return _AffineWarps(warps.moves, warps.masks)


_FORMS: dict[str, type[Method]] = {
    "pg2": _TextbookPg2,
    "dpig": _TextbookDpig,
    "scagan": _TextbookScagan,
    "spt": _TextbookSpt,
}
_LAYERS: dict[type[torch.nn.Module], type[torch.nn.Module]] = {
    _PairDecoder: _LateDecoder,
    dpig_networks.AppearanceEncoder: _OneByOne,
    dpig_networks.Decoder: _TiledDecoder,
    scagan_networks.Spade: _FullSpade,
}
