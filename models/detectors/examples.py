"""Annotated pictures to train the detectors with: how they are stored, read from photographs and split."""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.people import labels as vocabulary
from pipeline.people import skeleton

WIDTH, HEIGHT = 176, 256


@dataclass(frozen=True)
class Examples:
    """N pictures of one size with what is known of each.

    `images` (N, 256, 176, 3) uint8 RGB; `joints` (N, 18, 3) float32; `labels` (N, 256, 176) uint8; `has_labels` (N,)
    bool: photographs may come without a label map; `names` N texts; `kinds` N texts: natural, toon or photograph.
    """

    images: NDArray[np.uint8]
    joints: NDArray[np.float32]
    labels: NDArray[np.uint8]
    has_labels: NDArray[np.bool_]
    names: list[str]
    kinds: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def choose(self, rows: NDArray[np.integer]) -> "Examples":
        """The examples of the given rows, in that order."""
        return Examples(
            self.images[rows],
            self.joints[rows],
            self.labels[rows],
            self.has_labels[rows],
            [self.names[row] for row in rows],
            [self.kinds[row] for row in rows],
        )


def empty() -> Examples:
    """No examples at all."""
    return Examples(
        np.zeros((0, HEIGHT, WIDTH, 3), np.uint8),
        np.zeros((0, 18, 3), np.float32),
        np.zeros((0, HEIGHT, WIDTH), np.uint8),
        np.zeros(0, np.bool_),
        [],
        [],
    )


def join(parts: list[Examples]) -> Examples:
    """All examples of `parts`, in order."""
    parts = parts or [empty()]
    return Examples(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.joints for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.has_labels for part in parts]),
        [name for part in parts for name in part.names],
        [kind for part in parts for kind in part.kinds],
    )


def write(path: Path, examples: Examples) -> None:
    """Write one HDF5 file: the same examples give the same bytes."""
    chunk = (1, HEIGHT, WIDTH)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", track_order=False) as file:
        many = len(examples) > 0
        file.create_dataset("images", data=examples.images, chunks=(*chunk, 3) if many else None)
        file.create_dataset(
            "labels", data=examples.labels, chunks=chunk if many else None, compression=1 if many else None
        )
        file.create_dataset("joints", data=examples.joints)
        file.create_dataset("has_labels", data=examples.has_labels)
        file.attrs["names"] = json.dumps(examples.names)
        file.attrs["kinds"] = json.dumps(sorted(set(examples.kinds)))
        order = sorted(set(examples.kinds))
        file.create_dataset("kinds", data=np.array([order.index(kind) for kind in examples.kinds], np.uint8))


def read(path: Path) -> Examples:
    """The examples of a file that `write` made."""
    with h5py.File(path) as file:
        order = json.loads(file.attrs["kinds"])
        return Examples(
            file["images"][:],
            file["joints"][:],
            file["labels"][:],
            file["has_labels"][:],
            json.loads(file.attrs["names"]),
            [order[index] for index in file["kinds"][:]],
        )


def read_photographs(folder: Path) -> Examples:
    """The pictures of `folder/images` that the annotation CSV beside it names, with `labels8/<stem>.png` where there.

    The CSV has the field's form, `name: [18 y]: [18 x]` with -1 for missing. ValueError names the file, the line or the
    picture that does not fit (176x256, 8 labels).
    """
    tables = sorted(folder.glob("*annotation*.csv"))
    if len(tables) != 1:
        raise ValueError(f"{folder}: expected one annotation CSV, found {len(tables)}")
    files = {path.stem: path for path in sorted((folder / "images").iterdir())}
    rows = read_annotation(tables[0])
    missing = next((name for name in rows if Path(name).stem not in files), None)
    if missing is not None:
        raise ValueError(f"{tables[0]}: no picture in {folder / 'images'} for '{missing}'")
    images, maps, has = [], [], []
    for name in rows:
        stem = Path(name).stem
        images.append(_picture(files[stem]))
        drawn = folder / "labels8" / f"{stem}.png"
        has.append(drawn.exists())
        maps.append(_label_map(drawn) if has[-1] else np.zeros((HEIGHT, WIDTH), np.uint8))
    names = [f"{folder.name}/{Path(name).stem}" for name in rows]
    joints = np.stack(list(rows.values()))
    return Examples(np.stack(images), joints, np.stack(maps), np.array(has), names, ["photograph"] * len(names))


def read_annotation(path: Path) -> dict[str, skeleton.Joints]:
    """Name -> (18, 3) joints of an annotation CSV, in the order of the file; ValueError names file and line."""
    rows: dict[str, skeleton.Joints] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, cells in enumerate(csv.reader(file, delimiter=":"), start=1):
            if number == 1 or not cells:
                continue
            try:
                ys, xs = (np.array(json.loads(cell), np.float32) for cell in cells[1:3])
            except (ValueError, IndexError):
                raise ValueError(f"{path}, line {number}: expected name: [18 y]: [18 x]") from None
            if len(ys) != 18 or len(xs) != 18:
                raise ValueError(f"{path}, line {number}: {len(ys)} y and {len(xs)} x, expected 18 of each")
            rows[cells[0].strip()] = skeleton.drop_missing(np.stack([xs, ys, np.ones(18, np.float32)], axis=1))
    return rows


def _picture(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        if picture.size != (WIDTH, HEIGHT):
            raise ValueError(f"{path}: {picture.width}x{picture.height}, expected {WIDTH}x{HEIGHT}: crop it first")
        return np.array(picture.convert("RGB"))


def _label_map(path: Path) -> NDArray[np.uint8]:
    labels = vocabulary.from_png(path.read_bytes())
    if labels.shape != (HEIGHT, WIDTH):
        raise ValueError(f"{path}: {labels.shape[1]}x{labels.shape[0]}, expected {WIDTH}x{HEIGHT}")
    return vocabulary.merge(labels, "ours")


@dataclass(frozen=True)
class HeldOut:
    """The photographs never trained on: a `share` of them, and all whose names begin as one of `clips`.

    The share is chosen by a hash of the name, so that adding pictures moves none to the other side. Frames of one clip
    show one person: some trained on and others held out would be no test.
    """

    share: float
    clips: tuple[str, ...] = ()

    def __contains__(self, name: object) -> bool:
        text = str(name)
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
        return text.startswith(self.clips) or number < self.share * 2**32


def for_training(rendered: Path, photographs: Path, held_out: HeldOut) -> Examples:
    """Rendered people, and the photographs that are not held out."""
    real = read(photographs)
    kept = [row for row, name in enumerate(real.names) if name not in held_out]
    return join([read(rendered), real.choose(np.array(kept, np.int64))])
