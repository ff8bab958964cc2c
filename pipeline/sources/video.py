"""Source `video`: clips of people; stages/clips.py makes pictures of them.

    raw/walk.mp4                   everybody in the clip is a person of his own: walk_p1, walk_p2
    raw/anna/front.mp4, side.mp4   a sub-folder is one person, whatever clips or cameras lie in it
    raw/train/, raw/test/          as the first folder: the split of the clips in it

`raw` may be a single clip. What else lies there is no part of the source.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.sources.entries import Entry, Options, RawSource
from pipeline.sources.names import split_of_folder

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".wmv", ".flv", ".3gp", ".gif")

# Of fewer people than this none is held out as a whole: the end of each clip is.
MANY_PERSONS = 10


def read(raw: Path, options: Options) -> RawSource:
    """The clips as entries, sorted by id; the person is the sub-folder's, empty where there is none."""
    paths = [Path(raw.name)] if raw.is_file() else sorted(path.relative_to(raw) for path in raw.rglob("*"))
    home = raw.parent if raw.is_file() else raw
    clips: dict[str, Entry] = {}
    set_aside, others = [], Counter[str]()
    for path in paths:
        if any(part.startswith(".") for part in path.parts) or (home / path).is_dir():
            continue
        item_id = PurePosixPath(path).with_suffix("").as_posix()
        if path.suffix.lower() not in SUFFIXES:
            others[path.suffix.lower() or path.name] += 1
        elif not path.as_posix().isprintable() or "\\" in path.as_posix():
            set_aside.append(
                (ascii(path.as_posix())[1:-1], "the name has letters that cannot be printed: rename the file")
            )
        elif (home / path).is_symlink() or not (home / path).is_file():
            set_aside.append((path.as_posix(), "a link, pipe or device: copy the clip itself into the folder"))
        elif item_id in clips:
            set_aside.append((path.as_posix(), f"has the same name as {clips[item_id].path}: rename or remove one"))
        else:
            split, rest = split_of_folder(item_id)
            person = PurePosixPath(rest).parent.as_posix().removeprefix(".")
            clips[item_id] = Entry(item_id, path.as_posix(), person, "", split)
    if not clips and set_aside:
        name, reason = set_aside[0]
        raise UserError(f"{raw} holds no clips that can be read; domains.{options.domain}.raw: {name}: {reason}")
    if not clips:
        raise UserError(
            f"{raw} holds no clips ({', '.join(SUFFIXES)}); put some in, or set domains.{options.domain}.raw to "
            "the folder that has them"
        )
    ignored = ", ".join(f"{count} x {kind}" for kind, count in sorted(others.items()))
    notes = [f"files that are no clips were ignored: {ignored}"] if ignored else []
    return RawSource(entries=list(clips.values()), set_aside=set_aside, notes=notes)


def hold_out_ends(entries: list[Entry], *, val: float, test: float) -> list[Entry]:
    """The pictures of clips, in time, with splits: of few people the last of each clip's pictures are held out.

    A stretch rather than pictures here and there: neighbours in time are nearly the same picture. Of many people whole
    persons are held out, as with every source; a split that an entry brings stays.
    """
    if len({entry.person for entry in entries}) >= MANY_PERSONS:
        return entries
    of_clip: dict[str, list[Entry]] = {}
    for entry in entries:
        of_clip.setdefault(entry.id.rpartition("/")[0], []).append(entry)
    return [entry for stretch in of_clip.values() for entry in _hold_out_end(stretch, val=val, test=test)]


def _hold_out_end(stretch: list[Entry], *, val: float, test: float) -> list[Entry]:
    count = len(stretch)
    least = 1 if count >= 4 else 0
    held = {split: max(round(share * count), least) if share else 0 for split, share in (("test", test), ("val", val))}
    # Two pictures at least are left to train on.
    tests = min(held["test"], max(count - 2, 0))
    vals = min(held["val"], max(count - 2 - tests, 0))
    splits = ["train"] * (count - tests - vals) + ["val"] * vals + ["test"] * tests
    return [replace(entry, split=entry.split or split) for entry, split in zip(stretch, splits, strict=True)]
