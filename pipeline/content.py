"""Bytes that are known by their digest before they are read: in a file, in a stretch of one, or at hand."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.errors import UserError


def digest(parts: Iterable[bytes]) -> bytes:
    """16 bytes that identify the sequence `parts`; lengths count, so ("ab", "c") is not ("a", "bc")."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


@dataclass(frozen=True)
class Content:
    """What `reader` gives, which must have this digest; travels between processes without the bytes."""

    digest: bytes
    reader: Callable[[], bytes]
    name: str = ""  # for messages

    @staticmethod
    def of(data: "bytes | Content") -> "Content":
        """The content of bytes at hand; a content stays what it is."""
        return data if isinstance(data, Content) else Content(digest([data]), partial(_give, data))

    @staticmethod
    def in_file(path: str, check: bytes) -> "Content":
        """A file's bytes, of digest `check`."""
        return Content(check, partial(read_stretch, path, 0, -1), path)

    def read(self) -> bytes:
        """The bytes; UserError when they are gone, or not those that were seen before."""
        try:
            data = self.reader()
        except OSError as error:
            raise UserError(f"{self.name} cannot be read any more ({error.strerror}): put it back") from error
        if digest([data]) != self.digest:
            raise UserError(f"{self.name or 'an input'} changed while the project ran: `touch` it and start it again")
        return data


def read_stretch(path: Path | str, offset: int, size: int) -> bytes:
    """`size` bytes of a file from `offset`; all from there when `size` is -1."""
    with open(path, "rb") as file:  # noqa: PTH123 - a path or its text
        file.seek(offset)
        return file.read(size)


def _give(data: bytes) -> bytes:
    return data
