"""Generated pictures, measured: against their targets pair by pair, and as a set.

What the detectors and the feature network see in a picture is kept by the picture's bytes, so the baselines are looked
at once for all methods. The instruments are the shipped networks, whatever a domain is prepared with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from models.metrics.people import score_layouts, score_likeness, score_poses, score_retrieval
from models.metrics.pictures import Scores, score_pictures
from models.metrics.protocols import Picture, Protocol
from models.metrics.sets import Seen, frechet_distance, inception_score, kernel_distance
from pipeline.engine import Item, Result, Worker
from pipeline.people import labels, skeleton
from pipeline.pictures import decode, encode_png
from pipeline.run import Job

# Pictures are looked at this many at a time, the last batch padded: part of the result, so it is no parameter.
BATCH = 8
_GREY = np.uint8(127)


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

        pictures = [decode(item.inputs[0]) for item in items]
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


def look(job: Job, pictures: Sequence[Picture]) -> Sight:
    """What the shipped networks see in the pictures (H, W, 3)."""
    from models.detectors.parsing import SHIPPED as PARSING
    from models.detectors.pose import SHIPPED as POSE

    found = job.map(
        (Item(f"{number:06d}", (encode_png(picture),)) for number, picture in enumerate(pictures)),
        make_worker,
        settings=(BATCH, PARSING.read_bytes()),
        weights=POSE,
        batch=BATCH,
        total=len(pictures),
    )
    columns = {name: [data for _, data in sorted(found.values(name).items())] for name in (*_KINDS, "labels")}
    return _sight(columns)


def look_here(pictures: Sequence[Picture]) -> Sight:
    """The same, without a store and in this process."""
    instruments, found = Instruments(), []
    for start in tqdm(range(0, len(pictures), BATCH), "looking", unit="batch", mininterval=0.5):
        some = pictures[start : start + BATCH]
        found += instruments([Item("", (encode_png(picture),)) for picture in some])
    return _sight({name: [row[name] for row in found if isinstance(row, dict)] for name in (*_KINDS, "labels")})


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
    """What generated pictures are held against: the target pictures, their poses and label maps, pair by pair."""

    pictures: Sequence[Picture]
    joints: skeleton.Joints
    maps: Sequence[labels.LabelMap]
    sight: Sight
    pairs: Sequence[tuple[str, str]]  # names of source and target picture
    people: Sequence[str]  # who is shown

    @property
    def persons(self) -> list[NDArray[np.bool_]]:
        """Where the person is, by pair."""
        return [found != labels.BACKGROUND for found in self.maps]


def score_pairs(pictures: Sequence[Picture], sight: Sight, targets: Targets, protocol: Protocol) -> Scores:
    """Every score of every pair under a protocol."""
    return {
        **score_pictures(pictures, targets.pictures, targets.persons, protocol),
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
