"""Finished items, kept by content: the key is a hash of the input bytes, the stage's code, its parameters and weights.

The store is one SQLite file outside DVC's outputs. It may be deleted at any time: results depend on the inputs alone.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

Outputs = dict[str, bytes]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (
    key BLOB NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (key, name)
)
"""


def digest(parts: Iterable[bytes]) -> bytes:
    """16 bytes that identify the sequence `parts`; lengths count, so ("ab", "c") is not ("a", "bc")."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


class Memo:
    """A mapping key -> named outputs on disk, safe for several processes; a damaged entry counts as absent."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    def get(self, key: bytes) -> Outputs | None:
        """The outputs under `key`, or None."""
        rows = self._db.execute("SELECT name, value, digest FROM outputs WHERE key = ?", (key,)).fetchall()
        if not rows or any(digest([value]) != check for _, value, check in rows):
            return None
        return {name: value for name, value, _ in rows}

    def put(self, entries: Mapping[bytes, Outputs]) -> None:
        """Store all `entries` in one transaction, replacing what stood there."""
        rows = [(key, name, value, digest([value])) for key, out in entries.items() for name, value in out.items()]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM outputs WHERE key = ?", [(key,) for key in entries])
        self._db.executemany("INSERT INTO outputs VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
