"""What lies beside pictures in the field's formats: found by content, matched to the pictures by name.

    *.csv   `name:keypoints_y:keypoints_x` (joints) or `from,to` (pairs)
    *.json  OpenPose's of one picture, or COCO's of many
    *.txt   18 lines `x y` (joints of one picture), `target,source` lines, or A and B lists (pairs)
    *.lst   names of a split's pictures
    labels/, labels8/, parsing/, semantic_merge3/, ... with .png or .npy, and .npy beside its picture: label maps

Every source may use it: sort the files with `kind_of`, then `attach` them to the entries.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from pipeline.people.skeleton import Joints
from pipeline.sources import annotations, coco, joint_files, label_maps, openpose, pair_lists, pose_text
from pipeline.sources.annotations import Row
from pipeline.sources.entries import Entry
from pipeline.sources.names import Names, without_suffix
from pipeline.sources.tables import Table, find_table

Files = dict[str, list[str]]
SetAside = list[tuple[str, str]]

# SCA-GAN's folders of edge maps, which are no pictures of people.
_EDGE_FOLDERS = ("traine", "vale", "teste")

# Any file may have one of these endings, and no line break.
_LONGEST_HEAD = 10_000
_CALLED_A_LIST = {".csv": "pair|annot|keypoint", ".txt": "pair"}
_TEXTS = (".csv", ".json", ".txt", ".lst")


@dataclass
class Companions:
    """What the files hold, by picture id; `splits` is train, val or test of the pictures that a list names."""

    joints: dict[str, Joints] = field(default_factory=dict)
    label_paths: dict[str, str] = field(default_factory=dict)
    pairs: pair_lists.Pairs = field(default_factory=list)
    splits: dict[str, str] = field(default_factory=dict)
    set_aside: SetAside = field(default_factory=list)
    pairs_set_aside: SetAside = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def kind_of(raw: Path, path: str) -> str | None:
    """What the file at `path` below `raw` is, from its name and its beginning; None for everything else."""
    suffix = posixpath.splitext(path)[1].lower()
    folders = set(path.lower().split("/")[:-1])
    if suffix in _TEXTS:
        return _kind_of_text(path, suffix, _head(find_table(raw, path)))
    if suffix in label_maps.SUFFIXES and not folders.isdisjoint(label_maps.FOLDERS):
        return "labels"
    if suffix == ".png" and not folders.isdisjoint(_EDGE_FOLDERS):
        return "edges"
    return "array" if suffix == ".npy" else None


def why_no_list(raw: Path, path: str) -> str | None:
    """What to say of a table that is called like one of the field's lists and that `kind_of` does not know."""
    name, suffix = posixpath.splitext(posixpath.basename(path).lower())
    if suffix not in _CALLED_A_LIST or not re.search(_CALLED_A_LIST[suffix], name):
        return None
    first_line = next(iter(_head(find_table(raw, path)).splitlines()), "")
    expected = "two names with a comma between them, target,source"
    if suffix == ".csv":
        expected = f"{':'.join(annotations.COLUMNS)} (joints) or {','.join(pair_lists.COLUMNS)} (pairs)"
    return f"{path}: not used, its first line is {first_line[:60]!r} and not {expected}"


def in_label_folder(path: str) -> bool:
    """Whether a picture at `path` is in a folder of label maps."""
    return any(part.lower() in label_maps.FOLDERS for part in path.split("/")[:-1])


def _kind_of_text(path: str, suffix: str, head: str) -> str | None:
    first_line = next((line for line in head.splitlines() if line.strip()), "")
    tests = {
        ".csv": {
            "annotation": annotations.is_annotation(first_line),
            "pairs": pair_lists.is_pair_list(first_line),
        },
        ".json": {"openpose": openpose.is_openpose(head), "coco": coco.is_coco(head)},
        ".txt": {
            "pose_text": pose_text.is_pose_text(first_line),
            "targets": pair_lists.is_target_list(first_line),
            "sides": pair_lists.side_of(path, first_line) is not None,
        },
        ".lst": {"split_list": pair_lists.split_in_name(path) is not None},
    }
    return next((kind for kind, fits in tests[suffix].items() if fits), None)


def _head(table: Table) -> str:
    """The beginning; of a table in UTF-16 as well, so that its reader refuses it by name."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(_LONGEST_HEAD).replace("\0", "")


def attach(raw: Path, files: Files, entries: Sequence[Entry], *, frame: str = "auto", home: str = "") -> Companions:
    """What the `files` (paths by `kind_of`) hold for the pictures; `home` is the archive's own folder, with its slash.

    Joints are in pixels of the upright pictures, whatever of `annotations.FRAMES` they were counted in. UserError for
    a table without its columns.
    """
    names = Names(entry.id for entry in entries)
    paths = {entry.id: entry.path for entry in entries}
    found = Companions()
    for group in joint_files.read_groups(raw, files):
        _add_joints(found, raw, group, paths, names, frame)
    for rows, split in _pair_rows(raw, files, found):
        pairs, set_aside = pair_lists.match(rows, split, names)
        found.pairs += pairs
        found.pairs_set_aside += set_aside
    _add_splits(found, raw, files.get("split_list", []), names)
    _add_labels(found, files, paths, names, home)
    if edges := len(files.get("edges", ())):
        found.notes.append(f"{edges} edge maps were not used: the stage `edges` draws its own")
    return found


def _add_joints(
    found: Companions, raw: Path, group: joint_files.Group, paths: dict[str, str], names: Names, frame: str
) -> None:
    split = pair_lists.split_in_name(group.title)
    found.set_aside += group.set_aside
    matched: dict[str, Row] = {}
    absent = []
    for row in group.rows:
        try:
            ids = _find_copies(row.name, split, names, any_folder=group.any_folder)
        except LookupError as error:
            absent.append(f"{row.place}: {row.name!r}: {error}")
            continue
        known = [item_id for item_id in ids if item_id in found.joints or item_id in matched]
        if known:
            reason = f"{row.place}: this picture was annotated before; the first line counts"
            found.set_aside.append((row.name, reason))
        matched |= {item_id: row for item_id in ids if item_id not in known}
    found.notes += group.notes
    if absent:
        total = len(group.rows)
        found.notes.append(f"{group.title}: {len(absent)} of {total} lines fit no picture, the first: {absent[0]}")
    placed, note = joint_files.place(raw, matched, paths, frame)
    found.joints |= placed
    found.notes.append(f"{group.title}: {note}")


def _find_copies(name: str, split: str | None, names: Names, *, any_folder: bool) -> list[str]:
    try:
        return names.find_copies(name, split)
    except LookupError:
        if not any_folder:
            raise
        return names.find_copies(PurePosixPath(name).name, split)


def _pair_rows(
    raw: Path, files: Files, found: Companions
) -> Iterator[tuple[Iterator[tuple[str, str, str]], str | None]]:
    """(rows, split) of every list of pairs."""
    for path in files.get("pairs", ()):
        yield pair_lists.read_pairs(find_table(raw, path), path), pair_lists.split_in_name(path)
    for path in files.get("targets", ()):
        found.notes.append(f"{path}: read as target,source, the order in which NTED and PIDM read it")
        yield pair_lists.read_targets(find_table(raw, path), path), pair_lists.split_in_name(path)
    sides = files.get("sides", [])
    for path in sides:
        other = pair_lists.other_side(path)
        if other not in sides:
            found.notes.append(f"{path}: not used, there is no list {other} beside it")
        elif path < other:
            names = (path, other)
            rows = pair_lists.read_sides([find_table(raw, name) for name in names], names)
            yield rows, pair_lists.split_in_name(path)


def _add_splits(found: Companions, raw: Path, lists: list[str], names: Names) -> None:
    for path in lists:
        split = pair_lists.split_in_name(path)
        assert split is not None
        rows = list(pair_lists.read_names(find_table(raw, path), path))
        absent = []
        for place, name in rows:
            try:
                found.splits |= dict.fromkeys(names.find_copies(name, split), split)
            except LookupError as error:
                absent.append(f"{place}: {name!r}: {error}")
        if absent:
            found.notes.append(f"{path}: {len(absent)} of {len(rows)} lines fit no picture, the first: {absent[0]}")


def with_splits(entries: Sequence[Entry], splits: dict[str, str]) -> list[Entry]:
    """The entries; those that neither name nor folder put into a split get that of the list."""
    return [replace(entry, split=entry.split or splits.get(entry.id)) for entry in entries]


def _add_labels(found: Companions, files: Files, paths: dict[str, str], names: Names, home: str) -> None:
    strays: list[str] = []
    counts: Counter[str] = Counter()
    doubles = []
    for path in files.get("labels", ()):
        parts = path.removeprefix(home).split("/")
        rest = [part for part in parts[:-1] if part.lower() not in label_maps.FOLDERS]
        try:
            ids = names.find_copies("/".join([*rest, parts[-1]]))
        except LookupError:
            strays.append(path)
            continue
        if any(found.label_paths.setdefault(item_id, path) != path for item_id in ids):
            doubles.append(path)
    by_stem = {without_suffix(path): item_id for item_id, path in paths.items()}
    for path in files.get("array", ()):
        if item_id := by_stem.get(without_suffix(path)):
            found.label_paths.setdefault(item_id, path)
        else:
            counts[PurePosixPath(path).parent.name or "."] += 1
    if counts:
        folders = ", ".join(f"{count} in {name}/" for name, count in sorted(counts.items()))
        found.notes.append(f"arrays that are no label maps were not used: {folders}")
    if strays:
        found.notes.append(f"{len(strays)} label maps fit no picture, the first: {strays[0]}")
    if doubles:
        message = f"{len(doubles)} label maps are of pictures that have one already, the first: {doubles[0]}"
        found.notes.append(message)
