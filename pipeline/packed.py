"""The HDF5 file of a domain: every picture once, pairs as tables of row numbers. Writer and map-style reader.

    images    (N, H, W, 3) uint8    one picture per chunk
    keypoints (N, 18, 3)   float32  x, y in pixels, score; (-1, -1, 0) = missing
    heatmaps  (N, 18, H, W) uint8   255 = peak, Gaussian of `sigma_px`; may be left out, key points hold the same
    parsing   (N, H, W)    uint8    labels 0..7
    mask      (N, H, W)    uint8    1 = body
    edges     (N, H, W)    uint8    dark lines on white
    names, persons (N)     utf-8
    pairs/train, pairs/val, pairs/test (M, 2) int32  rows: from, to

The same input gives the same bytes: no time stamps, fixed order.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.people.labels import LABELS, PALETTE
from pipeline.people.skeleton import JOINTS

SCHEMA = 1
SPLITS = ("train", "val", "test")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One row of a pack; shapes as in the module's head, without N."""

    name: str
    person: str
    image: Bytes
    keypoints: NDArray[np.float32]
    heatmaps: Bytes | None
    parsing: Bytes
    mask: Bytes
    edges: Bytes


@dataclass(frozen=True)
class Chunks:
    """One row as an earlier pack of the same size and codec holds it.

    `stored` is the chunk of each dataset, compressed, behind HDF5's mask of the filters that were left out of it: what
    does not get smaller is stored as it is.
    """

    name: str
    person: str
    keypoints: NDArray[np.float32]
    stored: dict[str, tuple[int, bytes]]


def write_pack(
    path: Path,
    pictures: Iterable[Picture | Chunks],
    *,
    count: int,
    pairs: dict[str, NDArray[np.int32]],
    size: tuple[int, int],
    sigma_px: float,
    source: str,
    codec: str = "none",
    with_heatmaps: bool = True,
) -> None:
    """Write `count` pictures of `size` (width, height) and the pairs of each split, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    # Without a cache every chunk is written when it comes: chunks of an earlier pack then land where fresh ones would.
    with h5py.File(partial, "w", libver="latest", track_order=True, rdcc_nbytes=0) as file:
        _describe(file, size=size, sigma_px=sigma_px, source=source)
        stored = _create_planes(file, count, size, codec, with_heatmaps=with_heatmaps)
        rest = {name: (0,) * (dataset.ndim - 1) for name, dataset in stored.items()}
        copy = {name: dataset.id.write_direct_chunk for name, dataset in stored.items()}
        names, persons, keypoints = [], [], np.zeros((count, len(JOINTS), 3), np.float32)
        for row, picture in enumerate(pictures):
            for name, dataset in stored.items():
                if isinstance(picture, Chunks):
                    left_out, chunk = picture.stored[name]
                    copy[name]((row, *rest[name]), chunk, left_out)
                else:
                    dataset[row] = picture.image if name == "images" else getattr(picture, name)
            keypoints[row] = picture.keypoints
            names.append(picture.name)
            persons.append(picture.person)
        file.create_dataset("keypoints", data=keypoints, track_times=False)
        text = h5py.string_dtype("utf-8")
        file.create_dataset("names", data=np.array(names, object), dtype=text, track_times=False)
        file.create_dataset("persons", data=np.array(persons, object), dtype=text, track_times=False)
        for split in SPLITS:
            rows = np.asarray(pairs.get(split, np.empty((0, 2))), np.int32).reshape(-1, 2)
            file.create_dataset(f"pairs/{split}", data=rows, track_times=False)
    os.replace(partial, path)


def _create_planes(
    file: h5py.File, count: int, size: tuple[int, int], codec: str, *, with_heatmaps: bool
) -> dict[str, h5py.Dataset]:
    """The empty datasets of what every picture has, by name; one picture per chunk."""
    width, height = size
    shapes = {
        "images": (height, width, 3),
        "heatmaps": (len(JOINTS), height, width),
        "parsing": (height, width),
        "mask": (height, width),
        "edges": (height, width),
    }
    if not with_heatmaps:
        del shapes["heatmaps"]
    return {
        name: file.create_dataset(
            name,
            (count, *shape),
            "u1",
            chunks=(1, *shape),
            track_times=False,
            **_codec(codec if name == "images" else "gzip"),
        )
        for name, shape in shapes.items()
    }


def _codec(name: str) -> dict[str, Any]:
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 1}
    if name == "blosc":
        import hdf5plugin

        return dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE))
    return {}


def _describe(file: h5py.File, *, size: tuple[int, int], sigma_px: float, source: str) -> None:
    file.attrs["schema"] = SCHEMA
    file.attrs["width"], file.attrs["height"] = size
    file.attrs["joints"] = json.dumps(JOINTS)
    file.attrs["labels"] = json.dumps(LABELS)
    file.attrs["palette"] = PALETTE
    file.attrs["sigma_px"] = sigma_px
    file.attrs["mean"], file.attrs["std"] = 127.5, 127.5
    file.attrs["source"] = source


def _check(file: h5py.File) -> None:
    """ValueError or KeyError where a part is missing, of another kind or no part of the others; nothing is read."""
    count, width, height = len(file["names"]), int(file.attrs["width"]), int(file.attrs["height"])
    planes = {name: (count, height, width) for name in ("parsing", "mask", "edges")}
    shapes: dict[str, tuple[int, ...]] = {"persons": (count,), "images": (count, height, width, 3), **planes}
    shapes["keypoints"] = (count, len(JOINTS), 3)
    if "heatmaps" in file:
        shapes["heatmaps"] = (count, len(JOINTS), height, width)
    for name, shape in shapes.items():
        if file[name].shape != shape:
            raise ValueError(f"{name} has shape {file[name].shape} instead of {shape}")
    for name in shapes.keys() - {"persons", "keypoints"}:
        plane = file[name]
        if plane.dtype != np.uint8 or plane.chunks != (1, *plane.shape[1:]):
            raise ValueError(f"{name} are {plane.dtype} in chunks of {plane.chunks}, not uint8, one picture in each")
    for split in SPLITS:
        rows = file[f"pairs/{split}"]
        if rows.dtype.kind not in "iu" or rows.shape[1:] != (2,):
            raise ValueError(f"pairs/{split} are {rows.dtype} of shape {rows.shape}, not two rows for each pair")


class Pack:
    """Map-style reader of a pack; opens the file at first use, once per process, and may be pickled.

    Key points, names and pairs are read whole; pictures one at a time.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._handle: tuple[int, dict[str, _Plane]] | None = None
        try:
            with h5py.File(self.path, "r") as file:
                if file.attrs.get("schema") != SCHEMA:
                    raise UserError(
                        f"{path}: schema {file.attrs.get('schema')}, this version reads {SCHEMA}; pack it again"
                    )
                _check(file)
                self.attributes = dict(file.attrs)
                self.names: list[str] = list(file["names"].asstr()[:])
                self.persons: list[str] = list(file["persons"].asstr()[:])
                self.keypoints: NDArray[np.float32] = file["keypoints"][:]
                self._pairs = {split: file[f"pairs/{split}"][:] for split in SPLITS}
                # Another vocabulary shows in any picture of a person; looking at each that is read costs 2 us each.
                largest = max((int(labels.max()) for labels in file["parsing"][:1]), default=0)
            if largest >= len(LABELS):
                raise ValueError(f"parsing has the label {largest}, which is none of 0..{len(LABELS) - 1}")
            if self.keypoints.dtype != np.float32 or not np.isfinite(self.keypoints).all():
                raise ValueError("keypoints are not finite numbers of float32")
            if any(((rows < 0) | (rows >= len(self))).any() for rows in self._pairs.values()):
                raise ValueError("pairs name rows that are not there")
        except UserError:
            raise
        # A damaged or foreign file can end in nearly any error of the library's.
        except Exception as error:
            raise UserError(f"{path}: not a readable pack ({error}); run `dvc repro pack@{self.path.stem}`") from error

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every picture."""
        return int(self.attributes["width"]), int(self.attributes["height"])

    def pairs(self, split: str) -> NDArray[np.int32]:
        """(M, 2) rows (from, to) of `train`, `val` or `test`."""
        return self._pairs[split]

    def image(self, row: int) -> Bytes:
        """(H, W, 3) RGB."""
        return self._read("images", row)

    def parsing(self, row: int) -> Bytes:
        """(H, W) labels 0..7."""
        return self._read("parsing", row)

    def mask(self, row: int) -> Bytes:
        """(H, W) body mask, 0 or 1."""
        return self._read("mask", row)

    def edges(self, row: int) -> Bytes:
        """(H, W) edge map, dark lines on white."""
        return self._read("edges", row)

    def heatmaps(self, row: int) -> Bytes | None:
        """(18, H, W) stored heat maps, 255 at the joint; None in a pack without them (`pack.heatmaps: false`)."""
        return self._read("heatmaps", row) if "heatmaps" in self._planes() else None

    def _read(self, name: str, row: int) -> Bytes:
        try:
            return self._planes()[name].read(row)
        # Of a chunk that was never written HDF5 gives a size that does not fit.
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path}: {name} of row {row} is damaged ({error}); run `dvc repro pack@{self.path.stem}`"
            ) from error

    def _planes(self) -> dict[str, "_Plane"]:
        """The open planes: finding one by its name takes longer than reading a picture from it."""
        # An HDF5 handle does not survive a fork, so each process opens its own.
        if self._handle is None or self._handle[0] != os.getpid():
            file = h5py.File(self.path, "r")
            stored = {name: file[name] for name in file if isinstance(file[name], h5py.Dataset)}
            planes = {name: _Plane(dataset) for name, dataset in stored.items() if dataset.chunks}
            self._handle = (os.getpid(), planes)
        return self._handle[1]

    def chunks(self, row: int) -> dict[str, tuple[int, bytes]]:
        """The chunk of every plane by the plane's name, as `Chunks` takes it."""
        return {name: plane.chunk(row) for name, plane in self._planes().items()}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None}


class _Plane:
    """An open dataset of one picture per chunk; what h5py works out at each access is kept."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset
        self.rows, self.shape = range(len(dataset)), dataset.shape[1:]
        self.rest = (0,) * len(self.shape)
        self.read_chunk = dataset.id.read_direct_chunk
        self.is_plain = dataset.id.get_create_plist().get_nfilters() == 0

    def read(self, row: int) -> Bytes:
        """The picture; one that is stored as it is comes without h5py's selections, in two thirds of their time."""
        if not self.is_plain:
            data: Bytes = self.dataset[row]
            return data
        data = np.empty(self.shape, np.uint8)
        self.read_chunk((self.rows[row], *self.rest), out=data.reshape(-1))
        return data

    def chunk(self, row: int) -> tuple[int, bytes]:
        """The mask of filters that were left out, and the picture as it is stored."""
        left_out, chunk = self.read_chunk((row, *self.rest))
        return int(left_out), chunk
