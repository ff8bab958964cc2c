"""Kinds of raw input, one file each: `read(kind, raw)` gives pictures with all that came along.

A kind is a module with `read(raw, options) -> RawSource`; adding one is a file and a line here.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline import archives
from pipeline.errors import UserError
from pipeline.sources import figures, folder
from pipeline.sources.entries import Entry, Options, RawSource

__all__ = ["SOURCES", "Entry", "Options", "RawSource", "read"]

SOURCES: dict[str, Callable[[Path, Options], RawSource]] = {
    "figures": figures.read,
    "folder": folder.read,
}

# Kinds whose raw input may be an archive too, read in place.
IN_ARCHIVES = ("folder",)


def read(kind: str, raw: Path, options: Options | None = None) -> RawSource:
    """What the raw folder holds; UserError names the path, the parameter `domains.<name>.raw` and the remedy."""
    options = options or Options()
    key = f"domains.{options.domain}"
    if kind not in SOURCES:
        raise UserError(f"{key}.ingest.source: '{kind}' is not one of {', '.join(SOURCES)}")
    try:
        is_archive = raw.is_file() and raw.suffix.lower() in archives.SUFFIXES
        if not raw.is_dir() and not (is_archive and kind in IN_ARCHIVES):
            state = "is no folder, .zip or .tar" if raw.exists() else "does not exist"
            raise UserError(
                f"{raw} {state}: set {key}.raw in params.yaml to a folder of pictures, or to a .zip or .tar"
            )
        return SOURCES[kind](raw, options)
    except OSError as error:
        reason = f"{error.filename or raw} cannot be read: {error.strerror or error}"
        raise UserError(f"{reason}; mend or remove it, or set {key}.raw to another folder") from error
