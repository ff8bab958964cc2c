"""For each picture the label map of another one in another pose that could be its own: SPT's pseudo labels.

    S* = argmin over p of the sum over ten parts j of || B_p^j S_p - f_j(B_ps^j S_ps) ||^2   (Song et al. 2019, 3.1)

B are the masks of the parts, S one-hot maps of SPT's ten labels, f_j moves a part of the picture into the pose p, read
at the nearest pixel. So a pixel costs 2 where both show different labels, 1 where one alone shows the part.

Where the page is silent: the body is the torso's box as in Deformable GAN, because with the whole picture for a part
the same silhouette would always win; a part that the candidate does not show costs its pixels in the picture.

Shapes: N pictures, Q of them asked about, P ten parts, h w rows and columns of the small maps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.people.labels import LabelMap
from pipeline.people.parts import (
    PARTS,
    TEN_LABELS,
    TORSO,
    bands,
    draw_parts,
    head_box,
    part_moves,
    part_planes,
    ten_labels,
    torso_length,
)
from pipeline.people.skeleton import Joints, is_present

HEIGHT = 64  # of the small maps

_ALONG, _ACROSS = 8, 4  # places of a part that are looked at to choose whom to compare in full
_BLOCK = 256  # pictures that are compared with all others at once
_UNSEEN = 255

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Gallery:
    """Small label maps (N, h, w) of SPT's ten labels and their joints (N, 18, 3)."""

    maps: LabelMap
    joints: Joints

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, rows: slice | Indices | Sequence[int]) -> "Gallery":
        return Gallery(self.maps[rows], self.joints[rows])

    @cached_property
    def shown(self) -> NDArray[np.uint8]:
        """(N, P, h, w) label + 1 inside each part, 0 outside."""
        height, width = self.maps.shape[1:]
        planes = part_planes(self.joints, body="torso").astype(np.float32)
        return draw_parts(planes, width=width, height=height) * (self.maps[:, None] + np.uint8(1))


def shrink(parsing: LabelMap, joints: Joints) -> tuple[LabelMap, Joints]:
    """A map of our eight labels (H, W) as a small one of SPT's ten, `HEIGHT` high, and the joints (18, 3) in it."""
    height, width = parsing.shape
    small = HEIGHT, max(1, round(width * HEIGHT / height))
    ratio = np.array([small[1] / width, small[0] / height])
    there = is_present(joints)[:, None]
    places = np.where(there, np.maximum((joints[:, :2] + 0.5) * ratio - 0.5, 0), -1)
    moved = np.concatenate([places, joints[:, 2:]], axis=1).astype(np.float32)
    rows, columns = ((np.arange(now) * was + was // 2) // now for was, now in zip(parsing.shape, small, strict=True))
    return ten_labels(parsing[rows[:, None], columns], moved), moved


def is_usable(joints: Joints) -> bool:
    """Does a picture with these joints (18, 3) show both shoulders and hips, which the parts hang on?"""
    return bool(is_present(joints)[list(TORSO)].all())


def costs(query: Gallery, candidates: Gallery) -> NDArray[np.int64]:
    """(N,) the sum above for each candidate; `query` holds one picture."""
    height, width = candidates.maps.shape[1:]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    moves = part_moves(query.joints, candidates.joints, mirror=False).astype(np.float32)
    total = np.zeros(len(candidates), np.int64)
    for part in range(len(PARTS)):
        (a, b, c), (d, e, f) = moves[:, part].transpose(1, 2, 0)[..., None, None]
        # A frame of nothing around the query, where all that falls outside is looked up.
        column, row = a * x + (b * y + c), d * x + (e * y + f)
        column, row = (
            np.clip(np.rint(place, out=place), -1, size, out=place).astype(np.int16) + np.int16(1)
            for place, size in ((column, width), (row, height))
        )
        moved = np.pad(query.shown[0, part], 1)[row, column]
        own = candidates.shown[:, part]
        differ = own != moved
        total += (differ & (own > 0)).sum((1, 2)) + (differ & (moved > 0)).sum((1, 2))
        total += ~own.any((1, 2)) * int((query.shown[0, part] > 0).sum())
    return total


def pose_distances(queries: Joints, candidates: Joints) -> NDArray[np.float32]:
    """(Q, N) root mean square distance of the joints that both show, in torso lengths; the torsos' middles coincide."""
    (ours, our_weight), (theirs, their_weight) = (_normalised(joints) for joints in (queries, candidates))
    counts = our_weight @ their_weight.T
    squares = (ours**2).sum(-1) @ their_weight.T + our_weight @ (theirs**2).sum(-1).T
    squares -= 2 * np.einsum("qjx,njx->qn", ours, theirs, optimize=True)
    distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0) / np.maximum(counts, 1))
    return distances


def _normalised(joints: Joints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, 18, 2) places relative to the torso, 0 where missing, and (N, 18) 1 where present."""
    there = is_present(joints)[..., None].astype(np.float32)
    middle = joints[:, TORSO, :2].mean(1, keepdims=True)
    length = np.maximum(torso_length(joints), 1e-6)[:, None, None].astype(np.float32)
    return (joints[..., :2] - middle) / length * there, there[..., 0]


def shortlists(gallery: Gallery, *, nearest: int, likely: int, min_change: float) -> Iterator[Indices]:
    """For each picture whom to compare it with in full: the `nearest` poses and as many of the most `likely` maps.

    Sorted rows, without those whose pose differs by less than `min_change` torso lengths. How likely a map is, is told
    from 32 places of each part.
    """
    codes, areas = _codes(gallery), _areas(gallery)
    for start in range(0, len(gallery), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = pose_distances(gallery.joints[block], gallery.joints)
        estimates = _estimates(codes[block], areas[block], codes, areas)
        for offset, (distance, estimate) in enumerate(zip(distances, estimates, strict=True)):
            is_other = distance >= min_change
            is_other[start + offset] = False
            rows = np.flatnonzero(is_other)
            by_pose = rows[np.argsort(distance[rows], kind="stable")[:nearest]]
            by_map = rows[np.argsort(estimate[rows], kind="stable")[:likely]]
            yield np.union1d(by_pose, by_map)


def _areas(gallery: Gallery) -> NDArray[np.float32]:
    """(N, P) pixels of each part."""
    blocks = (gallery[start : start + _BLOCK].shown for start in range(0, len(gallery), _BLOCK))
    return np.concatenate([(block > 0).sum((2, 3), dtype=np.float32) for block in blocks])


def _codes(gallery: Gallery) -> NDArray[np.uint8]:
    """(N, P, 32) labels at evenly spread places of each part, `_UNSEEN` outside the picture and of parts not there."""
    along, across = ((np.arange(count) + 0.5) / count for count in (_ALONG, _ACROSS))
    box = head_box(gallery.joints)
    head = np.stack([box[:, [0, 1]], box[:, [2, 1]], box[:, [2, 3]], box[:, [0, 3]]], 1)
    torso = gallery.joints[:, TORSO, :2].astype(np.float64)
    corners = np.concatenate([torso[:, None], head[:, None], bands(gallery.joints)], 1)
    a, b, c, d = (corners[:, :, corner, None, None] for corner in range(4))
    u, v = along[:, None, None], across[:, None]
    places = ((a * (1 - v) + b * v) * (1 - u) + (d * (1 - v) + c * v) * u).reshape(len(gallery), len(PARTS), -1, 2)
    places = np.rint(np.nan_to_num(places, nan=-1)).astype(int)
    height, width = gallery.maps.shape[1:]
    inside = (places >= 0).all(-1) & (places[..., 0] < width) & (places[..., 1] < height)
    rows = np.arange(len(gallery))[:, None, None]
    x, y = (np.clip(places[..., axis], 0, size - 1) for axis, size in ((0, width), (1, height)))
    return np.where(inside, gallery.maps[rows, y, x], _UNSEEN).astype(np.uint8)


def _estimates(
    ours: NDArray[np.uint8], our_areas: NDArray[np.float32], codes: NDArray[np.uint8], areas: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(Q, N) about what `costs` would say."""
    total = np.zeros((len(ours), len(codes)), np.float32)
    every = np.arange(len(TEN_LABELS), dtype=np.uint8)
    for part in range(len(PARTS)):
        mine, theirs = (
            (code[:, part, :, None] == every).reshape(len(code), -1).astype(np.float32) for code in (ours, codes)
        )
        share = mine @ theirs.T / (_ALONG * _ACROSS)
        is_mine, is_theirs = our_areas[:, part, None] > 0, areas[None, :, part] > 0
        both = 2 * areas[None, :, part] * (1 - share)
        total += np.where(is_mine & is_theirs, both, our_areas[:, part, None] + areas[None, :, part])
    return total
