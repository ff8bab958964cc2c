"""The pictures below a folder, and the names that what is made of them gets."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.sources.folder import PICTURE_FOLDERS
from pipeline.sources.label_maps import FOLDERS as LABEL_FOLDERS
from pipeline.sources.names import PICTURE_SUFFIXES, without_suffix

_LONGEST_NAME = 255 - len(".png.part")


@dataclass
class PicturesIn:
    """What lies below a folder: `paths` by stem, files that cannot be used and why, and how many are no pictures."""

    paths: dict[str, str] = field(default_factory=dict)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0


def find_pictures(folder: Path, *, without: Path) -> PicturesIn:
    """Every picture below `folder`, those below `without` excepted, in the order of their paths.

    The stem of a picture is its path without the ending and without folders that are called images or img, as `ingest`
    names pictures (`walk/0001` for `walk/0001.jpg`). Where several pictures share one, all but the first are called
    by the whole path, the dot of the ending an underscore. Hidden files and folders of label maps are passed over;
    links are never followed, and what is no ordinary file is never opened.
    """
    found = PicturesIn()
    for path, reason in sorted(_walk(folder, without.resolve()), key=lambda entry: entry[0].split("/")):
        pure = PurePosixPath(path)
        if pure.suffix.lower() not in PICTURE_SUFFIXES and not reason.startswith("the folder"):
            found.ignored += 1
        elif reason:
            found.set_aside.append((path, reason))
        elif any(letter == "\\" or unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
            reason = "the name has control characters, a backslash or is not UTF-8: rename the file"
            found.set_aside.append((ascii(path)[1:-1], reason))
        else:
            stem = _free_stem(path, found.paths)
            if len(os.fsencode(PurePosixPath(stem).name)) > _LONGEST_NAME:
                found.set_aside.append((path, "the name is too long: rename the file"))
            else:
                found.paths[stem] = path
    return found


def _free_stem(path: str, taken: dict[str, str]) -> str:
    *folders, name = path.split("/")
    stem = without_suffix("/".join([*(each for each in folders if each.lower() not in PICTURE_FOLDERS), name]))
    # A name with the ending in it would lose it to whoever reads the folder again.
    whole, _, ending = path.rpartition(".")
    whole = f"{whole}_{ending}"
    stem = stem if stem not in taken else whole
    number = 2
    while stem in taken:
        stem, number = f"{whole}_{number}", number + 1
    return stem


def _walk(folder: Path, without: Path) -> Iterator[tuple[str, str]]:
    """(path relative to `folder`, why it cannot be used or nothing) of every visible file."""
    left = [folder]
    while left:
        place = left.pop()
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            yield place.relative_to(folder).as_posix(), f"the folder cannot be read ({error.strerror})"
            continue
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            if entry.name.startswith(".") or path.resolve() == without:
                continue
            if entry.is_symlink():
                what = "the folder is a link" if entry.is_dir() else "a link"
                yield name, f"{what}, which is not followed: put the original here"
            elif entry.is_dir():
                left += [path] if entry.name.lower() not in LABEL_FOLDERS else []
            elif not stat.S_ISREG(entry.stat().st_mode):
                yield name, "a pipe, socket or device, no file: remove it"
            else:
                yield name, ""
