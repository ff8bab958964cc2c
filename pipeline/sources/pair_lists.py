"""Pair lists in the field's CSV form `from,to`."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources.names import Names
from pipeline.sources.tables import Table

Pairs = list[tuple[str, str, str | None]]
COLUMNS = ("from", "to")


def is_pair_list(header: str) -> bool:
    """Whether a CSV's first line means to be one of pairs."""
    return any(column in [cell.strip().lower() for cell in re.split("[,;\t]", header)] for column in COLUMNS)


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


def match_pairs(table: Table, name: str, names: Names) -> tuple[Pairs, list[tuple[str, str]]]:
    """The list's pairs as ids, in its order, and what was set aside (pair, reason)."""
    pairs: Pairs = []
    set_aside = []
    split = split_in_name(name)
    for place, start, end in read_pairs(table, name):
        ids = []
        for value in (start, end):
            try:
                ids.append(names.find(value))
            except LookupError as error:
                remedy = "add the picture or remove the line"
                set_aside.append((f"{start} -> {end}", f"{place}: {value!r}: {error}; {remedy}"))
                break
        else:
            pairs.append((ids[0], ids[1], split))
    return pairs, set_aside
