"""Key points of people in pictures, by openpifpaf's Predictor."""

import contextlib
import itertools
import logging
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import openpifpaf
import torch
from openpifpaf.network import model_migration, nets
from PIL import Image
from torch import nn

from models.detectors import posenet, storage
from models.detectors.batches import Bfloat16, Picture, fill, fit_edge, fused, same_size_batches, torch_threads
from pipeline.errors import UserError
from pipeline.people import skeleton

SHIPPED = Path(__file__).parent / "weights" / "pose.safetensors"

# Places are rounded to 1/64 pixel, scores to 1/1024: last bits, which differ between processors, reach no result.
GRID_PX, GRID_SCORE = 64, 1024

PRECISIONS = ("float32", "fused", "bfloat16")


@dataclass(frozen=True)
class Person:
    """One person found: `joints` (18, 3) in pixels of the picture, `score` 0..1, `box` x0, y0, x1, y1 in pixels."""

    joints: skeleton.Joints
    score: float
    box: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """Square pixels of the box."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@dataclass(frozen=True)
class Decoding:
    """Thresholds of openpifpaf's decoder (its option names, scores in 0..1).

    Lower than openpifpaf's own: its defaults are for crowds, where a doubtful joint is better left out. On held-out
    rendered people these find 97 to 99 % of the seen joints instead of 90 to 97 %, and hardly any that are not there.
    """

    seed_threshold: float = 0.15
    keypoint_threshold: float = 0.02
    keypoint_threshold_rel: float = 0.0
    instance_threshold: float = 0.15
    cif_th: float = 0.03
    caf_th: float = 0.01


# A person with at least this score needs no second look; the second look's thresholds.
CERTAIN_SCORE = 0.5
BOLD = Decoding(seed_threshold=0.05, instance_threshold=0.14, cif_th=0.02, caf_th=0.05)


class PoseDetector:
    """Finds people with the network in `weights`.

    `weights` is a safetensors file of ours, or a checkpoint of openpifpaf (`.pkl`) whose SHA-256 is in `trusted`.
    Pictures are scaled to `edge_px` on the longer side for the network, `batch` at a time; results are in pixels of the
    pictures given. A picture's result depends on nothing but the picture. `precision` is `float32`; `fused`, also
    float32, with other last bits: twice as fast, and one joint in some thousand moves by 1/64 px; or `bfloat16`.
    """

    def __init__(
        self,
        weights: Path | str = SHIPPED,
        *,
        threads: int = 1,
        batch: int | None = None,
        edge_px: int = 256,
        precision: str = "float32",
        decoding: Decoding | None = None,
        trusted: Collection[str] = (),
    ) -> None:
        # More at once would not fit into a core's cache.
        self.batch = batch or (2 if precision == "float32" else 4)
        self.threads, self.edge_px = threads, edge_px
        self.decoding = decoding or Decoding()
        self._predictor = _predictor(_load(Path(weights), trusted))
        self._predictor.model = _prepared(self._predictor.model, precision)

    def detect(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """The people in each RGB picture (H, W, 3) uint8, best score first; an empty list where nobody is found.

        Where nobody is found, or nobody for certain, the picture is looked at once more: smaller, in a frame of its
        border's colour, with bolder thresholds. Drawn characters with large heads are often found only then.
        """
        found = self._look(pictures, self.decoding)
        doubtful = [i for i, people in enumerate(found) if not people or people[0].score < CERTAIN_SCORE]
        framed = [_framed(pictures[i]) for i in doubtful]
        for i, people in zip(doubtful, self._look(framed, BOLD), strict=True):
            people = [_unframed(person, pictures[i]) for person in people]
            if people and (not found[i] or people[0].score > found[i][0].score):
                found[i] = people
        return found

    def _look(self, pictures: Sequence[Picture], decoding: Decoding) -> list[list[Person]]:
        scaled = [fit_edge(picture, self.edge_px) for picture in pictures]
        ready = [self._predictor.preprocess(Image.fromarray(picture), [], {}) for picture in scaled]
        found: list[list[Person]] = [[] for _ in pictures]
        with torch_threads(self.threads), _decoder_settings(decoding):
            for positions in same_size_batches([tuple(item[0].shape) for item in ready], self.batch):
                images = fill([ready[i][0] for i in positions], self.batch)
                rest = self.batch - len(positions)
                annotations = [ready[i][1] for i in positions] + [[]] * rest
                metas = [ready[i][2] for i in positions] + [ready[positions[0]][2]] * rest
                answers = list(self._predictor.dataloader([(images, annotations, metas)]))
                for position, (people, _, _) in zip(positions, answers, strict=False):
                    found[position] = _people(people, scaled[position], pictures[position])
        return found


def _frame_of(picture: Picture) -> tuple[int, int]:
    """Width across and height down of the frame around a picture: a sixth of its sides."""
    return picture.shape[1] // 6, picture.shape[0] // 6


def _framed(picture: Picture) -> Picture:
    """The picture in a frame of its border's median colour, which makes the person in it smaller."""
    across, down = _frame_of(picture)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    height, width = picture.shape[:2]
    framed = np.empty((height + 2 * down, width + 2 * across, 3), np.uint8)
    framed[:] = np.rint(np.median(border, axis=0))
    framed[down : down + height, across : across + width] = picture
    return framed


def _unframed(person: Person, picture: Picture) -> Person:
    """The person in pixels of the picture without its frame."""
    (across, down), (height, width) = _frame_of(picture), picture.shape[:2]
    joints = skeleton.move(person.joints, offset=(across, down), scale=(1, 1), size=(width, height))
    box = np.clip(np.array(person.box) - [across, down, across, down], 0, [width - 1, height - 1] * 2)
    x0, y0, x1, y1 = (float(side) for side in box)
    return Person(joints, person.score, (x0, y0, x1, y1))


def choose_person(
    people: Sequence[Person], width: int, height: int, *, comparable: float = 0.4
) -> tuple[Person | None, int]:
    """The main person, and how many others are of comparable size; (None, 0) where there is nobody.

    The main person is the largest, distance from the middle of the picture counting against it (by half at a corner).
    Another is comparable when both its box and its score have more than `comparable` of the main person's and less than
    half of its box is shared: a second skeleton inside the first is the same body, seen twice.
    """
    if not people:
        return None, 0

    def weight(person: Person) -> float:
        x, y = (person.box[0] + person.box[2]) / 2, (person.box[1] + person.box[3]) / 2
        away = math.hypot(x - (width - 1) / 2, y - (height - 1) / 2) / (math.hypot(width, height) / 2)
        return person.area * person.score * (1 - 0.5 * min(1.0, away))

    main = max(people, key=weight)
    others = (person for person in people if person is not main)
    return main, sum(
        person.area > comparable * main.area
        and person.score > comparable * main.score
        and _shared_area(person, main) < 0.5 * min(person.area, main.area)
        for person in others
    )


def _shared_area(one: Person, other: Person) -> float:
    width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    return max(0.0, width) * max(0.0, height)


def _people(annotations: list[Any], scaled: Picture, picture: Picture) -> list[Person]:
    """Persons in pixels of `picture` from openpifpaf's annotations in pixels of `scaled`."""
    height, width = picture.shape[:2]
    scale = (width / scaled.shape[1], height / scaled.shape[0])
    people = []
    for annotation in annotations:
        joints = skeleton.move(skeleton.from_coco17(annotation.data), offset=(0, 0), scale=scale, size=(width, height))
        x, y, box_width, box_height = annotation.bbox()
        corners = np.array([x, y, x + box_width, y + box_height], np.float64) * (scale * 2)
        corners = np.clip(corners, 0, [width - 1, height - 1] * 2)
        if skeleton.is_present(joints).any():
            grid = np.array([GRID_PX, GRID_PX, GRID_SCORE], np.float32)
            x0, y0, x1, y1 = (float(value) for value in np.round(corners * GRID_PX) / GRID_PX)
            score = round(float(annotation.score) * GRID_SCORE) / GRID_SCORE
            people.append(Person((np.round(joints * grid) / grid).astype(np.float32), score, (x0, y0, x1, y1)))
    return sorted(people, key=lambda person: (-person.score, person.box))


def _load(path: Path, trusted: Collection[str]) -> nets.Shell:
    if path.suffix == ".pkl":
        network = storage.read_pickle(path, trusted)["model"]
        model_migration.model_migration(network)
        return network.eval()
    weights, description = storage.read(path)
    try:
        network = posenet.build(description)
        network.load_state_dict(weights)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the weights do not fit the network it describes: {error}") from error
    return network


def _prepared(network: nn.Module, precision: str) -> nn.Module:
    if precision not in PRECISIONS:
        raise ValueError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return network.to(memory_format=torch.channels_last)
    return Bfloat16(fused(network)) if precision == "bfloat16" else fused(network)


class _FreshDecoder(openpifpaf.decoder.CifCaf):
    """Decodes every picture as if it were the first.

    openpifpaf's decoder keeps one buffer and adds each picture's scores on top of the last one's, a whole number
    higher: the last digits of a float32 depend on how many pictures came before.
    """

    def __call__(self, fields: Any, initial_annotations: Any = None) -> list[Any]:
        bones = torch.tensor(self.caf_metas[0].skeleton) - 1
        self.cpp_decoder = torch.classes.openpifpaf_decoder.CifCaf(len(self.cif_metas[0].keypoints), bones)
        people: list[Any] = super().__call__(fields, initial_annotations)
        return people


class _CpuPredictor(openpifpaf.Predictor):
    """openpifpaf configures its classes; settings on a class of our own are out of everybody else's reach."""

    device = torch.device("cpu")
    batch_size = 1
    loader_workers = 0
    long_edge = None
    fast_rescaling = True

    def __init__(self) -> None:
        super().__init__()
        metas = self.model_cpu.head_metas
        kinds = openpifpaf.headmeta
        cif, caf = next(
            (a, b) for a, b in itertools.pairwise(metas) if isinstance(a, kinds.Cif) and isinstance(b, kinds.Caf)
        )
        self.processor = _FreshDecoder([cif], [caf])


def _predictor(network: nets.Shell) -> openpifpaf.Predictor:
    """A Predictor of the given network: it would only take the name of a checkpoint."""
    factory = openpifpaf.network.Factory
    # Both sides of it, Python and C++, report every picture.
    logging.getLogger("openpifpaf").setLevel(logging.WARNING)
    torch.ops.openpifpaf.set_quiet(True)
    with _attributes(factory, base_name=None, checkpoint=None, from_checkpoint=lambda self: (network, 0)):
        return _CpuPredictor()


@contextlib.contextmanager
def _attributes(owner: type, **values: Any) -> Iterator[None]:
    """Class attributes set to `values`, and put back."""
    before = {name: owner.__dict__[name] for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def _decoder_settings(decoding: Decoding) -> Iterator[None]:
    """The decoder's thresholds, which are static members of its C++ classes, set and put back."""
    parts = openpifpaf.decoder.utils
    cifcaf = torch.classes.openpifpaf_decoder.CifCaf
    owners = {
        "seed_threshold": [(parts.CifSeeds, "threshold")],
        "keypoint_threshold": [(cifcaf, "keypoint_threshold"), (parts.nms.Keypoints, "keypoint_threshold")],
        "keypoint_threshold_rel": [(cifcaf, "keypoint_threshold_rel")],
        "instance_threshold": [(parts.nms.Keypoints, "instance_threshold")],
        "cif_th": [(parts.CifHr, "threshold")],
        "caf_th": [(parts.CafScored, "default_score_th")],
    }
    before = {(owner, name): getattr(owner, f"get_{name}")() for pairs in owners.values() for owner, name in pairs}
    for field in fields(decoding):
        for owner, name in owners[field.name]:
            getattr(owner, f"set_{name}")(getattr(decoding, field.name))
    try:
        yield
    finally:
        for (owner, name), value in before.items():
            getattr(owner, f"set_{name}")(value)
