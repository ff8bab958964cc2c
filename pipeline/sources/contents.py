"""Raw pictures as contents: known by their digest, read when they are worked on."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.archives import Member, list_members, place_of
from pipeline.content import Content, digest
from pipeline.errors import BadItem, UserError
from pipeline.memo import Memo
from pipeline.sources.pictures import check_path, read_file


def find_contents(raw: Path, paths: Iterable[str], memo: Memo) -> dict[str, Content | BadItem]:
    """The content of every path below `raw`, or why there is none; what `memo` knows by size and time is not read."""
    archived, loose, found = {}, {}, {}
    home = _home(raw)
    for path in paths:
        try:
            check_path(path)
        except BadItem as bad:
            found[path] = bad
            continue
        place, member = place_of(home + path)
        if member:
            archived[path] = Path(place), member
        else:
            loose[path] = place
    return found | _find_archived(archived, memo) | _find_loose(loose, memo)


def pinned_contents(raw: Path, digests: Mapping[str, str], memo: Memo) -> dict[str, Content]:
    """The contents of paths whose digests are known; reading one that has changed since is a UserError."""
    contents = {}
    listings: dict[str, dict[str, Member]] = {}
    home = _home(raw)
    for path, check in digests.items():
        place, name = place_of(home + path)
        if not name:
            contents[path] = Content.in_file(place, bytes.fromhex(check))
            continue
        if place not in listings:
            listings[place] = {member.name: member for member in list_members(Path(place), memo)}
        member = listings[place].get(name)
        if member is None or member.digest != check:
            raise UserError(f"{place}/{name} changed since it was read: run `dvc repro` again")
        contents[path] = member.content(Path(place))
    return contents


def _home(raw: Path) -> str:
    """What stands before a path below `raw`: joining 100,000 paths as objects takes a second, as text nothing."""
    return os.path.join(raw, "")  # noqa: PTH118


def _find_archived(places: Mapping[str, tuple[Path, str]], memo: Memo) -> dict[str, Content | BadItem]:
    listings = {
        archive: {member.name: member for member in list_members(archive, memo)}
        for archive in {archive for archive, _ in places.values()}
    }
    return {
        path: listings[archive][name].content(archive)
        if name in listings[archive]
        else BadItem(f"{path}: the archive has no such member")
        for path, (archive, name) in places.items()
    }


def _find_loose(places: Mapping[str, str], memo: Memo) -> dict[str, Content | BadItem]:
    known = memo.identities(list(places.values()))
    found: dict[str, Content | BadItem] = {}
    fresh = {}
    for path, place in places.items():
        check = known.get(place)
        if check is None:
            try:
                check = fresh[place] = digest([read_file(place, path)])
            except BadItem as bad:
                found[path] = bad
                continue
        found[path] = Content.in_file(place, check)
    memo.remember(fresh)
    return found
