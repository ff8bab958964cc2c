"""Finished work, kept by content, and what is known of files by their size, time and inode.

Three things in one folder outside DVC's outputs, which all experiments of a project share:
  outputs   of finished items, under a digest of input bytes, code, parameters and weights
  files     finished shards and packs, under a digest of what is in them
  stats     the identity of files that were read before, so that an unchanged one is not read again (as git does)
The folder may be deleted at any time: results depend on the inputs alone. What is damaged counts as absent.
"""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pipeline.content import digest

Outputs = dict[str, bytes]
T = TypeVar("T")
AnyPath = TypeVar("AnyPath", Path, str)

# The output of an item that was set aside: the reason.
REASON = "set aside"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (
    key BLOB NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (key, name)
);
CREATE TABLE IF NOT EXISTS files (
    key BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS stats (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    identity BLOB NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS listings (identity BLOB PRIMARY KEY, listing BLOB NOT NULL, used INTEGER NOT NULL);
"""
# What a row of each table is known by.
_KEYS = {"outputs": "key", "files": "key", "stats": "path", "listings": "identity"}
_LAYOUT = """
SELECT tables.name, columns.name, columns.type, columns."notnull", columns.pk
FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'
"""
_AT_ONCE = 500
# A file that was written so recently may be written again without its time changing.
_UNSETTLED_NS = 2_000_000_000


class Memo:
    """The store in `folder`, safe for several processes."""

    def __init__(self, folder: Path) -> None:
        (folder / "files").mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._today = int(time.time() // 86400)
        # Size, time and inode of files that were asked for and are not known, as they were before they are read.
        self._seen: dict[str, list[int]] = {}
        # One at a time: of two that find the same damage the second would remove what the first has begun.
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._db = _open(folder / "index.sqlite")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def discard(self) -> None:
        """Remove what turned out to be damaged while it was used: the next `Memo` of the folder begins anew."""
        self.close()
        _remove(self.folder / "index.sqlite")

    # Outputs of items.

    def get(self, key: bytes) -> Outputs | None:
        """The outputs under `key`, or None."""
        rows = self._db.execute("SELECT name, value, digest FROM outputs WHERE key = ?", (key,)).fetchall()
        if not rows or any(digest([value]) != check for _, value, check in rows):
            return None
        return {name: value for name, value, _ in rows}

    def put(self, entries: Mapping[bytes, Outputs]) -> None:
        """Store all `entries` in one transaction, replacing what stood there."""
        rows = [
            (key, name, value, digest([value]), self._today)
            for key, out in entries.items()
            for name, value in out.items()
        ]
        with self._transaction():
            self._db.executemany("DELETE FROM outputs WHERE key = ?", [(key,) for key in entries])
            self._db.executemany("INSERT INTO outputs VALUES (?, ?, ?, ?, ?)", rows)

    def outcomes(self, keys: Iterable[bytes]) -> dict[bytes, str | None]:
        """Of the keys that are known: the reason why the item was set aside, or None for a good one."""
        found: dict[bytes, str | None] = {}
        stale = set()
        columns = "key, used, name = ?, CASE WHEN name = ? THEN value END, digest"
        for key, used, is_bad, value, check in self._select("outputs", columns, keys, (REASON, REASON)):
            if is_bad and digest([value]) != check:
                continue
            found[key] = value.decode() if is_bad else None
            if used != self._today:
                stale.add(key)
        self._touch("outputs", stale)
        return found

    def values(self, keys: Iterable[bytes], name: str) -> dict[bytes, bytes]:
        """The output `name` of every key that has a sound one."""
        rows = self._select("outputs", "key, value, digest", keys, where="name = ?", after=(name,))
        return {key: value for key, value, check in rows if digest([value]) == check}

    def digests(self, keys: Iterable[bytes]) -> dict[bytes, dict[str, bytes]]:
        """Of the keys that are known: the digest of each output by its name; the outputs themselves are not read."""
        found: dict[bytes, dict[str, bytes]] = {}
        for key, name, check in self._select("outputs", "key, name, digest", keys):
            found.setdefault(key, {})[name] = check
        return found

    # Whole files.

    def keep_file(self, key: bytes, path: Path) -> None:
        """Remember the finished file at `path` under `key`: a hard link where the disk allows, else a copy."""
        kept = self._file(key)
        try:
            _link(path, kept)
            state = kept.stat()
        except FileNotFoundError:  # pruned meanwhile by another process
            return
        row = (key, state.st_size, state.st_mtime_ns, self._today)
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def kept_file(self, key: bytes) -> Path | None:
        """The file that was kept under `key`; None when there is none, or it was written to since."""
        row = self._db.execute("SELECT size, mtime_ns FROM files WHERE key = ?", (key,)).fetchone()
        kept = self._file(key)
        try:
            state = kept.stat()
        except FileNotFoundError:  # never kept, or pruned by another process
            return None
        if row != (state.st_size, state.st_mtime_ns):
            kept.unlink(missing_ok=True)
            return None
        self._touch("files", [key])
        return kept

    def take_file(self, key: bytes, path: Path) -> bool:
        """Put the file that was kept under `key` at `path`, if there is one."""
        kept = self.kept_file(key)
        try:
            if kept:
                _link(kept, path)
        except FileNotFoundError:
            return False
        return kept is not None

    def forget_file(self, key: bytes) -> None:
        """Remove the file that was kept under `key`."""
        self._db.execute("DELETE FROM files WHERE key = ?", (key,))
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: bytes) -> Path:
        return self.folder / "files" / key.hex()

    # What is known of files elsewhere.

    def identities(self, paths: Sequence[AnyPath]) -> dict[AnyPath, bytes]:
        """The identity of every path whose size, time and inode are those that were remembered."""
        known: dict[AnyPath, bytes] = {}
        stale = set()
        names = [_absolute(path) for path in paths]
        rows = self._select("stats", "path, size, mtime_ns, inode, identity, used", names)
        remembered = {path: rest for path, *rest in rows}
        now = time.time_ns()
        for path, name in zip(paths, names, strict=True):
            state, row = _stat(path), remembered.get(name)
            if state and row and row[:3] == state:
                known[path] = row[3]
                stale |= {name} if row[4] != self._today else set()
            elif state and now - state[1] > _UNSETTLED_NS:
                self._seen[name] = state
        self._touch("stats", stale)
        return known

    def remember(self, identities: Mapping[AnyPath, bytes], *, settled: bool = False) -> None:
        """Note what the files are that `identities` was asked for; `settled` ones are the caller's own, just written.

        Of a file that changes after it was asked for, or did so just before, nothing is known.
        """
        rows = []
        for path, identity in identities.items():
            name = _absolute(path)
            state: list[int] = _stat(path) if settled else self._seen.pop(name, [])
            if state:
                rows.append((name, *state, identity, self._today))
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO stats VALUES (?, ?, ?, ?, ?, ?)", rows)

    def listing(self, identity: bytes) -> bytes | None:
        """What was noted about the members of an archive of this identity."""
        row = self._db.execute("SELECT listing FROM listings WHERE identity = ?", (identity,)).fetchone()
        self._touch("listings", [identity] if row else [])
        return row[0] if row else None

    def note_listing(self, identity: bytes, listing: bytes) -> None:
        """Note what is in an archive."""
        self._db.execute("INSERT OR REPLACE INTO listings VALUES (?, ?, ?)", (identity, listing, self._today))

    # Room.

    def size(self) -> int:
        """Bytes on the disk."""
        paths = [*(self.folder / "files").iterdir(), *self.folder.glob("index.sqlite*")]
        # Another process may prune, or close the store.
        return sum(state[0] for path in paths if path.suffix != ".sqlite-shm" and (state := _stat(path)))

    def prune(self, max_bytes: int) -> int:
        """Remove what was not used for longest until the store is no larger than `max_bytes`; the bytes removed."""
        before = self.size()
        known = {key.hex() for (key,) in self._db.execute("SELECT key FROM files")}
        for path in (self.folder / "files").iterdir():
            if path.name not in known:  # of a run that was killed, or of an index that was lost
                path.unlink(missing_ok=True)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        excess = self.size() - max_bytes
        for table, key, weight in self._oldest_first() if excess > 0 else ():
            if excess <= 0:
                break
            if table == "files":
                self._file(key).unlink(missing_ok=True)
            self._db.execute(f"DELETE FROM {table} WHERE {_KEYS[table]} = ?", (key,))
            excess -= weight
        self._db.executescript("PRAGMA incremental_vacuum")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before - self.size()

    def _oldest_first(self) -> list[tuple[str, Any, int]]:
        """Table, key and bytes of everything, what was used longest ago first; an item's outputs go together."""
        weights = {
            "outputs": "length(value) + 200",
            "files": "size",
            "stats": "length(path) + 100",
            "listings": "length(listing) + 50",
        }
        rows = [
            (table, *row)
            for table, weight in weights.items()
            for row in self._db.execute(
                f"SELECT {_KEYS[table]}, sum({weight}), min(used), min(rowid) FROM {table} GROUP BY {_KEYS[table]}"
            )
        ]
        return [row[:3] for row in sorted(rows, key=lambda row: row[3:])]

    def _touch(self, table: str, keys: Iterable[Any]) -> None:
        rows = [(self._today, key) for key in keys]
        if rows:
            with self._transaction():
                self._db.executemany(f"UPDATE {table} SET used = ? WHERE {_KEYS[table]} = ?", rows)

    def _select(
        self,
        table: str,
        columns: str,
        keys: Iterable[Any],
        before: tuple[Any, ...] = (),
        *,
        where: str = "1",
        after: tuple[Any, ...] = (),
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of many keys, some hundred at a time."""
        for some in _chunks(keys, _AT_ONCE):
            marks = ",".join("?" * len(some))
            query = f"SELECT {columns} FROM {table} WHERE {_KEYS[table]} IN ({marks}) AND {where}"
            yield from self._db.execute(query, (*before, *some, *after)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite found the file damaged, or to be none of its own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _open(path: Path) -> sqlite3.Connection:
    """The database; one that is damaged, or that another version of this module laid out, begins anew."""
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
        if set(db.execute(_LAYOUT)) == _expected_layout():
            return db
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    db.close()
    _remove(path)
    return _open(path)


def _remove(path: Path) -> None:
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink(missing_ok=True)


def _expected_layout() -> set[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(_SCHEMA)
        return set(db.execute(_LAYOUT))


def _chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(values)
    while some := list(islice(source, size)):
        yield some


def _absolute(path: Path | str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - a fifth of the time, for 50,000 files


def _stat(path: Path | str) -> list[int]:
    """Size, time of change and inode; nothing of a file that is gone or cannot be looked at."""
    try:
        state = os.stat(path)  # noqa: PTH116 - likewise
    except (OSError, ValueError):
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ino]


def _link(path: Path, new: Path) -> None:
    """`new` as a second name of the file, or as a copy with the same time; in place at once or not at all."""
    partial = new.with_name(f"{new.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(path, partial)
    except OSError:  # another disk, or one without links
        shutil.copy2(path, partial)
    os.replace(partial, new)
    partial.unlink(missing_ok=True)  # it stays where both names were links of one file already
