"""Joints as OpenPose writes them: one JSON file a picture, `<name>_keypoints.json`, with 18 or 25 points a person."""

import json
from typing import Any

import numpy as np

from pipeline.people.skeleton import JOINTS, Joints, drop_missing
from pipeline.sources.annotations import checked_numbers
from pipeline.sources.tables import Table

# Where BODY_25 has our joints: after the arms comes a middle of the hips, which we do not have; then feet.
BODY_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
ENDING = "_keypoints"
_VALUES = ("pose_keypoints_2d", "pose_keypoints")  # the second: before version 1.2


def is_openpose(head: str) -> bool:
    """Whether the beginning of a JSON file is one of OpenPose's."""
    return '"people"' in head


def read_people(table: Table) -> list[Joints]:
    """(18, 3) of every person of the file, none without a joint; ValueError says what is wrong with it."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        try:
            data: Any = json.load(file)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"is no JSON ({error})") from None
    people = data.get("people") if isinstance(data, dict) else None
    if not isinstance(people, list):
        raise ValueError("has no list 'people'")
    found = [_joints(person, number) for number, person in enumerate(people)]
    return [joints for joints in found if (joints[:, 2] > 0).any()]


def _joints(person: Any, number: int) -> Joints:
    key = next((key for key in _VALUES if isinstance(person, dict) and key in person), None)
    place = f"people[{number}].{key or _VALUES[0]}"
    values = person[key] if key else None
    if not isinstance(values, list) or len(values) not in (0, 3 * len(JOINTS), 75):
        found = f"{len(values)} values" if isinstance(values, list) else repr(values)
        raise ValueError(f"{place} must be a list of 18 or 25 points of x, y, score; found {found[:60]}")
    points = np.array(checked_numbers(values, place), np.float32).reshape(-1, 3)
    if not len(points):
        return drop_missing(np.zeros((len(JOINTS), 3), np.float32))
    joints = points[list(BODY_25)] if len(points) == 25 else points
    # A point that was not found is 0, 0, 0.
    there = joints[:, 2] > 0
    if there.any() and joints[there, :2].max() <= 1:
        raise ValueError(f"{place} counts in shares of the picture: run OpenPose with --keypoint_scale 0")
    return drop_missing(joints)
