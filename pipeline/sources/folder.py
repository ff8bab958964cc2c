"""Source `folder`: a folder (or a .zip or .tar) of pictures, and what lies beside them in the field's formats.

    raw/[images/ or img/][train/ val/ test/]person_pose.ext or person/pose.ext      (the rules: names.py)
    raw/*.csv with `name:keypoints_y:keypoints_x`                                   joints, several files allowed
    raw/*.csv with `from,to`                                                        pairs; train, val, test by its name
    raw/labels/, labels8/, parsing/, semantic_merge3/ with .png or .npy             label maps

All match pictures by name; the extension does not count. Hidden files are no part of it.
"""

import os
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.archives import SUFFIXES, layout
from pipeline.errors import BadItem, UserError
from pipeline.people.skeleton import Joints
from pipeline.sources import annotations, label_maps, pair_lists
from pipeline.sources.entries import Entry, Options, RawSource
from pipeline.sources.names import (
    PICTURE_SUFFIXES,
    Names,
    is_distractor,
    person_and_pose,
    split_of_folder,
    without_suffix,
)
from pipeline.sources.pictures import load_picture, size_of
from pipeline.sources.tables import Table, find_table

PICTURE_FOLDERS = ("images", "img", "img_highres")

# Enough to see which frame joints are counted in; reading every header of a large folder takes minutes.
_FRAME_SAMPLE = 64

# Any file may be called .csv, and have no line break.
_LONGEST_HEADER = 10_000


@dataclass
class _Found:
    """Files of a raw folder by what they are for, as POSIX paths relative to it, sorted."""

    pictures: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    annotations: list[str] = field(default_factory=list)
    pair_lists: list[str] = field(default_factory=list)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(raw: Path, options: Options) -> RawSource:
    """The pictures of the folder, sorted by id, with the joints, label maps and pairs in it; UserError without any."""
    found = _look(raw, nested_archives=options.nested_archives)
    # An archive of a folder often holds that folder, by its own name.
    home = f"{raw.stem}/" if raw.is_file() else ""
    entries, bad_names = _entries(found.pictures, home)
    if not entries:
        raise UserError(
            f"{raw} holds no pictures ({', '.join(PICTURE_SUFFIXES)}); "
            f"put some in, or set domains.{options.domain}.raw to the folder that has them"
        )
    names = Names(entry.id for entry in entries)
    paths = {entry.id: entry.path for entry in entries}
    joints, bad_rows, joint_notes = _annotations(raw, found.annotations, paths, names, options.keypoints_frame)
    pairs, bad_pairs = _pairs(raw, found.pair_lists, names)
    label_paths, label_notes = _label_paths(found.labels, names, home)
    notes = found.notes + joint_notes + label_notes
    if not pairs and max(Counter(entry.person for entry in entries).values()) == 1:
        notes.append("no person has two pictures, so there is nothing to pair: name them person_pose.ext or by folders")
    return RawSource(
        entries=entries,
        set_aside=found.set_aside + bad_names + bad_rows,
        annotations=joints,
        label_paths=label_paths,
        pairs=pairs,
        pairs_set_aside=bad_pairs,
        notes=notes,
    )


def _look(raw: Path, *, nested_archives: bool) -> _Found:
    """Walk the folder once; where there is an images/ or img/, pictures elsewhere do not count."""
    found = _Found()
    ignored: Counter[str] = Counter()
    for path, reason in _members(raw) if raw.is_file() else _walk(raw, nested_archives=nested_archives):
        pure = PurePosixPath(path)
        suffix, in_labels = pure.suffix.lower(), any(part.lower() in label_maps.FOLDERS for part in pure.parts[:-1])
        if not _is_plain(path):
            found.set_aside.append(
                (ascii(path)[1:-1], "the name has control characters or is not UTF-8: rename the file")
            )
        elif reason:
            found.set_aside.append((path, reason))
        elif suffix == ".csv" and annotations.is_annotation(header := _header(find_table(raw, path))):
            found.annotations.append(path)
        elif suffix == ".csv" and pair_lists.is_pair_list(header):
            found.pair_lists.append(path)
        elif in_labels and suffix in label_maps.SUFFIXES:
            found.labels.append(path)
        elif suffix in PICTURE_SUFFIXES and not in_labels:
            found.pictures.append(path)
        else:
            ignored[pure.name if suffix in ("", ".csv") else suffix] += 1
    if housed := [path for path in found.pictures if _has_home(path)]:
        ignored.update("".join(path.partition("/")[:2]) for path in found.pictures if not _has_home(path))
        found.pictures = housed
    if ignored:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(ignored.items()))
        found.notes.append(f"files that are no pictures of this source were ignored: {kinds}")
    return found


def _is_plain(path: str) -> bool:
    """Whether tables and archives can hold the name; bytes that are not UTF-8 arrive as lone surrogates (Cs)."""
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
                found += [(f"{path}/{member}", reason) for member, reason in _members(raw / path)]
            else:
                found.append((path, "" if item.is_file() else "a pipe, socket or device, no file: remove it"))
    return sorted(found, key=lambda entry: entry[0].split("/"))


def _members(archive: Path) -> list[tuple[str, str]]:
    """The same of an archive; of two members of one name the last counts, as for every program that unpacks."""
    found = []
    for name in {member.name for member in layout(archive)}:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            found.append((name, "the path leads out of the archive: pack it again"))
        elif not any(part.startswith((".", "__MACOSX")) for part in parts):
            found.append((name, ""))
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


def _header(table: Table) -> str:
    """The first line; of a table in UTF-16 as well, so that its reader refuses it by name."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline(_LONGEST_HEADER).replace("\0", "")


def _annotations(
    raw: Path, tables: list[str], paths: dict[str, str], names: Names, frame: str
) -> tuple[dict[str, Joints], list[tuple[str, str]], list[str]]:
    """Joints by id in pixels of the picture, lines set aside, and what was assumed."""
    joints: dict[str, Joints] = {}
    set_aside, notes = [], []
    for table in tables:
        rows, bad = annotations.read_annotation(find_table(raw, table), table)
        matched, absent = {}, []
        for row in rows:
            try:
                item_id = names.find(row.name)
            except LookupError as error:
                absent.append(f"{row.place}: {row.name!r}: {error}")
                continue
            if item_id in joints or item_id in matched:
                bad.append((row.name, f"{row.place}: this picture was annotated before; the first line counts"))
            else:
                matched[item_id] = row.joints
        if absent:
            notes.append(f"{table}: {len(absent)} of {len(rows)} lines fit no picture, the first: {absent[0]}")
        placed, note = _place(raw, matched, paths, frame)
        joints |= placed
        set_aside += bad
        notes.append(f"{table}: {note}")
    return joints, set_aside, notes


def _place(raw: Path, joints: dict[str, Joints], paths: dict[str, str], frame: str) -> tuple[dict[str, Joints], str]:
    """The joints of one table in pixels of their pictures, and in which frame they were found."""
    sample = _sizes(raw, sorted(joints)[:_FRAME_SAMPLE], paths)
    if frame == "auto":
        frame = annotations.find_frame(joints, sample)
    note = f"joints of {len(joints)} pictures, x counted in {annotations.FRAMES[frame]}"
    if frame == "own":
        lost = annotations.share_outside(joints, sample)
        return joints, note + (f"; {lost:.0%} of the joints lie outside of their pictures" if lost > 0.01 else "")
    # A picture without a readable header gets no joints; checking it will set it aside.
    sizes = _sizes(raw, sorted(joints), paths)
    return {key: annotations.to_picture(joints[key], frame, sizes[key]) for key in sizes}, note


def _sizes(raw: Path, ids: list[str], paths: dict[str, str]) -> dict[str, tuple[int, int]]:
    sizes = {}
    for item_id in ids:
        with suppress(BadItem):
            sizes[item_id] = size_of(load_picture(raw, paths[item_id]))
    return sizes


def _pairs(raw: Path, tables: list[str], names: Names) -> tuple[pair_lists.Pairs, list[tuple[str, str]]]:
    pairs, set_aside = [], []
    for table in tables:
        more, bad = pair_lists.match_pairs(find_table(raw, table), table, names)
        pairs += more
        set_aside += bad
    return pairs, set_aside


def _label_paths(labels: list[str], names: Names, home: str) -> tuple[dict[str, str], list[str]]:
    paths: dict[str, str] = {}
    strays, doubles = [], []
    for path in labels:
        parts = path.removeprefix(home).split("/")
        rest = [part for part in parts[:-1] if part.lower() not in label_maps.FOLDERS]
        try:
            if paths.setdefault(names.find("/".join([*rest, parts[-1]])), path) != path:
                doubles.append(path)
        except LookupError:
            strays.append(path)
    notes = [f"{len(strays)} label maps fit no picture, the first: {strays[0]}"] if strays else []
    if doubles:
        notes.append(f"{len(doubles)} label maps are of pictures that have one already, the first: {doubles[0]}")
    return paths, notes
