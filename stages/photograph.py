"""A picture file as a network needs it: cropped, its joints and its label map found, as the stages do it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.data import Batch, Pairs, take
from models.detectors.parsing import SHIPPED as PARSING_WEIGHTS
from models.detectors.parsing import Parser
from models.detectors.pose import SHIPPED as POSE_WEIGHTS
from models.detectors.pose import Person, PoseDetector, choose_person
from pipeline import params
from pipeline.crops import Box, find_move
from pipeline.errors import BadItem, UserError
from pipeline.people.edges import draw_edges
from pipeline.people.labels import BACKGROUND, LABELS, LabelMap
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import JOINTS, LEFT_SHOULDER, RIGHT_SHOULDER, Joints, is_present
from pipeline.pictures import Bytes
from pipeline.sources.pictures import check_picture
from stages.artifacts import weights_file
from stages.crop import Found, person_finder
from stages.edges import edge_settings

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


@dataclass(frozen=True)
class Recipe:
    """How files are read: the settings of a domain in params.yaml, whose defaults these are."""

    size: tuple[int, int] = (176, 256)  # width, height
    crop: str | None = None  # None: a picture of `size` as it is, any other cut around its person
    min_size_px: int = 48
    max_pixels: int = 60_000_000
    pose_weights: Path = POSE_WEIGHTS
    min_joints: int = 6
    parsing_weights: Path = PARSING_WEIGHTS
    vocabulary: str = "ours"
    min_person: float = 0.02
    edges: Mapping[str, float] = field(default_factory=dict)

    def crop_of(self, picture: Bytes) -> str:
        """The crop mode of a picture (H, W, 3)."""
        is_ready = picture.shape[1::-1] == self.size
        return self.crop or ("resize" if is_ready else "person")


def read_recipe(crop: str | None = None) -> Recipe:
    """The recipe of the domain that is pretrained on; the defaults in a folder without params.yaml."""
    if not Path("params.yaml").is_file():
        return Recipe(crop=crop)
    settings = params.load()
    name = settings.pretrain_domain
    domain = settings.domain(name)
    return Recipe(
        size=(domain.crop.width, domain.crop.height),
        crop=crop,
        min_size_px=domain.ingest.min_size_px,
        max_pixels=domain.ingest.max_pixels,
        pose_weights=weights_file(domain.keypoints.weights, f"domains.{name}.keypoints.weights"),
        min_joints=domain.keypoints.min_joints,
        parsing_weights=weights_file(domain.parsing.weights, f"domains.{name}.parsing.weights"),
        vocabulary=domain.parsing.vocabulary,
        min_person=domain.parsing.min_person,
        edges=edge_settings(domain.edges),
    )


def read_photographs(paths: Iterable[Path], recipe: Recipe) -> dict[Path, Photograph]:
    """The photograph of every path, each file read once; UserError names the file that does not do and the remedy."""
    pictures = {path: _open(path, recipe) for path in paths}
    searched = _search(pictures, recipe)
    images = {path: _crop(path, picture, recipe, searched.get(path)) for path, picture in pictures.items()}
    found = _find_people(images, PoseDetector(recipe.pose_weights))
    maps = Parser(recipe.parsing_weights, vocabulary=recipe.vocabulary).parse(list(images.values()))
    photographs = {}
    for (path, image), parsing in zip(images.items(), maps, strict=True):
        if path not in found:
            raise UserError(f"{path}: nobody was found; {_REMEDY}")
        person, others = found[path]
        if path in searched:
            others = max(others, searched[path][1])
        photographs[path] = Photograph(path.name, image, person.joints, parsing, others, recipe.edges)
        _check(path, photographs[path], recipe)
    return photographs


def follow_person(frames: Mapping[str, Bytes], recipe: Recipe) -> list[Photograph]:
    """The main person of each frame (H, W, 3) of a film, in order; frames in which nobody is found are left out.

    Frames of the network's size are taken as they are. Others are cut by a window of one size that moves with the
    person, so that nothing trembles. Label maps are left empty: of a pose only joints are read.
    """
    find = person_finder(recipe.pose_weights)
    found = {name: person for name, picture in frames.items() if (person := find(picture)[0]) is not None}
    boxes = _steady_boxes([person.box for person in found.values()])
    followed = []
    for (name, person), box in zip(found.items(), boxes, strict=True):
        picture = frames[name]
        mode = recipe.crop_of(picture)
        try:
            move = find_move(mode, (picture.shape[1], picture.shape[0]), recipe.size, box=box)
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


def _open(path: Path, recipe: Recipe) -> Bytes:
    try:
        return check_picture(path.read_bytes(), min_size_px=recipe.min_size_px, max_pixels=recipe.max_pixels)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give the path of a picture") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the path of a picture") from error
    except BadItem as bad:
        raise UserError(f"{path}: {bad}; give another picture") from bad


def _search(pictures: Mapping[Path, Bytes], recipe: Recipe) -> dict[Path, Found]:
    """The people to cut out of the pictures that are cut around a person."""
    wanted = {path: picture for path, picture in pictures.items() if recipe.crop_of(picture) == "person"}
    find = person_finder(recipe.pose_weights) if wanted else None
    return {path: find(picture) for path, picture in wanted.items()} if find else {}


def _find_people(pictures: Mapping[Path, Bytes], detector: PoseDetector) -> dict[Path, tuple[Person, int]]:
    """The main person of each picture that shows one, and how many others are of comparable size."""
    chosen = {}
    found = detector.detect(list(pictures.values()))
    for (path, picture), people in zip(pictures.items(), found, strict=True):
        person, others = choose_person(people, picture.shape[1], picture.shape[0])
        if person is not None:
            chosen[path] = person, others
    return chosen


def _crop(path: Path, picture: Bytes, recipe: Recipe, found: Found | None) -> Bytes:
    mode, original = recipe.crop_of(picture), (picture.shape[1], picture.shape[0])
    person = found[0] if found else None
    try:
        return find_move(mode, original, recipe.size, box=person.box if person else None).picture(picture)
    except BadItem as bad:
        raise UserError(f"{path}: --crop {mode}: {bad}; {_REMEDY}") from bad


def _check(path: Path, photograph: Photograph, recipe: Recipe) -> None:
    there = is_present(photograph.joints)
    if there.sum() < recipe.min_joints:
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
