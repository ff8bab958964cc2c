"""Lists in the field's spelling, as `pipeline.sources` reads them, and files of pictures and arrays."""

import io
import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.people.skeleton import Joints, is_present
from pipeline.pictures import Bytes

# Nearly without loss, and no blurred colours; the programs of the field ask for .jpg by name.
_JPEG = {"quality": 95, "subsampling": 0}


def annotation_csv(rows: Iterable[tuple[str, Joints]]) -> bytes:
    """`name:keypoints_y:keypoints_x` of (file name, joints (18, 3)): whole numbers, y first, -1 = missing.

    A name with a colon stands in quotation marks, as the field's programs read it.
    """
    lines = ["name:keypoints_y:keypoints_x"]
    for name, joints in rows:
        x, y = whole(joints)[:, :2].T.astype(int).tolist()
        lines.append(f"{_cell(name, ':')}: {json.dumps(y)}: {json.dumps(x)}")
    return _text(lines)


def pairs_csv(pairs: Iterable[tuple[str, str]]) -> bytes:
    """`from,to` of file names, in their order."""
    return _text(["from,to", *(f"{_cell(start)},{_cell(end)}" for start, end in pairs)])


def lines(names: Iterable[str], *, ending: str = "\n") -> bytes:
    """A line for each."""
    return "".join(f"{name}{ending}" for name in names).encode()


def names_csv(rows: Iterable[tuple[str, str, str]]) -> bytes:
    """`file,name,person`: what each file is called in the pack."""
    return _text(["file,name,person", *(",".join(map(_cell, row)) for row in rows)])


def whole(joints: Joints, size: tuple[int, int] | None = None) -> Joints:
    """The joints at whole pixels, within a picture of `size` (width, height) where one is given."""
    there = is_present(joints)[:, None]
    rounded = np.rint(joints)
    if size:
        rounded[:, :2] = np.clip(rounded[:, :2], 0, [size[0] - 1, size[1] - 1])
    rounded[:, 2] = joints[:, 2]
    return np.where(there, rounded, np.array([-1, -1, 0])).astype(np.float32)


def jpeg(picture: Bytes) -> bytes:
    """JPEG of (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **_JPEG)
    return buffer.getvalue()


def npy(array: NDArray[np.generic]) -> bytes:
    """A NumPy file of the array."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def widened(plane: Bytes, fill: int) -> Bytes:
    """(256, 176[, 3]) between two borders of 40 columns: (256, 256[, 3])."""
    border = ((0, 0), (40, 40), (0, 0))[: plane.ndim]
    return np.pad(plane, border, constant_values=fill)


def _text(rows: Iterable[str]) -> bytes:
    return lines(rows)


def _cell(text: str, mark: str = ",") -> str:
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in f'{mark}"\r\n') else text
