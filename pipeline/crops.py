"""Bringing a picture to the network's size; joints and label maps move with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadItem
from pipeline.people import skeleton
from pipeline.people.labels import BACKGROUND, LabelMap
from pipeline.people.skeleton import Joints

MODES = ("columns", "resize", "pad", "person")

# The field's rule for 256x256 pictures of DeepFashion: these columns, unscaled (PATN).
_FIRST_COLUMN, _COLUMNS, _SIDE = 40, 176, 256
_MARGIN = 0.15

Size = tuple[int, int]
Box = tuple[float, float, float, float]
Whole = tuple[int, int, int, int]


@dataclass(frozen=True)
class Move:
    """A crop and resize: the pixels `taken` of the original fill the pixels `filled` of a new picture of `size`.

    Boxes are (left, top, right, bottom) of whole pixels, right and bottom excluded; `size` is (width, height).
    """

    taken: Whole
    filled: Whole
    size: Size

    @property
    def scale(self) -> tuple[float, float]:
        """New pixels per original pixel, across and down."""
        (left, top, right, bottom), (x0, y0, x1, y1) = self.taken, self.filled
        return (x1 - x0) / (right - left), (y1 - y0) / (bottom - top)

    @property
    def offset(self) -> tuple[float, float]:
        """The original's coordinates (x, y) of the new picture's upper left corner."""
        return tuple(self.taken[i] - self.filled[i] / self.scale[i] for i in (0, 1))  # type: ignore[return-value]

    def picture(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The new (H, W, 3) RGB picture: bicubic, antialiased; around the original, the colour of its border."""
        width, height = self.size
        new = np.empty((height, width, 3), np.uint8)
        new[:] = _border_colour(picture)
        left, top, right, bottom = self.taken
        self._fill(new, picture[top:bottom, left:right], Image.Resampling.BICUBIC)
        return new

    def labels(self, labels: LabelMap) -> LabelMap:
        """The new (H, W) label map: nearest neighbour, background where the original does not reach."""
        width, height = self.size
        new = np.full((height, width), BACKGROUND, np.uint8)
        left, top, right, bottom = self.taken
        self._fill(new, labels[top:bottom, left:right], Image.Resampling.NEAREST)
        return new

    def joints(self, joints: Joints) -> Joints:
        """The joints in pixels of the new picture; one outside of it becomes missing."""
        return skeleton.move(joints, offset=self.offset, scale=self.scale, size=self.size)

    def _fill(self, new: NDArray[np.uint8], part: NDArray[np.uint8], how: Image.Resampling) -> None:
        x0, y0, x1, y1 = self.filled
        if part.shape[:2] != (y1 - y0, x1 - x0):
            part = np.asarray(Image.fromarray(np.ascontiguousarray(part)).resize((x1 - x0, y1 - y0), how))
        new[y0:y1, x0:x1] = part


def find_move(mode: str, original: Size, size: Size, *, box: Box | None = None) -> Move:
    """How `mode` brings a picture of `original` (width, height) to `size`; BadItem when it cannot.

    `columns`: 40..215 of a 256x256 picture, unscaled; one that has `size` already stays. `resize`: both sides, whatever
    the shape. `pad`: all of it, as large as fits. `person`: `box` and 15 % on each side, as large as fits.
    """
    width, height = original
    whole = (0, 0, width, height)
    if mode == "columns":
        return _columns(original, size)
    if mode == "resize":
        return Move(whole, (0, 0, *size), size)
    if mode == "pad":
        return _frame(whole, original, size)
    if mode == "person":
        if box is None:
            raise BadItem("no person was found to crop around")
        left, top, right, bottom = box
        across, down = (right - left) * _MARGIN, (bottom - top) * _MARGIN
        return _frame((left - across, top - down, right + across, bottom + down), original, size)
    raise ValueError(f"crop mode '{mode}' is not one of {', '.join(MODES)}")


def _columns(original: Size, size: Size) -> Move:
    width, height = original
    if original == size:
        return Move((0, 0, *size), (0, 0, *size), size)
    if original == (_SIDE, _SIDE) and size == (_COLUMNS, _SIDE):
        return Move((_FIRST_COLUMN, 0, _FIRST_COLUMN + _COLUMNS, _SIDE), (0, 0, *size), size)
    raise BadItem(
        f"{width}x{height}: crop.mode columns cuts {_COLUMNS}x{_SIDE} from {_SIDE}x{_SIDE} and passes "
        f"{size[0]}x{size[1]}; for other pictures set crop.mode to resize, pad or person"
    )


def _frame(box: Box, original: Size, size: Size) -> Move:
    """The smallest frame of the new shape around the middle of `box`; its part within the original is taken."""
    left, top, right, bottom = box
    zoom = min(size[0] / max(right - left, 1), size[1] / max(bottom - top, 1))
    middle = ((left + right) / 2, (top + bottom) / 2)
    across, down = (_span(middle[axis], zoom, original[axis], size[axis]) for axis in (0, 1))
    return Move((across[0], down[0], across[1], down[1]), (across[2], down[2], across[3], down[3]), size)


def _span(middle: float, zoom: float, original: int, size: int) -> Whole:
    """Along one axis: first and last of the original's pixels within the frame, and of the new pixels they fill."""
    corner = middle - size / zoom / 2
    start, end = max(int(np.floor(corner)), 0), min(int(np.ceil(corner + size / zoom)), original)
    if start >= end:
        raise BadItem(f"the person's box lies outside of the picture (its middle at {middle:.0f} of {original} pixels)")
    first = min(max(round((start - corner) * zoom), 0), size - 1)
    last = min(max(round((end - corner) * zoom), first + 1), size)
    return start, end, first, last


def _border_colour(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(3,) the median of the outermost pixels."""
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    return np.rint(np.median(np.concatenate(edges), axis=0)).astype(np.uint8)
