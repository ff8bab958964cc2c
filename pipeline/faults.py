"""What storage may answer (full, read-only, forbidden), told as one message with a path and a remedy."""

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

_SPACE = "free some space there"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "mount it writable, or move the project",
    errno.EACCES: "give yourself the right to read and write there",
    errno.EPERM: "give yourself the right to write there",
    errno.ENOTDIR: "move the file away that stands where a folder belongs",
    errno.EEXIST: "move the file away that stands where a folder belongs",
    errno.EISDIR: "move the folder away that stands where a file belongs",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check the disk and the space left on it",
}
_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
_DAMAGED = "is damaged: delete the folder .cache/memo (results do not depend on it)"
# What the store of finished work may answer besides.
_STORE = {
    sqlite3.SQLITE_BUSY: "is held by another process: end that one",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
# How pyarrow and HDF5 name the file in the text of their errors.
_NAMED = re.compile(r"(?:file|name =) '([^']+)'")


def storage_trouble(error: BaseException, places: Sequence[Path]) -> str | None:
    """The message for an error that storage gave, or None for any other.

    `places` are the folders that the work writes to: named, with the space left on them, where the error names no file.
    """
    for cause in _chain(error):
        if state := _STORE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF):
            return f"the store of finished work {state}, and run again ({cause})"
        number = _number(cause)
        if number in _REMEDIES:
            # Of a copy the second name is the one that was written to.
            names = (getattr(cause, name, None) for name in ("filename2", "filename"))
            where = next((name for name in names if name), None) or _named(cause) or _roomy(places)
            remedy = _REMEDIES[number].capitalize()
            return f"{where}: {os.strerror(number)}. {remedy}, and run again: what is finished is kept."
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _number(error: BaseException) -> int:
    """The errno behind an error, or 0. Some libraries only leave it in the text."""
    if isinstance(error, OSError):
        return error.errno or 0
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, 0)
    text = str(error)
    if "PytorchStreamWriter" in text or "unexpected pos" in text:  # torch does not say why it could not write
        return errno.EIO
    return next((number for number in _REMEDIES if os.strerror(number) in text), 0)


def _named(error: BaseException) -> str | None:
    found = _NAMED.search(str(error))
    return found[1] if found else None


def _roomy(places: Sequence[Path]) -> str:
    """Each place with the space left."""
    rooms = [(place.resolve(), shutil.disk_usage(place).free // 2**20) for place in places if place.exists()]
    return ", ".join(f"{place} ({free} MiB free)" for place, free in rooms)
