"""Tar and zip archives read in place: every member as a content, its digest known after the first look."""

import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from pipeline.content import Content, digest, read_stretch
from pipeline.errors import BadItem, UserError
from pipeline.memo import Memo

SUFFIXES = (".tar", ".zip")
# A member that unpacks to more is no picture.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie; `unpacked` is -1 for one that is stored as it is."""

    name: str
    offset: int
    size: int
    unpacked: int
    digest: str

    def content(self, archive: Path) -> Content:
        """The member's bytes."""
        if self.unpacked < 0:
            reader = partial(read_stretch, archive, self.offset, self.size)
        else:
            reader = partial(_inflate, archive, self.offset, self.size, self.unpacked)
        return Content(bytes.fromhex(self.digest), reader, f"{archive}/{self.name}")


def list_members(archive: Path, memo: Memo | None = None) -> list[Member]:
    """Every file of the archive, in its order; one that `memo` knows is not read again. UserError for a damaged one."""
    identity = memo.identities([archive]).get(archive) if memo else None
    listing = memo.listing(identity) if memo and identity else None
    if listing is not None:
        return [Member(*row) for row in json.loads(listing)]
    try:
        members = list(_scan_zip(archive) if archive.suffix.lower() == ".zip" else _scan_tar(archive))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{archive} is no readable archive ({error}): copy or pack it again") from error
    if memo:
        note_members(archive, members, memo, identity=_hash_file(archive))
    return members


def note_members(archive: Path, members: list[Member], memo: Memo, *, identity: bytes, settled: bool = False) -> None:
    """Let `memo` know what is in the archive, whose content `identity` stands for."""
    memo.note_listing(identity, json.dumps([astuple(member) for member in members]).encode())
    memo.remember({archive: identity}, settled=settled)


def place_of(path: Path) -> tuple[Path, str]:
    """(archive, member) of a path such as `raw/images/03.tar/p03_2.png`; (path, "") of one that leads into none."""
    for parent in reversed(path.parents):
        if parent.suffix.lower() in SUFFIXES and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return path, ""


def tar_layout(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of every file in a tar, from its headers alone."""
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.isfile():
                yield member.name, member.offset_data, member.size


def _scan_tar(path: Path) -> Iterator[Member]:
    for name, offset, size in tar_layout(path):
        data = read_stretch(path, offset, size)
        if len(data) != size:
            raise EOFError(f"{name} is cut off")
        yield Member(name, offset, size, -1, digest([data]).hex())


def _scan_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as opened, path.open("rb") as file:
        for info in opened.infolist():
            if info.is_dir():
                continue
            file.seek(info.header_offset)
            header = file.read(30)
            names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            offset = info.header_offset + 30 + names
            is_packed = info.compress_type != zipfile.ZIP_STORED
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Neither encrypted members nor rare methods are read; the reason is given when it is asked for.
                yield Member(info.filename, offset, info.compress_size, _MOST_BYTES + 1, digest([]).hex())
                continue
            member = Member(info.filename, offset, info.compress_size, info.file_size if is_packed else -1, "")
            try:
                data = member.content(path).reader()
            except BadItem:
                data = b""
            yield Member(member.name, offset, member.size, member.unpacked, digest([data]).hex())


def _inflate(path: Path, offset: int, size: int, unpacked: int) -> bytes:
    if unpacked > _MOST_BYTES:
        raise BadItem("an encrypted, rarely packed or huge member of the archive: pack it again with deflate")
    try:
        data = zlib.decompressobj(-15).decompress(read_stretch(path, offset, size), unpacked + 1)
    except zlib.error as error:
        raise BadItem(f"a damaged member of the archive: {error}") from error
    if len(data) != unpacked:
        raise BadItem("a damaged member of the archive: it does not unpack to its size")
    return data


def _hash_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
