"""Generated pictures, measured: against their targets pair by pair, and as a set.

What the detectors and the feature network see in a picture, and how it compares with its target, is kept by the bytes:
the baselines are measured once for all methods. The instruments are the shipped networks, whatever a domain is
prepared with.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from models.features import Trunk
from models.metrics.networks import Perceptual
from models.metrics.people import score_layouts, score_likeness, score_poses, score_retrieval
from models.metrics.pictures import (
    Scores,
    contextual_distances,
    perceptual_distances,
    score_picture,
    score_pictures,
)
from models.metrics.protocols import PROTOCOLS, Picture, Protocol
from models.metrics.sets import Seen, frechet_distance, inception_score, kernel_distance
from pipeline.content import Content, digest
from pipeline.engine import Item, PerItem, Result, Worker
from pipeline.memo import Outputs
from pipeline.packed import Pack
from pipeline.people import labels, skeleton
from pipeline.run import Job

# Pictures are looked at this many at a time, the last batch padded: part of the result, so it is no parameter.
BATCH = 8
_GREY = np.uint8(127)
_COMPARED_AT_ONCE = 16

Name = TypeVar("Name", str, tuple[str, str])


@dataclass(frozen=True)
class Sight:
    """What was seen in N pictures again."""

    joints: skeleton.Joints  # (N, 18, 3)
    scores: NDArray[np.float64]  # (N,) of the person
    maps: list[labels.LabelMap]
    seen: Seen  # features of the whole picture
    person: NDArray[np.float64]  # (N, D) features of the person alone, the rest grey


class Instruments:
    """A worker: pictures in, what detectors and feature network see in them out."""

    def __init__(self) -> None:
        from models.detectors.parsing import Parser
        from models.detectors.pose import PoseDetector
        from models.metrics.networks import Lite0

        torch.set_num_threads(1)
        self.detector, self.parser, self.network = PoseDetector(), Parser(), Lite0()

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """`joints`, `score`, `labels`, `features`, `logits` and `person` of each picture."""
        from models.detectors.pose import choose_person

        pictures = [_arrays(item)[0] for item in items]
        found = self.detector.detect(pictures)
        results: list[Result] = []
        for picture, people, labelled in zip(pictures, found, self.parser.parse(pictures), strict=True):
            person, _ = choose_person(people, picture.shape[1], picture.shape[0])
            joints = person.joints if person else skeleton.empty()
            alone = np.where(labelled[..., None] != labels.BACKGROUND, picture, _GREY)
            both = torch.from_numpy(np.stack([picture, alone])).permute(0, 3, 1, 2)
            features, logits = (values.numpy().astype("<f4") for values in self.network(both))
            results.append(
                {
                    "joints": joints.astype("<f4").tobytes(),
                    "score": np.array(person.score if person else 0.0, "<f8").tobytes(),
                    "labels": labels.to_png(labelled),
                    "features": features[0].tobytes(),
                    "logits": logits[0].tobytes(),
                    "person": features[1].tobytes(),
                }
            )
        return results


def make_worker(_: bytes = b"") -> Worker:
    """The worker, built in the process that uses it."""
    return Instruments()


def look(job: Job, made: Mapping[Name, Sequence[Picture]]) -> dict[Name, Sight]:
    """What the shipped networks see in the pictures (H, W, 3) of every name."""
    from models.detectors.parsing import SHIPPED as PARSING
    from models.detectors.pose import SHIPPED as POSE

    items = {name: [_item(picture) for picture in pictures] for name, pictures in made.items()}
    distinct = _distinct(items)
    found = job.map(
        distinct,
        make_worker,
        settings=(BATCH, PARSING.read_bytes()),
        weights=POSE,
        batch=BATCH,
        total=len(distinct),
    )
    columns = {kind: found.values(kind) for kind in (*_KINDS, "labels")}
    return {
        name: _sight({kind: [column[item.id] for item in own] for kind, column in columns.items()})
        for name, own in items.items()
    }


def compare(
    job: Job, made: Mapping[tuple[str, str], Sequence[Picture]], targets: Mapping[str, "Targets"], protocol: Protocol
) -> dict[tuple[str, str], Scores]:
    """`score_picture` of every pair, by (domain, system), against the targets of the domain."""
    items = {
        (domain, system): [
            _item(ours, theirs, person.view(np.uint8), mask)
            for ours, theirs, person, mask in zip(pictures, own.pictures, own.persons, own.pose_masks, strict=True)
        ]
        for (domain, system), pictures in made.items()
        for own in (targets[domain],)
    }
    distinct = _distinct(items)
    found = job.map(
        distinct,
        partial(make_scorer, protocol.name),
        settings=("compare", protocol.name),
        batch=_COMPARED_AT_ONCE,
        total=len(distinct),
    )
    scores = {place: json.loads(told) for place, told in found.values("scores").items()}
    rows = {name: [scores[item.id] for item in own] for name, own in items.items()}
    return {name: {score: np.array([row[score] for row in rows[name]]) for score in rows[name][0]} for name in made}


def make_scorer(protocol: str) -> Worker:
    """A worker that gives the `scores` of picture, target, where the person is and the mask of the pose."""

    def score(item: Item) -> Outputs:
        ours, theirs, person, mask = _arrays(item)
        scores = score_picture(ours, theirs, person.astype(bool), PROTOCOLS[protocol], mask)
        return {"scores": json.dumps(scores).encode()}

    return PerItem(score)


def distances(
    job: Job, kind: str, pairs: Mapping[Name, Iterable[tuple[Picture, Picture]]]
) -> dict[Name, NDArray[np.float64]]:
    """How far apart the pictures (H, W, 3) of every pair of every name are; `kind` as in `make_meter`."""
    items = {name: [_item(*pair) for pair in own] for name, own in pairs.items()}
    distinct = _distinct(items)
    found = job.map(distinct, partial(make_meter, kind), settings=("distance", kind), total=len(distinct))
    values = {place: float(np.frombuffer(value, "<f8")[0]) for place, value in found.values("distance").items()}
    return {name: np.array([values[item.id] for item in own]) for name, own in items.items()}


def make_meter(kind: str) -> Worker:
    """A worker that gives the `distance` of two pictures: `lpips` or `contextual`."""
    torch.set_num_threads(1)
    if kind == "lpips":
        measure = partial(perceptual_distances, Perceptual())
    else:
        measure = partial(contextual_distances, Trunk("vgg16").load())

    def apart(item: Item) -> Outputs:
        one, other = _arrays(item)
        return {"distance": measure([one], [other]).astype("<f8").tobytes()}

    return PerItem(apart)


def look_here(pictures: Sequence[Picture]) -> Sight:
    """The same as `look`, without a store and in this process."""
    instruments, found = Instruments(), []
    for start in tqdm(range(0, len(pictures), BATCH), "looking", unit="batch", mininterval=0.5):
        found += instruments([_item(picture) for picture in pictures[start : start + BATCH]])
    return _sight({name: [row[name] for row in found if isinstance(row, dict)] for name in (*_KINDS, "labels")})


def _item(*arrays: NDArray[np.uint8]) -> Item:
    """Pictures as they are, called by what is in them: to code them as PNG would take longer than most scores."""
    whole = [np.ascontiguousarray(array) for array in arrays]
    shapes = json.dumps([array.shape for array in whole]).encode()
    contents = [Content(digest([array.tobytes()]), array.tobytes) for array in whole]
    return Item(digest([shapes, *(content.digest for content in contents)]).hex(), (shapes, *contents))


def _arrays(item: Item) -> list[NDArray[np.uint8]]:
    shapes, *contents = item.inputs
    pairs = zip(json.loads(shapes), contents, strict=True)
    return [np.frombuffer(data, np.uint8).reshape(shape) for shape, data in pairs]


def _distinct(items: Mapping[Name, Sequence[Item]]) -> list[Item]:
    """Every item once: baselines show the same pictures again and again."""
    return list({item.id: item for own in items.values() for item in own}.values())


_KINDS = {"joints": "<f4", "score": "<f8", "features": "<f4", "logits": "<f4", "person": "<f4"}


def _sight(columns: Mapping[str, Sequence[bytes]]) -> Sight:
    numbers: dict[str, NDArray[Any]] = {
        name: np.stack([np.frombuffer(data, kind) for data in columns[name]]) for name, kind in _KINDS.items()
    }
    return Sight(
        numbers["joints"].reshape(-1, len(skeleton.JOINTS), 3),
        numbers["score"][:, 0],
        [labels.from_png(data) for data in columns["labels"]],
        Seen(torch.from_numpy(numbers["features"]), torch.from_numpy(numbers["logits"])),
        numbers["person"].astype(np.float64),
    )


@dataclass(frozen=True)
class Targets:
    """What generated pictures are held against: the target pictures, their poses, label maps and masks, by pair."""

    pictures: Sequence[Picture]
    joints: skeleton.Joints
    maps: Sequence[labels.LabelMap]
    pose_masks: Sequence[NDArray[np.uint8]]  # (H, W) 0 or 1, of the poses
    sight: Sight
    pairs: Sequence[tuple[str, str]]  # names of source and target picture
    people: Sequence[str]  # who is shown

    @property
    def persons(self) -> list[NDArray[np.bool_]]:
        """Where the person is, by pair."""
        return [found != labels.BACKGROUND for found in self.maps]


def targets_of(packed: Pack, rows: NDArray[np.int32], sight: Sight) -> Targets:
    """What pictures of the pairs (source row, target row) are held against; `sight` is of their targets."""
    wanted = [int(row) for row in rows[:, 1]]
    return Targets(
        [packed.image(row) for row in wanted],
        packed.keypoints[wanted],
        [packed.parsing(row) for row in wanted],
        [packed.mask(row) for row in wanted],
        sight,
        [(packed.names[source], packed.names[target]) for source, target in rows],
        [packed.persons[row] for row in wanted],
    )


def score_pairs(pictures: Sequence[Picture], sight: Sight, targets: Targets, protocol: Protocol) -> Scores:
    """Every score of every pair under a protocol."""
    scores = score_pictures(pictures, targets.pictures, targets.persons, protocol, targets.pose_masks)
    return scores | score_sights(sight, targets)


def score_sights(sight: Sight, targets: Targets) -> Scores:
    """The scores of what was seen in the pictures, pair by pair; no protocol changes them."""
    return {
        **score_poses(sight.joints, targets.joints, list(sight.scores)),
        "parsing_miou": score_layouts(sight.maps, targets.maps),
        "likeness_lite0": score_likeness(sight.person, targets.sight.person),
        **score_retrieval(sight.person, targets.sight.person, targets.pairs, targets.people),
    }


def score_set(sight: Sight, reference: Sight) -> dict[str, float]:
    """Scores of the pictures as a set, by the stand-in network: under its name."""
    return {
        "fd_lite0": frechet_distance(sight.seen, reference.seen),
        "kd_lite0": kernel_distance(sight.seen, reference.seen),
        "is_lite0": inception_score(sight.seen),
    }
