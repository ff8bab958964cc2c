"""Generated pictures beside their targets, read from folders, pair lists and strips as other programs leave them."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadItem, UserError
from pipeline.pictures import Bytes
from pipeline.sources.names import Names, without_suffix
from pipeline.sources.pair_lists import read_pairs
from pipeline.sources.pictures import check_picture
from pipeline.sources.tables import find_table

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# How programs of the field call the picture made for a pair.
SPELLINGS = ("{start}___{end}_vis", "{start}___{end}", "{start}_2_{end}_vis", "{start}_2_{end}", "{end}_vis", "{end}")
# Panels of a strip by how many there are: ADGAN's five, the three of Market-1501 results.
LAYOUTS = {5: ("source", "-", "target", "-", "generated"), 3: ("source", "target", "generated")}
# Endings inside a name, as in `a.jpg___b.jpg_vis.png`; the list may have others.
_ENDING = re.compile(r"\.(jpe?g|png)(?=_|$)", re.IGNORECASE)
_USUAL_ASPECT = 0.6
_MOST_PIXELS = 60_000_000


@dataclass(frozen=True)
class Trial:
    """One generated picture with its target and, where it is known, its source; all of one size."""

    name: str
    generated: Bytes
    target: Bytes
    source: Bytes | None = None

    def __post_init__(self) -> None:
        for what, picture in (("target", self.target), ("source", self.source)):
            if picture is not None and picture.shape != self.generated.shape:
                ours, theirs = (f"{shape[1]}x{shape[0]}" for shape in (self.generated.shape, picture.shape))
                raise UserError(
                    f"{self.name}: generated {ours}, its {what} {theirs}: scale or crop one of them; "
                    "how that is done changes every score"
                )


def read_strips(folder: Path, layout: str | None) -> list[Trial]:
    """The trials of a folder of strips; `layout` names the panels, else their number decides."""
    trials = []
    for path in find_pictures(folder).values():
        strip = read_picture(path)
        panels = tuple(layout.split(",")) if layout else _layout_of(path, strip)
        if "generated" not in panels or "target" not in panels:
            raise UserError(f"--layout {layout}: name at least target and generated, as in source,target,generated")
        if strip.shape[1] % len(panels):
            raise UserError(f"{path}: {strip.shape[1]} px do not divide into {len(panels)} panels; give --layout")
        cut = dict(zip(panels, np.split(strip, len(panels), axis=1), strict=True))
        trials.append(Trial(path.stem, cut["generated"], cut["target"], cut.get("source")))
    return trials


def _layout_of(path: Path, strip: Bytes) -> tuple[str, ...]:
    """The panels of a strip whose pictures are higher than wide, as people's are."""
    height, width = strip.shape[:2]
    aspects = {count: width / count / height for count in LAYOUTS if width % count == 0}
    aspects = {count: aspect for count, aspect in aspects.items() if 0.4 <= aspect <= 1}
    if aspects:
        return LAYOUTS[min(aspects, key=lambda count: abs(math.log(aspects[count] / _USUAL_ASPECT)))]
    raise UserError(f"{path}: {width}x{height} is no strip of {' or '.join(map(str, LAYOUTS))} pictures; give --layout")


def read_folders(
    generated: Path | None, targets: Path, pairs: Path | None, baseline: str | None
) -> tuple[list[Trial], list[str]]:
    """The trials of two folders, and what was left out."""
    real = find_pictures(targets)
    if pairs is None:
        if generated is None:
            raise UserError(f"--baseline {baseline}: a pair list (--pairs) must say what the source is")
        return _same_names(find_pictures(generated), real)
    names = Names(real)
    made = {_ENDING.sub("", name): path for name, path in find_pictures(generated).items()} if generated else {}
    trials, left_out = [], []
    for start, end in _listed(pairs):
        try:
            source, target = real[names.find(start)], real[names.find(end)]
            picture = source if baseline else _made_for(made, start, end)
        except LookupError as error:
            left_out.append(f"{start},{end}: {error}")
            continue
        trials.append(Trial(f"{start}___{end}", *map(read_picture, (picture, target, source))))
    return trials, left_out


def _listed(pairs: Path) -> Iterator[tuple[str, str]]:
    if not pairs.is_file():
        raise UserError(f"{pairs}: there is no such file; give a CSV with the columns from,to")
    for _, start, end in read_pairs(find_table(pairs.parent, pairs.name), pairs.name):
        yield start, end


def _made_for(made: dict[str, Path], start: str, end: str) -> Path:
    for spelling in SPELLINGS:
        if path := made.get(spelling.format(start=without_suffix(start), end=without_suffix(end))):
            return path
    raise LookupError("there is no generated picture for it")


def _same_names(made: dict[str, Path], real: dict[str, Path]) -> tuple[list[Trial], list[str]]:
    trials, left_out = [], []
    for name, path in made.items():
        if name in real:
            trials.append(Trial(name, read_picture(path), read_picture(real[name])))
        else:
            left_out.append(f"{name}: there is no target of that name")
    return trials, left_out


def find_pictures(folder: Path) -> dict[str, Path]:
    """Every picture below the folder by its path without ending; UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; name one with pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError(f"{folder}: there are no pictures in it ({', '.join(SUFFIXES)})")
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB; UserError names the file that cannot be read."""
    try:
        return check_picture(path.read_bytes(), min_size_px=1, max_pixels=_MOST_PIXELS)
    except BadItem as bad:
        raise UserError(f"{path}: {bad}; remove it or put it right") from bad
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
