"""Boxes of people followed from frame to frame, as SORT does (Bewley 2016): overlap, and the Hungarian method."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Boxes = NDArray[np.float64]  # (N, 4) left, top, right, bottom in pixels

# A box that shares less with where its person is expected is somebody else's.
MIN_OVERLAP = 0.2
# A person who was not found in so many frames on end is gone.
PATIENCE = 5


@dataclass
class _Track:
    number: int
    box: Boxes
    speed: Boxes = field(default_factory=lambda: np.zeros(4))  # pixels a frame
    seen: int = 0

    def expected(self, frame: int) -> Boxes:
        return self.box + self.speed * (frame - self.seen)

    def move(self, box: Boxes, frame: int) -> None:
        # Of the middle alone: arms and legs change the sides from frame to frame.
        middle = [(box[0] + box[2] - self.box[0] - self.box[2]) / 2, (box[1] + box[3] - self.box[1] - self.box[3]) / 2]
        self.speed = (self.speed + np.array(middle * 2) / (frame - self.seen)) / 2
        self.box, self.seen = box, frame


def follow(frames: Sequence[Boxes]) -> list[list[int]]:
    """For every box of every frame the number of its track, 0, 1, ... in order of first appearance.

    SORT's Kalman filter is a constant speed here, the mean of the last changes.
    """
    tracks: list[_Track] = []
    count = 0
    numbers = []
    for frame, boxes in enumerate(frames):
        tracks = [track for track in tracks if frame - track.seen <= PATIENCE]
        expected = np.array([track.expected(frame) for track in tracks]).reshape(-1, 4)
        shared = overlap(expected, boxes)
        of_box: dict[int, _Track] = {}
        for row, column in zip(*linear_sum_assignment(-shared), strict=True):
            if shared[row, column] >= MIN_OVERLAP:
                of_box[column] = tracks[row]
                tracks[row].move(boxes[column], frame)
        for column in range(len(boxes)):
            if column not in of_box:
                of_box[column] = _Track(count, boxes[column], seen=frame)
                tracks.append(of_box[column])
                count += 1
        numbers.append([of_box[column].number for column in range(len(boxes))])
    return numbers


def overlap(some: Boxes, others: Boxes) -> Boxes:
    """(N, M) intersection over union 0..1."""
    return _shared(some, others) / np.maximum(_area(some)[:, None] + _area(others)[None] - _shared(some, others), 1e-9)


def without_doubles(boxes: Boxes, scores: Sequence[float], *, most: float = 0.6) -> list[int]:
    """Positions, best score first, of the boxes of which no better one covers more than `most`, nor the reverse."""
    shared = _shared(boxes, boxes) / np.maximum(np.minimum(_area(boxes)[:, None], _area(boxes)[None]), 1e-9)
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: -scores[index]):
        if all(shared[index, other] <= most for other in kept):
            kept.append(index)
    return kept


def _area(boxes: Boxes) -> Boxes:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _shared(some: Boxes, others: Boxes) -> Boxes:
    corner = np.maximum(some[:, None, :2], others[None, :, :2])
    end = np.minimum(some[:, None, 2:], others[None, :, 2:])
    sides: Boxes = np.clip(end - corner, 0, None)
    return sides[..., 0] * sides[..., 1]
