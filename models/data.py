"""Pairs of pictures as batches: what is read from a pack, and the pose maps that are drawn on the device.

Shape suffixes: B batch, J the 18 joints, H W rows and columns.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from pipeline.errors import UserError
from pipeline.people import labels, skeleton
from pipeline.people.labels import LABELS

Arrays = dict[str, NDArray[Any]]
Samples = TypeVar("Samples", Tensor, list[Any])

# What only some systems read beside pictures, label maps and joints: `edges` of the pack, and `pseudo_labels`, with
# which a system is trained on `Unpaired` pictures.
EXTRAS = ("edges", "pseudo_labels")


class Pictures(Protocol):
    """What is read of a pack, by row."""

    keypoints: NDArray[np.float32]  # (N, 18, 3)

    def image(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""

    def parsing(self, row: int) -> NDArray[np.uint8]:
        """(H, W) labels 0..7."""

    def mask(self, row: int) -> NDArray[np.uint8]:
        """(H, W) 0 or 1, the person's body."""

    def edges(self, row: int) -> NDArray[np.uint8]:
        """(H, W) dark lines on white."""


@dataclass(frozen=True)
class Share:
    """One of `count` equal slices of a batch."""

    place: int = 0
    count: int = 1

    def of(self, samples: Samples) -> Samples:
        """The slice of a list or a tensor whose length `count` divides."""
        size = len(samples) // self.count
        return samples[self.place * size : (self.place + 1) * size]


WHOLE = Share()


@dataclass(frozen=True)
class Batch:
    """Source and target pictures on the device."""

    source: Tensor  # (B, 3, H, W) in [-1, 1]
    source_parsing: Tensor  # (B, H, W) labels 0..7
    source_joints: Tensor  # (B, 18, 3) x, y in pixels, score; missing (-1, -1, 0)
    target: Tensor  # (B, 3, H, W) in [-1, 1]
    target_parsing: Tensor  # (B, H, W)
    target_joints: Tensor  # (B, 18, 3)
    target_mask: Tensor  # (B, 1, H, W) 0 or 1
    source_edges: Tensor | None = None  # (B, 1, H, W) in [-1, 1], lines at 1: read where the system asks for edges
    target_edges: Tensor | None = None
    # Of unpaired pictures, at the size of the pack: the label map (B, H, W) that may be the source's in another pose,
    # and the joints (B, 18, 3) of that pose.
    pseudo: tuple[Tensor, Tensor] | None = None
    scale: float = 1.0  # of the pack's pictures

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.source.shape[-2], self.source.shape[-1]

    def part(self, share: Share) -> "Batch":
        """The same of fewer pairs."""
        if share.count == 1:
            return self
        cut = {key: share.of(value) for key, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **cut, pseudo=self.pseudo and (share.of(self.pseudo[0]), share.of(self.pseudo[1])))

    def scaled(self, scale: float) -> "Batch":
        """The same batch at `scale` times the size, each side rounded to a multiple of 4; joints move along."""
        if scale == 1:
            return self
        height, width = size = scaled_size(self.size, scale)
        ratio = torch.tensor([width / self.size[1], height / self.size[0]], device=self.source.device)
        return replace(
            self,
            source=F.interpolate(self.source, size, mode="area"),
            source_parsing=F.interpolate(self.source_parsing[:, None], size, mode="nearest-exact")[:, 0],
            source_joints=_scaled_joints(self.source_joints, ratio),
            target=F.interpolate(self.target, size, mode="area"),
            target_parsing=F.interpolate(self.target_parsing[:, None], size, mode="nearest-exact")[:, 0],
            target_joints=_scaled_joints(self.target_joints, ratio),
            target_mask=F.interpolate(self.target_mask, size, mode="nearest-exact"),
            source_edges=None if self.source_edges is None else F.interpolate(self.source_edges, size, mode="area"),
            target_edges=None if self.target_edges is None else F.interpolate(self.target_edges, size, mode="area"),
            scale=self.scale * scale,
        )


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """`scale` times the size, each side rounded to a multiple of 4; at a scale of 1 the size as it is."""
    height, width = (round(side * scale / 4) * 4 for side in size)
    return size if scale == 1 else (height, width)


def _scaled_joints(joints_BJ3: Tensor, ratio: Tensor) -> Tensor:
    places = torch.where(is_present(joints_BJ3)[..., None], (joints_BJ3[..., :2] + 0.5) * ratio - 0.5, -1)
    # A joint in the outermost half pixel would get a negative coordinate, which means missing.
    places = torch.where(is_present(joints_BJ3)[..., None], places.clamp_min(0), places)
    return torch.cat([places, joints_BJ3[..., 2:]], dim=-1)


def is_present(joints_BJ3: Tensor) -> Tensor:
    """(B, 18) which joints are there."""
    return (joints_BJ3[..., 2] > 0) & (joints_BJ3[..., 0] >= 0) & (joints_BJ3[..., 1] >= 0)


def pose_maps(joints_BJ3: Tensor, size: tuple[int, int], *, kind: str = "gaussian", sigma_px: float = 6.0) -> Tensor:
    """(B, 18, H, W) in 0..1 for `size` (H, W), as `pipeline.people.heatmaps.render` defines the kinds."""
    height, width = size
    dx_BJ1W = torch.arange(width, device=joints_BJ3.device) - joints_BJ3[..., 0, None, None]
    dy_BJH1 = torch.arange(height, device=joints_BJ3.device)[:, None] - joints_BJ3[..., 1, None, None]
    is_there_BJ11 = is_present(joints_BJ3)[..., None, None]
    if kind == "gaussian":
        bell_BJH1, bell_BJ1W = (torch.exp(-d.square() / (2 * sigma_px**2)) for d in (dy_BJH1, dx_BJ1W))
        return (bell_BJH1 * is_there_BJ11) * bell_BJ1W
    if kind == "disc":
        maps = (dx_BJ1W.square() + dy_BJH1.square() <= sigma_px**2).float()
    elif kind == "delta":
        # -0.5 <= d < 0.5 holds for one pixel, also for a joint half way between two.
        maps = ((dx_BJ1W > -0.5) & (dx_BJ1W <= 0.5) & (dy_BJH1 > -0.5) & (dy_BJH1 <= 0.5)).float()
    else:
        raise ValueError(f"heat map kind '{kind}' is not one of delta, gaussian, disc")
    return maps * is_there_BJ11


def one_hot(parsing_BHW: Tensor) -> Tensor:
    """(B, 8, H, W) float from labels 0..7."""
    return (parsing_BHW[:, None] == torch.arange(len(LABELS), device=parsing_BHW.device)[:, None, None]).float()


@dataclass(frozen=True)
class Draw:
    """One sample to read: a row of the pair table, and whether both pictures are mirrored."""

    pair: int
    is_mirrored: bool = False


class Pairs(Dataset[Arrays]):
    """Pairs of a pack: `pairs[draw]` gives numpy arrays, pictures as uint8 (H, W, 3), as they are stored."""

    def __init__(self, pictures: Pictures, rows: NDArray[np.int32], reads: Collection[str] = ()) -> None:
        """`rows` (M, 2): source row, target row. `reads`: what a system reads beside the rest, of `EXTRAS`."""
        if len(rows) == 0:
            raise UserError("there are no pairs to read: look at data/pairs/*/quarantine.csv and the split's shares")
        self.pictures, self.rows, self.reads = pictures, rows, frozenset(reads)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Draw) -> Arrays:
        source, target = (int(row) for row in self.rows[draw.pair])
        joints = self.pictures.keypoints
        arrays: Arrays = {
            "source": self.pictures.image(source),
            "source_parsing": self.pictures.parsing(source),
            "source_joints": joints[source],
            "target": self.pictures.image(target),
            "target_parsing": self.pictures.parsing(target),
            "target_joints": joints[target],
            "target_mask": self.pictures.mask(target),
        }
        if "edges" in self.reads:
            arrays |= {"source_edges": self.pictures.edges(source), "target_edges": self.pictures.edges(target)}
        return _mirrored(arrays) if draw.is_mirrored else arrays


class Unpaired(Pairs):
    """Pictures, each with the pose of any other one: of the target nothing is read but the joints.

    What else a batch has of the target is the source's own. `rows` (M, 2) are the pictures, and for each the one whose
    label map and joints are its pseudo label.
    """

    def __len__(self) -> int:
        return len(self.rows) * max(1, len(self.rows) - 1)

    def __getitem__(self, draw: Draw) -> Arrays:
        place, step = divmod(draw.pair, max(1, len(self.rows) - 1))
        source, pseudo = (int(row) for row in self.rows[place])
        pose = int(self.rows[(place + 1 + step) % len(self.rows), 0])
        joints, image, parsing = self.pictures.keypoints, self.pictures.image(source), self.pictures.parsing(source)
        arrays: Arrays = {
            "source": image,
            "source_parsing": parsing,
            "source_joints": joints[source],
            "target": image,
            "target_parsing": parsing,
            "target_joints": joints[pose],
            "target_mask": (parsing != labels.BACKGROUND).astype(np.uint8),
            "pseudo_parsing": self.pictures.parsing(pseudo),
            "pseudo_joints": joints[pseudo],
        }
        return _mirrored(arrays) if draw.is_mirrored else arrays


def _mirrored(arrays: Arrays) -> Arrays:
    width = arrays["source"].shape[1]
    flipped = {
        key: skeleton.flip(value, width) if key.endswith("joints") else value[:, ::-1] for key, value in arrays.items()
    }
    return {key: np.ascontiguousarray(value) for key, value in flipped.items()}


class Draws(Sampler[list[Draw]]):
    """What each step reads: pairs drawn with replacement, a function of seed and step alone, and a share of them."""

    def __init__(self, pairs: int, steps: range, *, batch: int, seed: int, mirror: bool, share: Share = WHOLE) -> None:
        self.pairs, self.steps, self.batch, self.seed, self.mirror = pairs, steps, batch, seed, mirror
        self.share = share

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in self.steps:
            dice = np.random.default_rng((self.seed, step))
            pairs = dice.integers(self.pairs, size=self.batch)
            mirrored = dice.random(self.batch) < (0.5 if self.mirror else 0)
            yield self.share.of([Draw(int(pair), bool(flag)) for pair, flag in zip(pairs, mirrored, strict=True)])


_AHEAD = 4  # batches that each reading process has ready


def batches(pairs: Pairs, draws: Sampler[list[Draw]], *, device: torch.device, workers: int = 0) -> Iterator[Batch]:
    """The drawn samples on `device`, in the order of the draws whatever the number of reading processes.

    With -1 workers the pictures of a GPU are read by up to four processes, those of the CPU by the training itself.
    """
    on_cuda = device.type == "cuda"
    if workers < 0:
        workers = min(4, max(1, (os.cpu_count() or 1) - 1)) if on_cuda else 0
    loader: DataLoader[Any] = DataLoader(
        pairs,
        batch_sampler=draws,
        num_workers=workers,
        pin_memory=on_cuda,
        prefetch_factor=_AHEAD if workers else None,
    )
    for arrays in loader:
        yield to_batch(arrays, device)


def to_batch(arrays: dict[str, Tensor], device: torch.device) -> Batch:
    """Collated arrays of `Pairs` on the device: pictures (B, 3, H, W) in [-1, 1], masks (B, 1, H, W) as float."""
    moved = {key: value.to(device, non_blocking=True) for key, value in arrays.items()}
    for key in ("source", "target"):
        moved[key] = moved[key].permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    moved["target_mask"] = moved["target_mask"][:, None].float()
    for key in {"source_edges", "target_edges"} & moved.keys():
        moved[key] = 1 - moved[key][:, None].float() / 127.5
    pseudo = (moved.pop("pseudo_parsing"), moved.pop("pseudo_joints")) if "pseudo_parsing" in moved else None
    return Batch(**moved, pseudo=pseudo)


def across(people: Sequence[Arrays], poses: Sequence[Arrays]) -> Batch:
    """Each person of `people` (its source) with the pose of the same place in `poses` (its target), on the CPU."""
    joined = [
        {key: (person if key.startswith("source") else pose)[key] for key in person}
        for person, pose in zip(people, poses, strict=True)
    ]
    return to_batch(default_collate(joined), torch.device("cpu"))


def to_levels(picture_BCHW: Tensor) -> Tensor:
    """uint8 levels of pictures in [-1, 1]."""
    return ((picture_BCHW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


_RECOLOURED = (labels.BACKGROUND, labels.UPPER_CLOTHES, labels.PANTS, labels.SKIRT)
_RECOLOURED_SHARE = 0.75


def recoloured(batch: Batch, dice: torch.Generator, share: Share = WHOLE) -> Batch:
    """The batch with other mean colours for clothes and background, the same in source and target.

    Three in four of these parts of each pair are moved to a colour drawn at random; their shading and pattern stay. Few
    people then teach many colours. Skin and hair stay. The dice are cast for the whole batch that this is a `share` of.
    """
    count, parts = len(batch.source) * share.count, len(LABELS)
    colours_BK3 = share.of(torch.rand((count, parts, 3), generator=dice)) * 1.8 - 0.9
    is_changed_BK = share.of(torch.rand((count, parts), generator=dice)) < _RECOLOURED_SHARE
    is_changed_BK[:, [label for label in range(parts) if label not in _RECOLOURED]] = False
    device = batch.source.device
    shift_BK3 = (colours_BK3.to(device) - _mean_colours(batch)) * is_changed_BK[..., None].to(device)
    return replace(
        batch,
        source=_shifted(batch.source, batch.source_parsing, shift_BK3),
        target=_shifted(batch.target, batch.target_parsing, shift_BK3),
    )


def _mean_colours(batch: Batch) -> Tensor:
    """(B, K, 3) of every part over both pictures; 0 for a part that neither shows."""
    image_B3N = torch.cat([batch.source.flatten(2), batch.target.flatten(2)], dim=2)
    labels_BN = torch.cat([batch.source_parsing.flatten(1), batch.target_parsing.flatten(1)], dim=1)
    masks_BKN = (labels_BN[:, None] == torch.arange(len(LABELS), device=labels_BN.device)[:, None]).to(image_B3N)
    return (masks_BKN @ image_B3N.transpose(1, 2)) / masks_BKN.sum(2, keepdim=True).clamp_min(1)


def _shifted(image_B3HW: Tensor, parsing_BHW: Tensor, shift_BK3: Tensor) -> Tensor:
    samples = torch.arange(len(image_B3HW), device=image_B3HW.device)[:, None, None]
    return (image_B3HW + shift_BK3[samples, parsing_BHW.long()].permute(0, 3, 1, 2)).clamp(-1, 1)


def take(pairs: Pairs, count: int, device: torch.device) -> Batch:
    """One batch of `count` pairs (or all, if fewer) spread evenly over the table."""
    chosen = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
    return to_batch(default_collate([pairs[Draw(int(pair))] for pair in chosen]), device)
