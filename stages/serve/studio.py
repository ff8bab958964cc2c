"""What the page can do: a person in another pose, in other people's clothes. Pictures stay in memory."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from models.attributes import INSTEAD, with_parts
from models.method import Method, load
from pipeline import params
from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.people.labels import BACKGROUND, LABELS
from pipeline.people.skeleton import MISSING, Joints, is_present
from pipeline.pictures import Bytes, encode_png
from stages import artifacts
from stages.checkpoints import trained
from stages.commands._pictures import draw, encode
from stages.drawing import beside, blank, draw_labels, draw_skeleton
from stages.looks import Looker, read_recipe
from stages.photograph import Photograph, read_photographs
from stages.sheets import choose

_MOST_POSES = 24


@dataclass(frozen=True)
class Upload:
    """A picture that somebody sent; like a path to those who read photographs, but never on disk."""

    name: str
    data: bytes

    def read_bytes(self) -> bytes:
        """What was sent."""
        return self.data

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Pose:
    """A row of a domain's pack, whose pose is taken."""

    domain: str
    row: int


Places = tuple[tuple[float, float] | None, ...]


@dataclass(frozen=True)
class Sketch:
    """A pose that somebody drew: x, y of the 18 joints in pixels of the network's size, None for a missing one."""

    places: Places

    @property
    def joints(self) -> Joints:
        """(18, 3), every joint sure."""
        rows = [MISSING if place is None else (*place, 1.0) for place in self.places]
        return np.array(rows, np.float32)


@dataclass(frozen=True)
class Wish:
    """Who is drawn, in which pose (None: the own one), in whose clothes (labels of the parts), by which network."""

    person: Upload
    pose: Upload | Pose | Sketch | None = None
    clothes: Upload | None = None
    parts: Sequence[int] = ()
    network: int = 0


@dataclass(frozen=True)
class Drawn:
    """PNGs: the result, and what was found in every picture that was looked at, by name."""

    picture: bytes
    found: list[tuple[str, bytes]]


class Studio:
    """The trained systems and the two networks that look at pictures; one request at a time."""

    def __init__(self, checkpoint: Path | None = None, crop: str | None = None) -> None:
        self.networks = [checkpoint] if checkpoint else trained()
        self.looker = Looker(read_recipe(crop))
        self._loaded: tuple[Path, Method] | None = None
        self._busy = threading.Lock()
        self.method(0)

    def method(self, network: int) -> Method:
        """The system of that place in `networks`; the last one that was asked for is kept."""
        if not 0 <= network < len(self.networks):
            raise UserError(f"there is no network {network}; choose another")
        path = self.networks[network]
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = (path, load(path))
        return self._loaded[1]

    def parts(self, network: int) -> list[str]:
        """What can be taken from another person; nothing where the system has no codes of single parts."""
        with self._busy:
            can_dress = "dress" in self.method(network).edits
        return [name for label, name in enumerate(LABELS) if label != BACKGROUND] if can_dress else []

    @cached_property
    def catalog(self) -> dict[str, Pack]:
        """The packed domains whose pictures have the size of the network."""
        names = list(params.load().domains) if Path("params.yaml").is_file() else []
        packs = {name: Pack(artifacts.pack(name)) for name in names if artifacts.pack(name).is_file()}
        return {name: pack for name, pack in packs.items() if pack.size == self.looker.recipe.size}

    def poses(self) -> list[Pose]:
        """Poses to choose from: spread evenly over each domain."""
        return [Pose(name, row) for name, pack in self.catalog.items() for row in choose(range(len(pack)), _MOST_POSES)]

    def show_pose(self, pose: Pose) -> bytes:
        """The pose as a PNG; UserError when there is no such row."""
        return encode_png(draw_skeleton(blank(*self.looker.recipe.size), self._from_catalog(pose).joints))

    def places(self, pose: Pose) -> Places:
        """Where the joints of the pose are; UserError when there is no such row."""
        joints = self._from_catalog(pose).joints
        there = is_present(joints)
        return tuple((float(x), float(y)) if shown else None for (x, y, _), shown in zip(joints, there, strict=True))

    def make(self, wish: Wish) -> Drawn:
        """The person in the pose, or in the own one, in these clothes; UserError says what is wrong."""
        uploads = [one for one in (wish.person, wish.pose, wish.clothes) if isinstance(one, Upload)]
        with self._busy:
            method = self.method(wish.network)
            seen = read_photographs(uploads, self.looker.recipe, self.looker)
            person = seen[wish.person]
            if isinstance(wish.pose, Pose):
                pose = self._from_catalog(wish.pose)
            elif isinstance(wish.pose, Sketch):
                pose = replace(person, joints=wish.pose.joints)
            else:
                pose = seen[wish.pose or wish.person]
            codes_1KS = _dress(method, person, seen[wish.clothes], wish.parts) if wish.clothes else None
            picture = draw(method, person, pose, codes_1KS)
        return Drawn(encode_png(picture), [(one.name, encode_png(_found(one))) for one in seen.values()])

    def _from_catalog(self, pose: Pose) -> Photograph:
        pack = self.catalog.get(pose.domain)
        if pack is None or not 0 <= pose.row < len(pack):
            raise UserError(f"there is no pose {pose.row} in the domain '{pose.domain}'; choose another")
        name = pack.names[pose.row]
        edges: Mapping[str, float] = self.looker.recipe.edges
        return Photograph(name, pack.image(pose.row), pack.keypoints[pose.row], pack.parsing(pose.row), 0, edges)


def _dress(method: Method, person: Photograph, donor: Photograph, parts: Sequence[int]) -> Tensor:
    """(1, K, S) codes of the person with these parts of the donor."""
    if "dress" not in method.edits:
        raise UserError(f"{method.name} has no codes of single parts, so it cannot change clothes")
    missing = [label for label in parts if not {label, INSTEAD.get(label, label)} & {*donor.parts}]
    if missing:
        told = ", ".join(LABELS[label].replace("_", " ") for label in missing)
        raise UserError(f"{donor.name}: no {told} was found in it; choose other parts or another picture")
    return with_parts(encode(method, person), dict.fromkeys(parts, encode(method, donor)))


def _found(photograph: Photograph) -> Bytes:
    """Skeleton and label map beside each other."""
    return beside(draw_skeleton(photograph.image, photograph.joints), draw_labels(photograph.parsing, photograph.image))
