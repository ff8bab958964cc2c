"""Which generated pictures show how a system fails: the worst ones, and two kinds that the field finds hard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.packed import Pack
from pipeline.people.labels import UPPER_CLOTHES
from pipeline.people.skeleton import LEFT_ANKLE, LEFT_KNEE, RIGHT_ANKLE, RIGHT_KNEE, is_present
from stages import sheets
from stages.drawing import Bytes, beside, draw_skeleton

ORDER = "source · target pose · target · generated"
COUNT = 6
_LEGS = [RIGHT_KNEE, LEFT_KNEE, RIGHT_ANKLE, LEFT_ANKLE]
# Upper clothes whose mean colours differ by this share of the levels do not look the same from both sides.
_OTHER_COLOURS = 0.15
_FEWEST_PIXELS = 50


def write_failures(
    path: Path,
    title: str,
    packed: Pack,
    rows: NDArray[np.int32],
    pictures: Sequence[Bytes],
    scores: NDArray[np.float64],
) -> None:
    """Write the sheet of the pairs that `choose_failures` chooses; an empty one where there are no pairs."""
    sections = [
        sheets.Section([pair_tile(packed, rows[index], pictures[index]) for index in chosen], kind, columns=2)
        for kind, chosen in choose_failures(packed, rows, scores).items()
        if chosen
    ]
    sheets.write_sheet(path, title, sections, subtitle=ORDER if sections else "no test pairs", max_bytes=4_000_000)


def pair_tile(packed: Pack, pair: NDArray[np.int32], generated: Bytes) -> sheets.Tile:
    """Source, target pose, target and generated picture beside each other."""
    source, target = (int(row) for row in pair)
    pose = draw_skeleton(np.full_like(packed.image(target), 24), packed.keypoints[target])
    tile = beside(packed.image(source), pose, packed.image(target), generated)
    return sheets.Tile(tile, f"{packed.names[source]} → {packed.names[target]}")


def choose_failures(packed: Pack, rows: NDArray[np.int32], scores: NDArray[np.float64]) -> dict[str, list[int]]:
    """Pairs (places in `rows` (M, 2)) by what is wrong with them, at most six each, those of the lowest scores first.

    Close-ups show neither knee nor ankle in the target. Jackets, open in front and closed behind, and all that has
    another back are found by the mean colours of the upper clothes in source and target. No target comes up twice.
    """
    order = np.argsort(scores, kind="stable")
    close = [index for index in order if not is_present(packed.keypoints[rows[index, 1]])[_LEGS].any()]
    other = [index for index in order if _difference(packed, *rows[index]) > _OTHER_COLOURS]
    return {
        "lowest SSIM in the person's mask": _distinct(order, rows),
        "close-ups: no knee and no ankle in the target": _distinct(close, rows),
        "jackets: upper clothes of other colours in source and target": _distinct(other, rows),
    }


def _distinct(order: Sequence[int] | NDArray[np.intp], rows: NDArray[np.int32]) -> list[int]:
    """The first places of `order`, each of another target."""
    first: dict[int, int] = {}
    for index in order:
        first.setdefault(int(rows[index, 1]), int(index))
    return list(first.values())[:COUNT]


def _difference(packed: Pack, source: int, target: int) -> float:
    """Mean absolute difference of the upper clothes' mean colours, 0..1; 0 where a picture hardly shows any."""
    means = []
    for row in (source, target):
        shown = packed.parsing(row) == UPPER_CLOTHES
        if shown.sum() < _FEWEST_PIXELS:
            return 0.0
        means.append(packed.image(row)[shown].mean(0))
    return float(np.abs(means[0] - means[1]).mean() / 255)
