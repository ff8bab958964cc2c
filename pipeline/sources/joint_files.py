"""Joints that lie beside pictures, in whatever form, brought to pixels of the pictures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.errors import BadItem
from pipeline.people.skeleton import Joints, move
from pipeline.sources import annotations, coco, openpose, pose_text
from pipeline.sources.annotations import Row, Size, main_person
from pipeline.sources.pictures import load_picture, size_of
from pipeline.sources.tables import find_table

# Enough to see which frame joints are counted in; reading every header of a large folder takes minutes.
_FRAME_SAMPLE = 64


@dataclass
class Group:
    """Joints that were written by one program at one time, so that all are counted in one frame."""

    title: str
    rows: list[Row]
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    any_folder: bool = False  # files of one picture each may lie in other folders than the pictures


def read_groups(raw: Path, files: Mapping[str, Sequence[str]]) -> Iterator[Group]:
    """The joints of the files (paths by `companions.kind_of`); UserError for a table without its columns."""
    for path in files.get("annotation", ()):
        yield Group(path, *annotations.read_annotation(find_table(raw, path), path))
    for path in files.get("coco", ()):
        rows, set_aside, crowds = coco.read_coco(find_table(raw, path), path)
        yield Group(path, rows, set_aside, _of_crowds(path, crowds))
    for kind in ("openpose", "pose_text"):
        folders = defaultdict(list)
        for path in files.get(kind, ()):
            folders[path.rpartition("/")[0]].append(path)
        # The tree of a data set has a folder for each garment; what was written at one time lies below one of them.
        homes: dict[str, list[str]] = defaultdict(list)
        for folder, inside in folders.items():
            homes[folder.partition("/")[0]] += inside
        for folder, inside in homes.items():
            yield _read_singles(raw, kind, f"{folder or '.'}/ ({len(inside)} files)", inside)


def _read_singles(raw: Path, kind: str, title: str, paths: list[str]) -> Group:
    """The joints of files that hold one picture each."""
    rows, set_aside, empty, crowds = [], [], [], 0
    for path in paths:
        name = str(PurePosixPath(path).with_suffix("")).removesuffix(openpose.ENDING)
        table = find_table(raw, path)
        try:
            people = openpose.read_people(table) if kind == "openpose" else [pose_text.read_pose_text(table)]
        except ValueError as error:
            set_aside.append((path, f"{path} {error}; its joints are not used"))
            continue
        if people:
            rows.append(Row(name, path, main_person(people)))
            crowds += len(people) > 1
        else:
            empty.append(path)
    notes = _of_crowds(title, crowds)
    if empty:
        notes.append(f"{title}: {len(empty)} files show nobody, the first: {empty[0]}")
    return Group(title, rows, set_aside, notes, any_folder=True)


def _of_crowds(title: str, crowds: int) -> list[str]:
    return [f"{title}: {crowds} pictures show several people; the one with the largest box counts"] if crowds else []


def place(raw: Path, rows: dict[str, Row], paths: dict[str, str], frame: str) -> tuple[dict[str, Joints], str]:
    """The joints of one group in pixels of their pictures, and in which frame they were found."""
    joints = {key: row.joints for key, row in rows.items()}
    told = {key: row.size for key, row in rows.items() if row.size}
    if told:
        sizes = _sizes(raw, sorted(told), paths)
        joints |= {key: _scaled(joints[key], told[key], sizes[key]) for key in sizes}
        return joints, f"joints of {len(joints)} pictures, counted in pictures of the sizes that the file tells"
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


def _scaled(joints: Joints, told: Size, size: Size) -> Joints:
    if told == size:
        return joints
    return move(joints, offset=(0, 0), scale=(size[0] / told[0], size[1] / told[1]), size=size)


def _sizes(raw: Path, ids: list[str], paths: dict[str, str]) -> dict[str, Size]:
    sizes = {}
    for item_id in ids:
        with suppress(BadItem):
            sizes[item_id] = size_of(load_picture(raw, paths[item_id]))
    return sizes
