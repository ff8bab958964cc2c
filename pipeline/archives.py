"""Tar and zip archives read in place: every member as a content, its digest known after the first look."""

import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.content import Content, digest, read_stretch
from pipeline.errors import BadItem, UserError
from pipeline.memo import Memo

SUFFIXES = (".tar", ".zip")
# A member that unpacks to more is no picture.
_MOST_BYTES = 1 << 30
_LOCKED, _NO_FILE = -2, -3
_WHY_NOT = {
    _LOCKED: (
        "locked with a password or packed in a rare way: unpack the archive and set raw to the folder, or pack it again"
    ),
    _NO_FILE: "a link or device in the archive, no file: pack it again with `tar -h --hard-dereference`",
}


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie; `unpacked` is -1 for one that is stored as it is, less if it cannot be read."""

    name: str
    offset: int
    size: int
    unpacked: int = -1
    digest: str = ""

    @property
    def why_not(self) -> str:
        """Why the member cannot be read, as far as the headers tell, or nothing."""
        return _WHY_NOT.get(self.unpacked, "")

    def read(self, archive: Path) -> bytes:
        """The member's bytes; BadItem says why they cannot be had."""
        if self.why_not:
            raise BadItem(self.why_not)
        if max(self.size, self.unpacked) > _MOST_BYTES:
            raise BadItem(f"a member of the archive of {max(self.size, self.unpacked) / 1e9:.0f} GB is no picture")
        if self.unpacked == -1:
            return read_stretch(archive, self.offset, self.size)
        return _inflate(archive, self.offset, self.size, self.unpacked)

    def content(self, archive: Path) -> Content:
        """The member's bytes, not read yet."""
        return Content(bytes.fromhex(self.digest), partial(self.read, archive), f"{archive}/{self.name}")


def list_members(archive: Path, memo: Memo) -> list[Member]:
    """Every file of the archive, in its order; one that `memo` knows is not read again. UserError for a damaged one."""
    identity = file_identity(archive, memo)
    with suppress(TypeError, ValueError):  # unknown, or damaged
        return [Member(*row) for row in json.loads(memo.listing(identity) or b"")]
    members = [_with_digest(member, archive) for member in layout(archive)]
    note_members(members, memo, identity=identity)
    return members


def layout(archive: Path) -> list[Member]:
    """Every file of the archive from its headers alone, without digests; UserError for a damaged one."""
    try:
        return list(_layout_zip(archive) if archive.suffix.lower() == ".zip" else _layout_tar(archive))
    except OSError:
        raise
    except Exception as error:  # a damaged archive can end in nearly any error of the libraries'
        raise UserError(f"{archive} is no readable archive ({error}): copy or pack it again") from error


def file_identity(path: Path, memo: Memo) -> bytes:
    """A digest of the file's bytes; one that `memo` knows is not read again."""
    identity = memo.identities([path]).get(path)
    if identity is None:
        identity = hash_file(path)
        memo.remember({path: identity})
    return identity


def note_members(members: list[Member], memo: Memo, *, identity: bytes) -> None:
    """Let `memo` know what is in the archive of this `file_identity`."""
    memo.note_listing(identity, json.dumps([astuple(member) for member in members]).encode())


def place_of(path: str | Path) -> tuple[str, str]:
    """(archive, member) of a path such as `raw/images/03.tar/p03_2.png`; (path, "") of one that leads into none."""
    text = str(path)
    if any(f"{suffix}/" in text.lower() for suffix in SUFFIXES):
        for parent in reversed(Path(path).parents):
            if parent.suffix.lower() in SUFFIXES and parent.is_file():
                return str(parent), Path(path).relative_to(parent).as_posix()
    return text, ""


def _layout_tar(path: Path) -> Iterator[Member]:
    end = path.stat().st_size
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if member.offset_data + member.size > end:
                raise EOFError(f"{member.name} is cut off")
            name = member.name.removeprefix("./")
            if member.isreg() and not member.issparse():
                yield Member(name, member.offset_data, member.size)
            elif not member.isdir():
                yield Member(name, 0, 0, _NO_FILE)
        # Of a header that is damaged or cut off, tarfile makes the end of the archive.
        if read_stretch(path, tar.offset, tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError(f"a damaged header at byte {tar.offset}")


def _layout_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as opened, path.open("rb") as file:
        for info in opened.infolist():
            if info.is_dir():
                continue
            file.seek(info.header_offset)
            header = file.read(30)
            names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            unpacked = info.file_size if info.compress_type == zipfile.ZIP_DEFLATED else -1
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                unpacked = _LOCKED
            yield Member(
                info.filename.removeprefix("./"), info.header_offset + 30 + names, info.compress_size, unpacked
            )


def _with_digest(member: Member, archive: Path) -> Member:
    try:
        data = member.read(archive)
    except BadItem:  # its reason is told when it is asked for
        data = b""
    return replace(member, digest=digest([data]).hex())


def _inflate(path: Path, offset: int, size: int, unpacked: int) -> bytes:
    try:
        data = zlib.decompressobj(-15).decompress(read_stretch(path, offset, size), unpacked + 1)
    except zlib.error as error:
        raise BadItem(f"a damaged member of the archive: {error}") from error
    if len(data) != unpacked:
        raise BadItem("a damaged member of the archive: it does not unpack to its size")
    return data


def hash_file(path: Path) -> bytes:
    """A digest of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
