"""Kinds of raw input, one file each: `read(kind, raw)` gives pictures with all that came along.

A kind is a module with `read(raw, options) -> RawSource`; adding one is a file and a line here.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline import archives
from pipeline.errors import UserError
from pipeline.sources import deepfashion, figures, folder, market1501, video
from pipeline.sources.entries import Entry, Options, RawSource

__all__ = ["SOURCES", "Entry", "Options", "RawSource", "read"]

SOURCES: dict[str, Callable[[Path, Options], RawSource]] = {
    "figures": figures.read,
    "folder": folder.read,
    "deepfashion": deepfashion.read,
    "market1501": market1501.read,
    "video": video.read,
}

# What the raw input may be instead of a folder: an archive, read in place, or a single clip.
FILES = dict.fromkeys(("folder", "deepfashion", "market1501"), archives.SUFFIXES) | {"video": video.SUFFIXES}


def read(kind: str, raw: Path, options: Options | None = None) -> RawSource:
    """What the raw folder holds; UserError names the path, the parameter `domains.<name>.raw` and the remedy."""
    options = options or Options()
    key = f"domains.{options.domain}"
    if kind not in SOURCES:
        raise UserError(f"{key}.ingest.source: '{kind}' is not one of {', '.join(SOURCES)}")
    try:
        if not raw.is_dir() and not (raw.is_file() and raw.suffix.lower() in FILES.get(kind, ())):
            state, remedy = "is no folder, .zip or .tar", "a folder of pictures, or to a .zip or .tar"
            if kind == "video":
                state, remedy = "is no folder or clip", "a folder of clips, or to one clip"
            state = state if raw.exists() else "does not exist"
            raise UserError(f"{raw} {state}: set {key}.raw in params.yaml to {remedy}")
        return SOURCES[kind](raw, options)
    except OSError as error:
        reason = f"{error.filename or raw} cannot be read: {error.strerror or error}"
        raise UserError(f"{reason}; mend or remove it, or set {key}.raw to another folder") from error
