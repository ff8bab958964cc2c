"""What a stage set aside: a table of names and reasons, and the limit above which the stage fails instead."""

import csv
import re
from pathlib import Path

from pipeline.errors import UserError

Rows = list[tuple[str, str]]

# Longer than any path; a line of a damaged list may be longer than a CSV reader takes.
_LONGEST_CELL = 5000


def write(path: Path, rows: Rows) -> None:
    """Write `name,reason` sorted by name; an empty table has its header.

    Every name comes back as it was, except that bytes that are not UTF-8 are written as an escape, and that a cell ends
    after 5000 characters.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["name,reason", *(",".join(map(_cell, row)) for row in sorted(rows))]
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    partial.replace(path)


def read(path: Path) -> Rows:
    """The rows of one quarantine.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return [(name, reason) for name, reason in rows]


def enforce(rows: Rows, *, total: int, limit: float, key: str) -> None:
    """UserError when more than `limit` (a share, the parameter `key`) of `total` was set aside, or nothing is left."""
    if (total and len(rows) / total > limit) or total <= len(rows):
        shown = "\n".join(f"  {_printable(name)}: {_printable(reason)}" for name, reason in sorted(rows)[:5])
        raise UserError(
            f"{len(rows)} of {total} were set aside, more than {key}: {limit} allows"
            f"{' (nothing is left)' if total <= len(rows) else ''}. The first:\n{shown or '  (there was no input)'}\n"
            f"Mend them, or raise {key} in params.yaml."
        )


def _cell(text: str) -> str:
    # The csv module leaves a lone carriage return without quotes where lines end in \n, and then reads two rows.
    text = text[:_LONGEST_CELL]
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


def _printable(text: str) -> str:
    """One line of a message, whatever a file's name does to a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:500])
