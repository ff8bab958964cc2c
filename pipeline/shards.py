"""Many small files in few large ones: tar shards whose bytes depend on their members alone.

An item goes to the shard that a stable hash of its id names, so adding one item changes one shard.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def shard_of(item_id: str, shards: int) -> int:
    """The shard, 0..shards-1, where `item_id` lives: blake2b(id) mod shards."""
    return int.from_bytes(hashlib.blake2b(item_id.encode(), digest_size=8).digest(), "big") % shards


def write_shards(folder: Path, items: Mapping[str, bytes], *, shards: int, suffix: str) -> None:
    """Write `items` (id -> bytes) as `folder/00.tar`, `01.tar`, ...: sorted by id, fixed headers, each at once or not.

    Every shard is written, an empty one too, so the set of files does not depend on the items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    members: list[list[str]] = [[] for _ in range(shards)]
    for item_id in sorted(items):
        members[shard_of(item_id, shards)].append(item_id)
    for index, ids in enumerate(members):
        path = folder / f"{index:02d}.tar"
        partial = path.with_suffix(".part")
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            for item_id in ids:
                header = tarfile.TarInfo(f"{item_id}{suffix}")
                header.size = len(items[item_id])
                tar.addfile(header, io.BytesIO(items[item_id]))
        os.replace(partial, path)


class ShardReader(Mapping[str, bytes]):
    """The items of a folder of shards: `reader[id]` gives the bytes; iteration is sorted by id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place: dict[str, tuple[Path, int, int]] = {}
        for path in sorted(folder.glob("*.tar")):
            with tarfile.open(path) as tar:
                for member in tar:
                    self._place[os.path.splitext(member.name)[0]] = (path, member.offset_data, member.size)

    def __getitem__(self, item_id: str) -> bytes:
        path, offset, size = self._place[item_id]
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._place))

    def __len__(self) -> int:
        return len(self._place)


def read_members(path: Path) -> Iterable[tuple[str, bytes]]:
    """(name, bytes) of every file in one tar, in its order."""
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name, file.read()
