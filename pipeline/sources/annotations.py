"""Joints in the field's CSV form `name:keypoints_y:keypoints_x`, and the frames that their x is counted in.

Each row holds two JSON lists of 18 numbers, y first; -1 in both is a missing joint. Three counts of x exist besides the
picture's own (reference: the lists of PATN, ADGAN, GFLA and PISE), so the frame is found from the values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.people.boxes import box_of
from pipeline.people.skeleton import JOINTS, Joints, drop_missing, empty, is_present, move
from pipeline.sources.tables import Table

COLUMNS = ("name", "keypoints_y", "keypoints_x")
FRAMES = {
    "own": "the picture's own pixels",
    "cropped": "176x256, the middle columns 40..215 of the 256-wide picture",
    "bordered": "256x256 with the person's 176 columns in the middle",
    "stretched": "256x256 with the person's 176 columns stretched to 256",
}

Size = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One readable line or file: the name as written, the file and line, and the joints as given."""

    name: str
    place: str
    joints: Joints
    size: Size | None = None  # (width, height) of the picture that the joints were counted in, where that is told


def is_annotation(header: str) -> bool:
    """Whether a CSV's first line means to be one of joints."""
    return "keypoints_y" in header.lower() or "keypoints_x" in header.lower()


def read_annotation(table: Table, name: str) -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows in the file's order, and what was set aside (name, reason); `name` is how messages call the file.

    UserError when a column is missing.
    """
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line.rstrip("\n") for line in file]
    header = [column.strip().lower() for column in lines[0].split(":")]
    if missing := [column for column in COLUMNS if column not in header]:
        raise UserError(
            f"{name}, line 1: there is no column '{missing[0]}' in {lines[0][:80]!r}; "
            f"the header must be {':'.join(COLUMNS)}, in UTF-8"
        )
    rows, set_aside = [], []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        cells = dict(zip(header, (cell.strip() for cell in line.rsplit(":", len(header) - 1)), strict=False))
        try:
            rows.append(Row(_unquoted(cells["name"]), place, _joints(cells)))
        except (KeyError, ValueError) as error:
            reason = f"has no column {error}" if isinstance(error, KeyError) else str(error)
            set_aside.append((cells.get("name", line[:40]), f"{place}: {reason}; the joints of this line are not used"))
    return rows, set_aside


def _unquoted(name: str) -> str:
    """A name as it is; one with a colon stands in quotation marks."""
    return name[1:-1].replace('""', '"') if len(name) > 2 and name[0] == name[-1] == '"' else name


def _joints(cells: Mapping[str, str]) -> Joints:
    x, y = _numbers(cells["keypoints_x"], "keypoints_x"), _numbers(cells["keypoints_y"], "keypoints_y")
    return drop_missing(np.stack([x, y, np.ones(len(JOINTS))], axis=1).astype(np.float32))


def _numbers(text: str, column: str) -> list[float]:
    try:
        values: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{column} is not a list in brackets ({error}): {text[:60]!r}") from None
    if not isinstance(values, list) or len(values) != len(JOINTS):
        found = f"{len(values)} values" if isinstance(values, list) else repr(values)
        raise ValueError(f"{column} must be a list of {len(JOINTS)} joints, found {found}")
    return checked_numbers(values, column)


def checked_numbers(values: Sequence[Any], column: str) -> list[float]:
    """The values as they are; ValueError names one that is no pixel coordinate."""
    for value in values:
        # A coordinate beyond a million pixels is a slip of the pen, and would not survive float32; bool is no number.
        if type(value) not in (int, float) or not abs(value) <= 1e6:
            raise ValueError(f"{column} holds {value!r}, which is not a pixel coordinate")
    return list(values)


def main_person(people: Sequence[Joints]) -> Joints:
    """Of several people (18, 3) on a picture the one with the largest box; of equal ones the first."""

    def area(joints: Joints) -> float:
        box = box_of(joints)
        return (box[2] - box[0]) * (box[3] - box[1]) if box else -1.0

    return max(people, key=area)


def find_frame(joints: Mapping[str, Joints], sizes: Mapping[str, Size]) -> str:
    """Which of FRAMES the x values of one list are counted in, from them and the sizes of (some of) the pictures.

    Only pictures of the field's sizes leave room for doubt: 256x256, 176x256, and larger ones whose joints all lie
    within 256 pixels. The person stands in the middle, at x = 88 of 176 or 128 of 256; and a bordered frame leaves the
    columns below 40 and above 215 empty. A half per cent of the values may lie elsewhere.
    """
    stacked = np.concatenate([joints[key] for key in sizes] or [empty()])
    present = stacked[is_present(stacked)]
    if not len(present):
        return "own"
    width, height = np.median([sizes[key] for key in sizes], axis=0)
    low, middle, high = np.quantile(present[:, 0], (0.005, 0.5, 0.995))
    centre_176 = high < 176 and abs(middle - 88) < abs(middle - 128)
    within_borders = low >= 40 and high < 216
    if (width, height) == (256, 256):
        return "cropped" if centre_176 else "own"
    if (width, height) == (176, 256):
        return "own" if high < 176 else "bordered" if within_borders else "stretched"
    if height >= 400 and present[:, :2].max() < 256:
        return "cropped" if centre_176 else "bordered" if within_borders or width >= height else "stretched"
    return "own"


def share_outside(joints: Mapping[str, Joints], sizes: Mapping[str, Size]) -> float:
    """The share 0..1 of the joints of the pictures in `sizes` that lie outside of their picture."""
    inside = present = 0
    for key, size in sizes.items():
        present += int(is_present(joints[key]).sum())
        inside += int(is_present(move(joints[key], offset=(0, 0), scale=(1, 1), size=size)).sum())
    return 1 - inside / present if present else 0.0


def to_picture(joints: Joints, frame: str, size: Size) -> Joints:
    """The joints in pixels of the upright picture of `size`; one that leaves the picture becomes missing."""
    width, height = size
    zoom = height / 256
    # Where the picture's left edge lies in the frame, and picture pixels per frame pixel.
    if frame == "own":
        return drop_missing(joints)
    if frame == "stretched":
        person_columns = 176 * zoom if width >= height else width
        scale = (person_columns / 256, zoom)
        left = 128 - width / 2 / scale[0]
    else:
        scale = (zoom, zoom)
        left = (88 if frame == "cropped" else 128) - width / 2 / zoom
    return move(joints, offset=(left, 0), scale=scale, size=size)
