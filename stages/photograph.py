"""A picture file as a network needs it: cropped, its joints and its label map found, as the stages do it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.data import Batch, Pairs, take
from pipeline.crops import Box, find_move
from pipeline.errors import BadItem, UserError
from pipeline.people.edges import draw_edges
from pipeline.people.labels import BACKGROUND, LABELS, LabelMap
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import JOINTS, LEFT_SHOULDER, RIGHT_SHOULDER, Joints, is_present
from pipeline.pictures import Bytes
from pipeline.sources.pictures import check_picture
from stages.crop import person_finder
from stages.looks import Looker, Recipe

# A part that covers less of the picture is a slip of the parser's.
_SHOWN_SHARE = 0.001
_REMEDY = "give a picture that shows one person well, or try another --crop"


@dataclass(frozen=True)
class Photograph:
    """One person, at the size of the network."""

    name: str
    image: Bytes  # (H, W, 3) RGB
    joints: Joints  # (18, 3)
    parsing: LabelMap  # (H, W) labels 0..7
    others: int = 0  # people of comparable size who were left out
    edge_settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def edges(self) -> NDArray[np.uint8]:
        """(H, W) XDoG edges, dark lines on white."""
        return draw_edges(self.image, **self.edge_settings)

    @property
    def parts(self) -> tuple[int, ...]:
        """The labels that the picture shows."""
        shares = np.bincount(self.parsing.ravel(), minlength=len(LABELS)) / self.parsing.size
        return tuple(int(label) for label in np.flatnonzero(shares >= _SHOWN_SHARE))


class PictureFile(Protocol):
    """A path, or what has a name and bytes as a path does."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    def read_bytes(self) -> bytes:
        """All of it."""


File = TypeVar("File", bound=PictureFile)


def read_photographs(paths: Iterable[File], recipe: Recipe, looker: Looker | None = None) -> dict[File, Photograph]:
    """The photograph of every path, each file read once; UserError names the file that does not do and the remedy.

    A `looker` of the same recipe that is at hand spares the loading of its networks.
    """
    looker = looker or Looker(recipe)
    cut = {path: _crop(path, _open(path, recipe), looker) for path in dict.fromkeys(paths)}
    photographs = {}
    seen = looker.see([image for image, _ in cut.values()])
    for (path, (image, left_out)), found in zip(cut.items(), seen, strict=True):
        if found.person is None:
            raise UserError(f"{path}: nobody was found; {_REMEDY}")
        joints = recipe.finding.joints(found.person)
        others = max(found.others, left_out)
        photographs[path] = Photograph(path.name, image, joints, found.labels, others, recipe.edges)
        _check(path, photographs[path], recipe)
    return photographs


def follow_person(frames: Mapping[str, Bytes], recipe: Recipe) -> list[Photograph]:
    """The main person of each frame (H, W, 3) of a film, in order; frames in which nobody is found are left out.

    Frames of the network's size are taken as they are. Others are cut by a window of one size that moves with the
    person, so that nothing trembles. Label maps are left empty: of a pose only joints are read.
    """
    find = person_finder(recipe.pose_weights, recipe.finding.person, recipe.trusted)
    found = {name: person for name, picture in frames.items() if (person := find(picture)[0]) is not None}
    boxes = _steady_boxes([person.box for person in found.values()])
    followed = []
    for (name, person), box in zip(found.items(), boxes, strict=True):
        picture = frames[name]
        mode, original = recipe.crop_of(picture), (picture.shape[1], picture.shape[0])
        try:
            # A picture that is taken as it is need not be moved.
            move = find_move("resize" if mode == "none" else mode, original, recipe.size, box=box)
        except BadItem as bad:
            raise UserError(f"{name}: --crop {mode}: {bad}; {_REMEDY}") from bad
        joints = move.joints(person.joints)
        if is_present(joints).sum() >= recipe.min_joints:
            empty = np.full(recipe.size[::-1], BACKGROUND, np.uint8)
            followed.append(Photograph(name, move.picture(picture), joints, empty, 0, recipe.edges))
    return followed


def _steady_boxes(boxes: Sequence[Box]) -> list[Box]:
    """Boxes of one size, that of nearly the largest, whose middles are means of the boxes' over up to five frames."""
    if not boxes:
        return []
    corners = np.array(boxes).reshape(-1, 2, 2)
    half = np.quantile(corners[:, 1] - corners[:, 0], 0.9, axis=0) / 2
    middles = corners.mean(1)
    # As many frames before as after, so that the window does not lag behind who walks.
    reach = [min(2, frame, len(middles) - 1 - frame) for frame in range(len(middles))]
    steady = [middles[frame - near : frame + near + 1].mean(0) for frame, near in enumerate(reach)]
    return [(float(x - half[0]), float(y - half[1]), float(x + half[0]), float(y + half[1])) for x, y in steady]


def _open(path: PictureFile, recipe: Recipe) -> Bytes:
    try:
        return check_picture(path.read_bytes(), min_size_px=recipe.min_size_px, max_pixels=recipe.max_pixels)
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file, and no picture of that name in the catalog; give the path of a picture"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a picture") from error
    except BadItem as bad:
        raise UserError(f"{path}: {bad}; give another picture") from bad


def _crop(path: PictureFile, picture: Bytes, looker: Looker) -> tuple[Bytes, int]:
    try:
        move, others = looker.cut(picture)
    except BadItem as bad:
        raise UserError(f"{path}: --crop {looker.recipe.crop_of(picture)}: {bad}; {_REMEDY}") from bad
    return move.picture(picture), others


def _check(path: PictureFile, photograph: Photograph, recipe: Recipe) -> None:
    there = is_present(photograph.joints)
    if recipe.finding.sure(photograph.joints).sum() < recipe.min_joints:
        least = f"{recipe.min_joints} are the least"
        raise UserError(f"{path}: only {there.sum()} of {len(JOINTS)} joints were found ({least}); {_REMEDY}")
    if not there[[LEFT_SHOULDER, RIGHT_SHOULDER]].any():
        raise UserError(f"{path}: no shoulder was found; {_REMEDY}")
    share = float((photograph.parsing != BACKGROUND).mean())
    if share < recipe.min_person:
        least = f"{recipe.min_person:.1%} is the least"
        raise UserError(f"{path}: the person fills {share:.1%} of the picture ({least}); {_REMEDY}")


class _Album:
    """Photographs as `models.data.Pictures`: what a pack is to the training."""

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        self.photographs = photographs
        self.keypoints: NDArray[np.float32] = np.stack([photograph.joints for photograph in photographs])

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.photographs[row].image

    def parsing(self, row: int) -> NDArray[np.uint8]:
        return self.photographs[row].parsing

    def mask(self, row: int) -> NDArray[np.uint8]:
        height, width = self.photographs[row].parsing.shape
        return body_mask(self.keypoints[row], width=width, height=height)

    def edges(self, row: int) -> NDArray[np.uint8]:
        return self.photographs[row].edges


def make_batch(person: Photograph, pose: Photograph, reads: Collection[str] = ()) -> Batch:
    """A batch of one pair, as the training reads it: `person` is the source, `pose` the target."""
    pairs = Pairs(_Album([person, pose]), np.array([(0, 1)], np.int32), reads)
    return take(pairs, 1, torch.device("cpu"))
