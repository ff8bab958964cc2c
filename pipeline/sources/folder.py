"""Source `folder`: a folder (or a .zip or .tar) of pictures, and what lies beside them in the field's formats.

    raw/[images/, imgs/ or img/][train/ val/ test/]person_pose.ext or person/pose.ext      (the rules: names.py)
    raw/**/*.csv, *.json, *.txt, *.lst, label maps                                   (the formats: companions.py)

All match pictures by name; the extension does not count. Hidden files are no part of it.
"""

import os
import posixpath
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.archives import SUFFIXES, layout
from pipeline.errors import UserError
from pipeline.sources import companions
from pipeline.sources.entries import Entry, Options, RawSource
from pipeline.sources.names import (
    PICTURE_SUFFIXES,
    is_distractor,
    person_and_pose,
    split_of_folder,
    without_suffix,
)

PICTURE_FOLDERS = ("images", "imgs", "img", "img_highres")


@dataclass
class _Found:
    """Files of a raw folder by what they are for, as POSIX paths relative to it, sorted."""

    pictures: list[str] = field(default_factory=list)
    beside: companions.Files = field(default_factory=lambda: defaultdict(list))  # by companions.kind_of
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(raw: Path, options: Options) -> RawSource:
    """The pictures of the folder, sorted by id, with the joints, label maps and pairs in it; UserError without any."""
    found = _look(raw, nested_archives=options.nested_archives)
    # An archive of a folder often holds that folder, by its own name.
    home = f"{raw.stem}/" if raw.is_file() else ""
    entries, bad_names = _entries(found.pictures, home)
    if not entries:
        raise UserError(_no_pictures(raw, found, bad_names, options))
    with_them = companions.attach(raw, found.beside, entries, frame=options.keypoints_frame, home=home)
    notes = found.notes + with_them.notes
    if not with_them.pairs and max(Counter(entry.person for entry in entries).values()) == 1:
        notes.append("no person has two pictures, so there is nothing to pair: name them person_pose.ext or by folders")
    return RawSource(
        entries=companions.with_splits(entries, with_them.splits),
        set_aside=found.set_aside + bad_names + with_them.set_aside,
        annotations=with_them.joints,
        label_paths=with_them.label_paths,
        pairs=with_them.pairs,
        pairs_set_aside=with_them.pairs_set_aside,
        notes=notes,
    )


def _no_pictures(raw: Path, found: _Found, bad_names: list[tuple[str, str]], options: Options) -> str:
    if set_aside := found.set_aside + bad_names:
        name, reason = set_aside[0]
        others = f" (of {len(set_aside)} files set aside)" if len(set_aside) > 1 else ""
        return f"{raw} holds no pictures that can be read; domains.{options.domain}.raw: {name}: {reason}{others}"
    return "; ".join(
        [
            f"{raw} holds no pictures ({', '.join(PICTURE_SUFFIXES)})",
            *found.notes,
            f"put some in, or set domains.{options.domain}.raw to the folder that has them",
        ]
    )


def _look(raw: Path, *, nested_archives: bool) -> _Found:
    """Walk the folder once; where there is an images/ or img/, pictures elsewhere do not count."""
    found = _Found()
    ignored: Counter[str] = Counter()
    for path, reason in _members(raw) if raw.is_file() else _walk(raw, nested_archives=nested_archives):
        suffix = posixpath.splitext(path)[1].lower()
        if not _is_plain(path):
            found.set_aside.append(
                (ascii(path)[1:-1], "the name has a backslash, control characters or is not UTF-8: rename the file")
            )
        elif reason:
            found.set_aside.append((path, reason))
        elif kind := companions.kind_of(raw, path):
            found.beside[kind].append(path)
        elif suffix in PICTURE_SUFFIXES and not companions.in_label_folder(path):
            found.pictures.append(path)
        else:
            ignored[posixpath.basename(path) if suffix in ("", ".csv") else suffix] += 1
            if why := companions.why_no_list(raw, path):
                found.notes.append(why)
    if housed := [path for path in found.pictures if _has_home(path)]:
        ignored.update("".join(path.partition("/")[:2]) for path in found.pictures if not _has_home(path))
        found.pictures = housed
    if ignored:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(ignored.items()))
        found.notes.append(f"files that are no pictures of this source were ignored: {kinds}")
    return found


def _is_plain(path: str) -> bool:
    """Whether tables and archives can hold the name; bytes that are not UTF-8 arrive as lone surrogates (Cs)."""
    if path.isascii() and path.isprintable():
        return "\\" not in path
    return not any(letter == "\\" or unicodedata.category(letter) in ("Cc", "Cs") for letter in path)


def _is_housing(folder: str) -> bool:
    """Whether a folder only holds pictures and says nothing of them."""
    return folder.lower() in PICTURE_FOLDERS or folder.lower().endswith(SUFFIXES)


def _has_home(path: str) -> bool:
    return any(part.lower() in PICTURE_FOLDERS for part in path.split("/")[:-1])


def _walk(raw: Path, *, nested_archives: bool = False) -> list[tuple[str, str]]:
    """(relative path, why it cannot be used or nothing) of every visible file, sorted.

    Links are named, never followed, and what is no ordinary file is never opened: reading a pipe would wait for ever.
    """
    found, folders = [], [""]
    while folders:
        inside = folders.pop()
        try:
            with os.scandir(raw / inside) as listing:
                items = [item for item in listing if not item.name.startswith((".", "__MACOSX"))]
        except OSError as error:
            if not inside:
                raise
            found.append((inside, f"the folder cannot be read ({error.strerror}): make it readable or remove it"))
            continue
        for item in items:
            path = f"{inside}/{item.name}" if inside else item.name
            if item.is_symlink():
                found.append((path, "a link: copy the file itself into the folder (`cp -L`)"))
            elif item.is_dir():
                folders.append(path)
            elif nested_archives and item.is_file() and path.lower().endswith(SUFFIXES):
                members = _members(raw / path)
                reasons = {reason for _, reason in members}
                as_one = len(reasons) == 1 and "" not in reasons
                found += [(path, reasons.pop())] if as_one else [(f"{path}/{name}", reason) for name, reason in members]
            else:
                found.append((path, "" if item.is_file() else "a pipe, socket or device, no file: remove it"))
    return sorted(found, key=lambda entry: entry[0].split("/"))


def _members(archive: Path) -> list[tuple[str, str]]:
    """The same of an archive; of two members of one name the last counts, as for every program that unpacks."""
    found = []
    for name, member in {member.name: member for member in layout(archive)}.items():
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            found.append((name, "the path leads out of the archive: pack it again"))
        elif not any(part.startswith((".", "__MACOSX")) for part in parts):
            found.append((name, member.why_not))
    return sorted(found, key=lambda entry: entry[0].split("/"))


def _entries(pictures: list[str], home: str) -> tuple[list[Entry], list[tuple[str, str]]]:
    entries: dict[str, Entry] = {}
    set_aside = []
    for path in pictures:
        *folders, name = path.removeprefix(home).split("/")
        item_id = without_suffix("/".join([*(part for part in folders if not _is_housing(part)), name]))
        split, stem = split_of_folder(item_id)
        if not PurePosixPath(f"/{item_id}").name.strip():
            set_aside.append((path, "the name is blank: rename the file"))
        elif is_distractor(item_id):
            set_aside.append((path, "a Market-1501 distractor (person -1 or 0000) shows no one to pair"))
        elif item_id in entries:
            set_aside.append((path, f"has the same name as {entries[item_id].path}: rename or remove one"))
        else:
            entries[item_id] = Entry(item_id, path, *person_and_pose(stem), split)
    return [entries[key] for key in sorted(entries)], set_aside
