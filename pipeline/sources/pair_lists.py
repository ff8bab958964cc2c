"""Lists of pairs in the field's forms, and lists of the pictures of a split.

pairs-train.csv                          columns `from,to`, in any order, among others
train_pairs.txt                          lines `target,source[,source...]` without a header (NTED, PIDM)
train_A_parsing.txt, train_B_parsing.txt line i of both is a pair, from A to B (SPT)
train.lst                                the names of a split's pictures
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.sources.names import PICTURE_SUFFIXES, Names
from pipeline.sources.tables import Table

Pairs = list[tuple[str, str, str | None]]
SetAside = list[tuple[str, str]]
COLUMNS = ("from", "to")
_SIDE = re.compile(r"(?<![A-Za-z0-9])([AB])(?![A-Za-z0-9])")


def is_pair_list(header: str) -> bool:
    """Whether a CSV's first line means to be one of pairs."""
    cells = [cell.strip(' "').lower() for cell in re.split("[,;\t]", header.strip())]
    return any(column in cells for column in COLUMNS)


def split_in_name(path: str) -> str | None:
    """`train`, `val` or `test` when the file's name says so, as in fashion-resize-pairs-train.csv."""
    words = re.findall("train|val|test", Path(path).stem.lower())
    return words[-1] if words else None


def read_pairs(table: Table, name: str) -> Iterator[tuple[str, str, str]]:
    """(place, from, to) of each line, names as written; `name` is how messages call the file.

    UserError when a column is missing.
    """
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        header = [cell.lower() for cell in _cells(next(file))]
        if missing := [column for column in COLUMNS if column not in header]:
            raise UserError(
                f"{name}, line 1: there is no column '{missing[0]}' in {','.join(header)[:80]!r}; "
                "the header must be from,to, in UTF-8"
            )
        start, end = (header.index(column) for column in COLUMNS)
        for number, line in enumerate(file, start=2):
            if line.strip():
                cells = _cells(line) + [""] * len(header)
                yield f"{name}, line {number}", cells[start], cells[end]


def _cells(line: str) -> list[str]:
    # Line by line, so that a stray quotation mark spoils its own line only.
    try:
        return [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True), [])]
    except csv.Error:
        return [line[:60]]


def is_target_list(first_line: str) -> bool:
    """Whether the first line of a text file names a target and its sources."""
    cells = first_line.split(",")
    return len(cells) > 1 and all(_is_picture(cell) for cell in cells)


def read_targets(table: Table, name: str) -> Iterator[tuple[str, str, str]]:
    """(place, from, to) of every source of each line; the target comes first in the file."""
    for number, line in _lines(table):
        target, *sources = (cell.strip() for cell in line.split(","))
        for source in sources or [""]:
            yield f"{name}, line {number}", source, target


def side_of(path: str, first_line: str) -> str | None:
    """`A` or `B` for one of two lists whose lines are pairs, such as train_A_parsing.txt; None for other files."""
    found = _SIDE.findall(PurePosixPath(path).stem)
    return found[0] if len(found) == 1 and _is_picture(first_line) else None


def other_side(path: str) -> str:
    """The path of the B list that belongs to an A list, and the other way round."""
    pure = PurePosixPath(path)
    return str(pure.with_name(_SIDE.sub(lambda found: "B" if found[1] == "A" else "A", pure.stem) + pure.suffix))


def read_sides(tables: Sequence[Table], names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(place, from, to) of each line of the A and the B list; UserError when they are not of one length."""
    starts, ends = (list(_lines(table)) for table in tables)
    if len(starts) != len(ends):
        raise UserError(
            f"{names[0]} has {len(starts)} lines and {names[1]} {len(ends)}: line i of both is a pair, so they must "
            "have as many; mend or remove them"
        )
    for (number, start), (_, end) in zip(starts, ends, strict=True):
        yield f"{names[0]}, line {number}", start, end


def read_names(table: Table, name: str) -> Iterator[tuple[str, str]]:
    """(place, name of a picture) of each line."""
    for number, line in _lines(table):
        yield f"{name}, line {number}", line


def _lines(table: Table) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not blank."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.strip()


def _is_picture(name: str) -> bool:
    return name.strip().lower().endswith(PICTURE_SUFFIXES)


def match_pairs(table: Table, name: str, names: Names) -> tuple[Pairs, SetAside]:
    """The CSV's pairs as ids, in its order, and what was set aside (pair, reason)."""
    return match(read_pairs(table, name), split_in_name(name), names)


def match(rows: Iterable[tuple[str, str, str]], split: str | None, names: Names) -> tuple[Pairs, SetAside]:
    """The rows (place, from, to) as pairs of ids with the split, in their order, and what was set aside."""
    pairs: Pairs = []
    set_aside = []
    for place, start, end in rows:
        ids = []
        for value in (start, end):
            try:
                ids.append(names.find(value, split))
            except LookupError as error:
                remedy = "add the picture or remove the line"
                # A line of what is no list may be longer than any reader takes.
                set_aside.append((f"{start[:500]} -> {end[:500]}", f"{place}: {value[:500]!r}: {error}; {remedy}"))
                break
        else:
            pairs.append((ids[0], ids[1], split))
    return pairs, set_aside
