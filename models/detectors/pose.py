"""Key points of people in pictures, by openpifpaf's Predictor."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from openpifpaf.network import model_migration, nets
from PIL import Image
from torch import nn

from models.detectors import posenet, storage
from models.detectors.batches import Bfloat16, Picture, fill, fit_edge, fused, same_size_batches, torch_threads
from models.detectors.decoder import Decoding, decoder_settings, make_predictor
from models.detectors.mirror import Mirrored
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


# A person with at least this score needs no second look; the second look's thresholds.
CERTAIN_SCORE = 0.5
BOLD = Decoding(seed_threshold=0.05, instance_threshold=0.14, cif_th=0.02, caf_th=0.05)


class PoseDetector:
    """Finds people with the network in `weights`.

    `weights` is a safetensors file of ours, or a checkpoint of openpifpaf (`.pkl`) whose SHA-256 is in `trusted`.
    Pictures are scaled to each of `edges_px` on the longer side for the network, `batch` at a time; with `flip_test` it
    sees their mirror images too. Results are in pixels of the pictures given. A picture's result depends on nothing but
    the picture. `precision` is `float32`; `fused`, also float32, with other last bits: twice as fast, and one joint in
    some thousand moves by 1/64 px; or `bfloat16`.
    """

    def __init__(
        self,
        weights: Path | str = SHIPPED,
        *,
        threads: int = 1,
        batch: int | None = None,
        edges_px: Sequence[int] = (256,),
        flip_test: bool = False,
        precision: str = "float32",
        decoding: Decoding | None = None,
        trusted: Collection[str] = (),
    ) -> None:
        # More at once would not fit into a core's cache.
        self.batch = batch or (2 if precision == "float32" else 4)
        self.threads, self.edges_px = threads, tuple(edges_px)
        self.decoding = decoding or Decoding()
        self._predictor = make_predictor(_load(Path(weights), trusted))
        network = _prepared(self._predictor.model, precision)
        self._predictor.model = Mirrored(network, self._predictor.model_cpu.head_metas) if flip_test else network

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
        looks = [self._look_at(pictures, edge_px, decoding) for edge_px in self.edges_px]
        return [merge_looks(found) for found in zip(*looks, strict=True)]

    def _look_at(self, pictures: Sequence[Picture], edge_px: int, decoding: Decoding) -> list[list[Person]]:
        scaled = [fit_edge(picture, edge_px) for picture in pictures]
        ready = [self._predictor.preprocess(Image.fromarray(picture), [], {}) for picture in scaled]
        found: list[list[Person]] = [[] for _ in pictures]
        with torch_threads(self.threads), decoder_settings(decoding):
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
    people: Sequence[Person], width: int, height: int, *, rule: str = "main", comparable: float = 0.4
) -> tuple[Person | None, int]:
    """The person that `rule` (a key of RULES) prefers, and how many others are of comparable size; (None, 0): nobody.

    Another is comparable when both its box and its score have more than `comparable` of the chosen one's and less than
    half of its box is shared: a second skeleton inside the first is the same body, seen twice.
    """
    if not people:
        return None, 0
    weight = RULES[rule]
    chosen = max(people, key=lambda person: weight(person, _away_from_middle(person, width, height)))
    others = (person for person in people if person is not chosen)
    return chosen, sum(
        person.area > comparable * chosen.area
        and person.score > comparable * chosen.score
        and not _is_same_body(person, chosen)
        for person in others
    )


# What is largest for the person that is chosen, from the person and the distance 0..1 from the picture's middle. The
# score counts always: a doubtful shape is seldom who is meant.
RULES: dict[str, Callable[[Person, float], float]] = {
    "main": lambda person, away: person.area * person.score * (1 - 0.5 * away),
    "largest": lambda person, away: person.area * person.score,
    "central": lambda person, away: (1 - away) * person.score,
}


def _away_from_middle(person: Person, width: int, height: int) -> float:
    """How far the middle of the box is from the picture's: 0, 1 at a corner."""
    x, y = (person.box[0] + person.box[2]) / 2, (person.box[1] + person.box[3]) / 2
    return min(1.0, math.hypot(x - (width - 1) / 2, y - (height - 1) / 2) / (math.hypot(width, height) / 2))


def merge_looks(looks: Sequence[list[Person]]) -> list[Person]:
    """The people of several looks at one picture, each once, best score first; one look stays what it is.

    A joint seen at one place in two looks lies between them by their scores; otherwise the surer look is believed.
    """
    if len(looks) == 1:
        return looks[0]
    merged: list[Person] = []
    for person in (person for people in looks for person in people):
        shared = [_shared_area(person, other) / max(person.area, other.area, 1e-6) for other in merged]
        if max(shared, default=0.0) < 0.5:
            merged.append(person)
        else:
            place = shared.index(max(shared))
            merged[place] = _join(merged[place], person)
    return sorted(merged, key=lambda person: (-person.score, person.box))


def _join(one: Person, other: Person) -> Person:
    """One person of two looks at the same body; places nearer than a tenth of its length are one."""
    a, b = one.joints, other.joints
    reach = max(one.box[2] - one.box[0], one.box[3] - one.box[1]) / 10
    near = skeleton.is_present(a) & skeleton.is_present(b) & (np.linalg.norm((a - b)[:, :2], axis=1) < reach)
    share = a[:, 2:] / np.maximum(a[:, 2:] + b[:, 2:], 1e-6)
    joints = np.where(a[:, 2:] >= b[:, 2:], a, b)
    joints[:, :2] = np.where(near[:, None], share * a[:, :2] + (1 - share) * b[:, :2], joints[:, :2])
    sure = one if one.score >= other.score else other
    return Person(_on_grid(joints), sure.score, sure.box)


def _is_same_body(one: Person, other: Person) -> bool:
    return _shared_area(one, other) >= 0.5 * min(one.area, other.area)


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
            x0, y0, x1, y1 = (float(value) for value in np.round(corners * GRID_PX) / GRID_PX)
            score = round(float(annotation.score) * GRID_SCORE) / GRID_SCORE
            people.append(Person(_on_grid(joints), score, (x0, y0, x1, y1)))
    return sorted(people, key=lambda person: (-person.score, person.box))


def _on_grid(joints: NDArray[np.floating]) -> skeleton.Joints:
    grid = np.array([GRID_PX, GRID_PX, GRID_SCORE], np.float32)
    return (np.round(joints * grid) / grid).astype(np.float32)


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
    quick: Any = fused(network)
    if precision == "bfloat16":
        # The heads stay in float32: they say where joints are, and eight bits of that are tenths of a pixel.
        quick.base_net = Bfloat16(quick.base_net)
    return quick
