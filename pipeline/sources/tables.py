"""Text tables beside the pictures, in a raw folder or in a raw archive."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pipeline.archives import place_of
from pipeline.errors import BadItem, UserError
from pipeline.sources.pictures import load_picture


class Table(Protocol):
    """What is read of a table; a Path is one."""

    def open(self, *, encoding: str, errors: str) -> IO[str]:
        """Its text."""


@dataclass(frozen=True)
class _Archived:
    raw: Path
    path: str

    def open(self, *, encoding: str, errors: str) -> IO[str]:
        try:
            data = load_picture(self.raw, self.path)
        except BadItem as bad:
            raise UserError(f"{self.raw}/{self.path}: {bad}") from bad
        return io.TextIOWrapper(io.BytesIO(data), encoding=encoding, errors=errors)


def find_table(raw: Path, path: str) -> Table:
    """The table at `path` below the folder or in the archive `raw`."""
    return _Archived(raw, path) if raw.is_file() or place_of(raw / path)[1] else raw / path  # type: ignore[return-value]
