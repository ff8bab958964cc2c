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
from pipeline.sources.names import PICTURE_SUFFIXES, Names, without_suffix
from pipeline.sources.pair_lists import read_pairs
from pipeline.sources.pictures import check_picture
from pipeline.sources.tables import find_table

# DeepFashion's squares, and the middle of them that the field draws.
SQUARE, CROP, PAD_PX = (256, 256), (256, 176), 40
_NEARLY_WHITE = 250
# How programs of the field call the picture made for a pair.
SPELLINGS = ("{start}___{end}_vis", "{start}___{end}", "{start}_2_{end}_vis", "{start}_2_{end}", "{end}_vis", "{end}")
# Panels of a strip by how many there are: ADGAN's five, the three of Market-1501 results.
LAYOUTS = {5: ("source", "-", "target", "-", "generated"), 3: ("source", "target", "generated")}
# Endings inside a name, as in `a.jpg___b.jpg_vis.png`; the list may have others.
_ENDING = re.compile(r"\.(jpe?g|png)(?=_|$)", re.IGNORECASE)
# What stands between the names of source and target; Market-1501's results have no more than the first one's ending.
_BETWEEN = re.compile(r"___|(?<=\.jpg)_(?=[^_])")
_USUAL_ASPECT = 0.6
_MOST_PIXELS = 60_000_000


LeftOut = list[str]


@dataclass(frozen=True)
class Trial:
    """One generated picture with its target and, where it is known, its source; all of one size."""

    name: str
    generated: Bytes
    target: Bytes
    source: Bytes | None = None
    cut: bool = False  # whether one of them was cut to its middle columns

    @property
    def ends(self) -> tuple[str, str]:
        """The names of source and target, where the name tells them, as in `a.jpg___b.jpg_vis`; else ("", name)."""
        start, _, end = re.sub(_BETWEEN, "\n", self.name.removesuffix("_vis"), count=1).rpartition("\n")
        return without_suffix(start), without_suffix(end)


def make_trial(name: str, generated: Bytes, target: Bytes, source: Bytes | None = None) -> Trial:
    """The trial; BadItem where the pictures are not of one size.

    Pictures of 256x256 beside some of 176x256 are the field's squares: their middle 176 columns are taken.
    """
    given = [picture for picture in (generated, target, source) if picture is not None]
    is_cut = {picture.shape[:2] for picture in given} == {SQUARE, CROP}
    if is_cut:
        given = [picture[:, PAD_PX:-PAD_PX] if picture.shape[:2] == SQUARE else picture for picture in given]
    for what, picture in zip(("target", "source"), given[1:], strict=False):
        if picture.shape != given[0].shape:
            ours, theirs = (f"{shape[1]}x{shape[0]}" for shape in (given[0].shape, picture.shape))
            raise BadItem(
                f"generated {ours}, its {what} {theirs}: scale or crop one of them; "
                "how that is done changes every score"
            )
    return Trial(name, given[0], given[1], given[2] if source is not None else None, is_cut)


def has_white_columns(trial: Trial) -> bool:
    """Whether both pictures are the field's squares, a person of 176x256 between white columns."""
    both = (trial.generated, trial.target)
    return all(
        each.shape[:2] == SQUARE and min(each[:, :PAD_PX].min(), each[:, -PAD_PX:].min()) >= _NEARLY_WHITE
        for each in both
    )


def read_strips(folder: Path, layout: str | None) -> tuple[list[Trial], LeftOut]:
    """The trials of a folder of strips, and what was left out; `layout` names the panels, else their number decides."""
    named = tuple(layout.split(",")) if layout else ()
    if layout and not {"generated", "target"} <= set(named):
        raise UserError(f"--layout {layout}: name at least target and generated, as in source,target,generated")
    trials, left_out = [], []
    for path in find_pictures(folder).values():
        try:
            trials.append(_cut(path.stem, read_picture(path), named))
        except BadItem as bad:
            left_out.append(f"{path}: {bad}")
    return trials, left_out


def _cut(name: str, strip: Bytes, named: tuple[str, ...]) -> Trial:
    panels = named or _layout_of(strip)
    if strip.shape[1] % len(panels):
        raise BadItem(f"{strip.shape[1]} px do not divide into {len(panels)} panels; give --layout")
    cut = dict(zip(panels, np.split(strip, len(panels), axis=1), strict=True))
    return make_trial(name, cut["generated"], cut["target"], cut.get("source"))


def _layout_of(strip: Bytes) -> tuple[str, ...]:
    """The panels of a strip whose pictures are higher than wide, as people's are."""
    height, width = strip.shape[:2]
    aspects = {count: width / count / height for count in LAYOUTS if width % count == 0}
    aspects = {count: aspect for count, aspect in aspects.items() if 0.4 <= aspect <= 1}
    if aspects:
        return LAYOUTS[min(aspects, key=lambda count: abs(math.log(aspects[count] / _USUAL_ASPECT)))]
    raise BadItem(f"{width}x{height} is no strip of {' or '.join(map(str, LAYOUTS))} pictures; give --layout")


def read_folders(
    generated: Path | None, targets: Path, pairs: Path | None, baseline: str | None
) -> tuple[list[Trial], LeftOut]:
    """The trials of two folders, and what was left out."""
    real = find_pictures(targets)
    if pairs is None:
        if generated is None:
            raise UserError(f"--baseline {baseline}: a pair list (--pairs) must say what the source is")
        return _same_names(find_pictures(generated), real)
    names = Names(real)
    made = {_ENDING.sub("", name): path for name, path in find_pictures(generated).items()} if generated else {}
    trials, left_out, unlisted = [], [], set(made.values())
    for start, end in _listed(pairs):
        try:
            source, target = real[names.find(start)], real[names.find(end)]
            picture = source if baseline else _made_for(made, start, end)
            unlisted.discard(picture)
            trials.append(make_trial(f"{start}___{end}", *map(_read, (picture, target, source))))
        except (LookupError, BadItem) as error:
            left_out.append(f"{start},{end}: {error}")
    return trials, left_out + [f"{path}: the pair list has no line for it" for path in sorted(unlisted)]


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


def _same_names(made: dict[str, Path], real: dict[str, Path]) -> tuple[list[Trial], LeftOut]:
    trials, left_out = [], []
    for name, path in made.items():
        try:
            if name not in real:
                raise BadItem("there is no target of that name")
            trials.append(make_trial(name, _read(path), _read(real[name])))
        except BadItem as bad:
            left_out.append(f"{name}: {bad}")
    return trials, left_out + [
        f"{name}: there is no generated picture of that name" for name in real if name not in made
    ]


def find_pictures(folder: Path) -> dict[str, Path]:
    """Every picture below the folder by its path without ending; UserError where there is none, or two of one name."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; name one with pictures")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not paths:
        raise UserError(f"{folder}: there are no pictures in it ({', '.join(PICTURE_SUFFIXES)})")
    found: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if other := found.get(name):
            raise UserError(f"{path} and {other.name} are two pictures of one name: move one of them away")
        found[name] = path
    return found


def _read(path: Path) -> NDArray[np.uint8]:
    """The picture; BadItem names the file that cannot be read."""
    try:
        return read_picture(path)
    except BadItem as bad:
        raise BadItem(f"{path}: {bad}") from bad


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB; BadItem says why the file cannot be used."""
    try:
        return check_picture(path.read_bytes(), min_size_px=1, max_pixels=_MOST_PIXELS)
    except OSError as error:
        raise BadItem(f"cannot be read ({error.strerror})") from error
