"""Pictures for re-identification: sets of generated people, sets in Market-1501's form, and the people of a pack."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.pictures import Bytes

if TYPE_CHECKING:
    from models.reid import People

# Market-1501's names: person, camera and sequence, frame, box.
_NAME = re.compile(r"(?P<person>-1|\d{4,})_c(?P<camera>\d)s\d_\d{6,}_\d{2}")
_ENDINGS = (".jpg", ".jpeg", ".png")

# Market-1501's folders.
TRAIN, QUERIES, GALLERY = "bounding_box_train", "query", "bounding_box_test"

CAMERAS = 6


def name_of(identity: int, picture: int) -> str:
    """`0001_c1s1_000000_01`: identities and boxes count from 1, frames from 0; six cameras take turns."""
    return f"{identity + 1:04d}_c{picture % CAMERAS + 1}s1_{picture:06d}_01"


def read_folder(folder: Path) -> "People":
    """The pictures of a folder in Market-1501's names; UserError when there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; `posewright reid make` makes one, or give Market-1501's")
    named = [(found, path) for path in sorted(folder.iterdir()) if (found := _parsed(path))]
    if not named:
        raise UserError(f"{folder}: no pictures with names such as 0002_c1s1_000451_03.jpg; give a folder of these")
    return _people((_read(path), found["person"], found["camera"]) for found, path in named)


def _parsed(path: Path) -> re.Match[str] | None:
    return _NAME.match(path.name) if path.suffix.lower() in _ENDINGS else None


def _read(path: Path) -> Bytes:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path}: not a picture that can be read ({error}); take it out of the folder") from error


def read_pack(pack: Pack, splits: Sequence[str]) -> "People":
    """Everybody in the pairs of the splits; each picture has a camera of its own, so that only itself is left out."""
    rows = sorted({int(row) for split in splits for row in pack.pairs(split).ravel()})
    if not rows:
        raise UserError(f"{pack.path}: it has no {' or '.join(splits)} pairs; give --market, the folder of Market-1501")
    return _people((pack.image(row), pack.persons[row], str(row)) for row in rows)


def _people(pictures: "Iterator[tuple[Bytes, str, str]]") -> "People":
    import torch

    from models.reid import SIZE, People

    images, persons, cameras = [], [], []
    for picture, person, camera in pictures:
        small = Image.fromarray(picture).resize(SIZE[::-1], Image.Resampling.BILINEAR)
        images.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
        persons.append(person)
        cameras.append(camera)
    return People(torch.stack(images), tuple(persons), tuple(cameras))
