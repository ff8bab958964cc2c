"""What a corpus of bad input is made of: good pictures, kinds of bad ones with what becomes of them, and the tools."""

import functools
import io
import os
import pickle
import socket
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.pictures import encode_png
from pipeline.render import plan, render

GOOD = ("ada_0", "ada_1", "ada_2", "bob_0", "bob_1", "bob_2")
STAGES = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs")


@dataclass(frozen=True)
class SetAside:
    """The stage that sets a picture aside, and what its reason says."""

    stage: str
    reason: str


@dataclass(frozen=True)
class Kept:
    """A picture that goes through every stage; `same` where its pixels are those of the good picture ada_0."""

    same: bool = False


@dataclass(frozen=True)
class Kind:
    """Files, by path or written by a function of the raw folder, and what becomes of the names in them."""

    files: dict[str, bytes] | Callable[[Path], None]
    fates: dict[str, SetAside | Kept] = field(default_factory=dict)

    def write(self, raw: Path) -> None:
        """Put the files into `raw`."""
        if callable(self.files):
            self.files(raw)
            return
        for name, data in self.files.items():
            put(raw / name, data)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@functools.cache
def people():
    """Six good pictures (256, 176, 3) by name: two persons in three poses."""
    return {
        name: render(spec, width=176, height=256).image
        for name, spec in zip(GOOD, plan("natural", people=2, poses=3, seed=0), strict=True)
    }


def write_good(raw):
    for name, picture in people().items():
        put(raw / f"{name}.png", encode_png(picture))


def saved(picture, kind, **options):
    """Bytes of an array or picture in a format of Pillow's."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def flipped(data, *places):
    """The bytes with every bit of those at `places` turned over."""
    out = bytearray(data)
    for place in places:
        out[place] ^= 0xFF
    return bytes(out)


def png_of_size(width, height, data):
    """A PNG whose header claims another size; its checksum is right."""
    header = data[12:16] + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


class Trap:
    """A pickle of this makes a folder when it is loaded: what a malicious file would do."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.makedirs, (self.path, 0o777, True))


def malicious(path):
    return pickle.dumps(Trap(path))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def links(raw):
    (raw / "link_file.png").symlink_to(raw / "ada_0.png")
    (raw / "link_dead.png").symlink_to(raw / "nowhere.png")
    (raw / "link_self.png").symlink_to(raw / "link_self.png")
    (raw / "link_outside").symlink_to("/")
    (raw / "loop").mkdir()
    (raw / "loop" / "back").symlink_to(raw / "loop")


def pipes(raw):
    for name in ("pipe_1.png", "pipe_2.csv", "labels/ada_0.npy"):
        (raw / name).parent.mkdir(exist_ok=True)
        os.mkfifo(raw / name)


def sockets(raw):
    # The address of a socket may be no longer than about a hundred bytes.
    before = Path.cwd()
    os.chdir(raw)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket_1.png")
    finally:
        os.chdir(before)


def devices(raw):
    os.mknod(raw / "device_1.png", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero never ends


def may_make_devices():
    """Whether this process may do what only some administrators may."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            devices(Path(folder))
        except PermissionError:
            return False
    return True
