"""Joints as NTED and PIDM keep them: a text file a picture with 18 lines `x y`; -1 in either is a missing joint."""

import re

import numpy as np

from pipeline.people.skeleton import JOINTS, Joints, drop_missing
from pipeline.sources.annotations import checked_numbers
from pipeline.sources.tables import Table

_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
_LINE = re.compile(rf"\s*({_NUMBER})[\s,]+({_NUMBER})\s*$")


def is_pose_text(first_line: str) -> bool:
    """Whether the first line of a text file is a joint's."""
    return bool(_LINE.match(first_line))


def read_pose_text(table: Table) -> Joints:
    """(18, 3) of the file; ValueError names the line that is no joint."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
    if len(lines) != len(JOINTS):
        raise ValueError(f"must have {len(JOINTS)} lines of x y, found {len(lines)}")
    points = []
    for number, line in lines:
        if not (found := _LINE.match(line)):
            raise ValueError(f"line {number} must be x y, found {line.strip()[:60]!r}")
        x, y = checked_numbers([float(found[1]), float(found[2])], f"line {number}")
        points.append((x, y, 1))
    return drop_missing(np.array(points, np.float32))
