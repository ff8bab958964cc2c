"""Joints in the JSON of COCO's key points: lists `images`, `annotations` and `categories` in one file."""

import json
import re
from collections import defaultdict
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.people.skeleton import COCO17, JOINTS, LEFT_SHOULDER, NECK, RIGHT_SHOULDER, Joints, drop_missing, empty
from pipeline.sources.annotations import Row, checked_numbers, main_person
from pipeline.sources.tables import Table

_LISTS = ("images", "annotations")
_ID = int | str | None


def is_coco(head: str) -> bool:
    """Whether the beginning of a JSON file may be one of COCO's."""
    return any(f'"{key}"' in head for key in (*_LISTS, "categories", "licenses"))


def read_coco(table: Table, name: str) -> tuple[list[Row], list[tuple[str, str]], int]:
    """Rows in the order of `images`, what was set aside (name, reason), and how many pictures show several people.

    Of those the one with the largest box counts, of crowds (`iscrowd`) nobody. A point that is marked as hidden has the
    score 0.5. Joints are found by the names that the category lists, else in COCO's order of 17; the neck is the middle
    of the shoulders where neither the category nor the annotation has a `neck`. UserError when a list is missing.
    """
    data = _load(table, name)
    orders = {
        row.get("id"): [re.sub("[ -]", "_", str(key).lower()) for key in row["keypoints"]]
        for row in _identified(data.get("categories"))
        if isinstance(row.get("keypoints"), list)
    }
    images = {row["id"]: row for row in _identified(data["images"]) if {"id", "file_name"} <= row.keys()}
    people: dict[Any, list[tuple[str, Joints]]] = defaultdict(list)
    set_aside = []
    for number, row in enumerate(data["annotations"]):
        if isinstance(row, dict) and ("keypoints" not in row or row.get("iscrowd")):
            continue  # a box, an outline, or many people as one
        place = f"{name}, annotations[{number}]"
        try:
            image, joints = _person(row, orders, images)
        except ValueError as error:
            set_aside.append((_name_of(row, images), f"{place}: {error}; the joints of this person are not used"))
        else:
            if (joints[:, 2] > 0).any():
                people[image].append((place, joints))
    rows = []
    for image, found in people.items():
        joints = main_person([joints for _, joints in found])
        rows.append(Row(str(images[image]["file_name"]), found[0][0], joints, _size(images[image])))
    return rows, set_aside, sum(len(found) > 1 for found in people.values())


def _load(table: Table, name: str) -> dict[str, Any]:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        try:
            data: Any = json.load(file)
        except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
            raise UserError(f"{name} is no JSON ({error}): mend or remove it") from None
    for key in _LISTS:
        if not isinstance(data, dict) or not isinstance(data.get(key), list):
            raise UserError(f"{name} has no list '{key}', as key points in COCO's form have: mend or remove it")
    found: dict[str, Any] = data
    return found


def _identified(rows: Any) -> list[dict[str, Any]]:
    """The rows of a list that can be found by their `id`."""
    found = rows if isinstance(rows, list) else []
    return [row for row in found if isinstance(row, dict) and isinstance(row.get("id"), _ID)]


def _name_of(row: Any, images: dict[Any, dict[str, Any]]) -> str:
    image = row.get("image_id") if isinstance(row, dict) else None
    known = images.get(image) if isinstance(image, int | str) else None
    return str(known["file_name"]) if known else f"image {image!r}"[:60]


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0 else None


def _person(row: Any, orders: dict[Any, list[str]], images: dict[Any, dict[str, Any]]) -> tuple[Any, Joints]:
    """(image id, joints) of one annotation; ValueError says what is wrong with it."""
    image = row.get("image_id") if isinstance(row, dict) else None
    if not isinstance(image, int | str) or image not in images:
        raise ValueError(f"'image_id' is none of the images: {image!r}")
    category = row.get("category_id")
    order = orders.get(category, list(COCO17)) if isinstance(category, _ID) else list(COCO17)
    if sum(key in order for key in JOINTS) < 2:
        told = f"category {category!r} calls its points {', '.join(order)[:80]!r}"
        raise ValueError(f"{told}; call them {', '.join(COCO17[:6])} and so on, or leave the names out")
    values = row.get("keypoints")
    if not isinstance(values, list) or len(values) != 3 * len(order):
        found = f"{len(values)} values" if isinstance(values, list) else repr(values)[:60]
        raise ValueError(f"'keypoints' must be a list of {len(order)} points of x, y, visibility; found {found}")
    points = np.array(checked_numbers(values, "keypoints"), np.float32).reshape(-1, 3)
    extra = row.get("neck")
    if isinstance(extra, list) and len(extra) == 3 and "neck" not in order:
        points = np.concatenate([points, np.array([checked_numbers(extra, "neck")], np.float32)])
        order = [*order, "neck"]
    joints = empty()
    for index, key in enumerate(JOINTS):
        if key in order:
            joints[index] = points[order.index(key)]
    # Visibility is 0, 1 (hidden) or 2; some programs write a score there.
    joints[:, 2] = np.where(np.isin(joints[:, 2], (1, 2)), joints[:, 2] / 2, joints[:, 2].clip(0, 1))
    sides = joints[[RIGHT_SHOULDER, LEFT_SHOULDER]]
    if "neck" not in order and (sides[:, 2] > 0).all():
        joints[NECK] = [*sides[:, :2].mean(axis=0), sides[:, 2].min()]
    return image, drop_missing(joints)
