"""Many small files in few large ones: tar shards whose bytes depend on their members alone.

An item goes to the shard that a stable hash of its id names, so adding one item changes one shard. With a memo, a shard
whose members are those of an earlier one is not written again.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pipeline.archives import Member, hash_file, layout, list_members, note_members
from pipeline.content import Content, digest
from pipeline.errors import UserError
from pipeline.memo import Memo

# Of the bytes that a shard has for its members: another way of writing them is another format.
_FORMAT = b"pax 1"


def shard_of(item_id: str, shards: int) -> int:
    """The shard, 0..shards-1, where `item_id` lives: blake2b(id) mod shards."""
    return int.from_bytes(hashlib.blake2b(item_id.encode(), digest_size=8).digest(), "big") % shards


def write_shards(
    folder: Path, items: Mapping[str, bytes | Content], *, shards: int, suffix: str, memo: Memo | None = None
) -> None:
    """Write `items` (by id) as `folder/00.tar`, `01.tar`, ...: sorted by id, fixed headers, each at once or not.

    Every shard is written, an empty one too, so the set of files does not depend on the items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places: list[list[str]] = [[] for _ in range(shards)]
    for item_id in sorted(items):
        places[shard_of(item_id, shards)].append(item_id)
    for index, ids in enumerate(places):
        _write_shard(
            folder / f"{index:02d}.tar", {item_id: Content.of(items[item_id]) for item_id in ids}, suffix, memo
        )


def _write_shard(path: Path, items: Mapping[str, Content], suffix: str, memo: Memo | None) -> None:
    parts = [part for item_id, content in items.items() for part in (item_id.encode(), content.digest)]
    identity = digest([_FORMAT, suffix.encode(), *parts])
    if memo and memo.take_file(identity, path):
        if written := memo.listing(_written_as(identity)):
            memo.remember({path: written}, settled=True)
        return
    partial = path.with_suffix(".part")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        for item_id, content in items.items():
            data = content.read()
            header = tarfile.TarInfo(f"{item_id}{suffix}")
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    os.replace(partial, path)
    if memo:
        checks = (content.digest.hex() for content in items.values())
        members = [replace(member, digest=check) for member, check in zip(layout(path), checks, strict=True)]
        written = hash_file(path)
        note_members(members, memo, identity=written)
        memo.remember({path: written}, settled=True)
        memo.note_listing(_written_as(identity), written)
        memo.keep_file(identity, path)


def _written_as(identity: bytes) -> bytes:
    """Where the memo tells the hash of the shard's file, which is all that is left to know a copy of DVC's by."""
    return digest([b"written as", identity])


class ShardReader(Mapping[str, bytes]):
    """The items of a folder of shards: `reader[id]` gives the bytes; iteration is sorted by id."""

    def __init__(self, folder: Path, memo: Memo | None = None) -> None:
        self.folder, self.memo = folder, memo
        self._place = {
            member.name.rpartition(".")[0] or member.name: (path, member)
            for path in sorted(folder.glob("*.tar"))
            for member in _members(path, memo)
        }

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Every item by id, sorted, not read before it is needed; only with a memo, which knows the digests."""
        assert self.memo is not None
        return {item_id: member.content(path) for item_id, (path, member) in sorted(self._place.items())}

    def digest(self, item_id: str) -> bytes:
        """The digest of an item, which is not read; only with a memo."""
        return bytes.fromhex(self._place[item_id][1].digest)

    def __getitem__(self, item_id: str) -> bytes:
        path, member = self._place[item_id]
        return member.read(path)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._place  # the mapping's own would read the item

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._place))

    def __len__(self) -> int:
        return len(self._place)


def _members(path: Path, memo: Memo | None) -> list[Member]:
    try:
        return list_members(path, memo) if memo else layout(path)
    except UserError as error:
        raise UserError(f"{path}: not a shard ({error}); delete it: `dvc repro` writes it again") from error


def read_members(path: Path) -> Iterable[tuple[str, bytes]]:
    """(name, bytes) of every file in one tar, in its order."""
    for member in layout(path):
        yield member.name, member.read(path)
