"""COCO key points: `images/NAME.png`, `annotations/person_keypoints_train.json`; label maps and pairs beside them.

COCO has 17 points and no neck: it stands beside them in each annotation, where other programs do not look.
"""

import json
from typing import Any

import numpy as np

from pipeline.exports.folders import Folder
from pipeline.exports.lists import lines, pairs_csv
from pipeline.exports.selection import Selection, Track
from pipeline.people.boxes import box_of
from pipeline.people.labels import to_png
from pipeline.people.skeleton import COCO17, JOINTS, LIMBS, NECK, Joints, is_present, to_coco17
from pipeline.pictures import encode_png


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """One JSON for each split, every picture in the one it belongs to; `labels/`, `pairs-train.csv`, `train.lst`."""
    pack, names = chosen.pack, chosen.plain_names
    for split in chosen.kept:
        rows = chosen.home(split)
        for row in track(sorted({*rows, *chosen.needed(split)}), split):
            folder.write(f"images/{names[row]}.png", encode_png(pack.image(row)))
            folder.write(f"labels/{names[row]}.png", to_png(pack.parsing(row)))
        if rows:
            people = [_person(row, pack.keypoints[row]) for row in rows]
            images = [_image(row, names[row], pack.size) for row in rows]
            data = {"images": images, "annotations": people, "categories": [_category()]}
            folder.write(f"annotations/person_keypoints_{split}.json", json.dumps(data).encode() + b"\n")
            folder.write(f"{split}.lst", lines(f"{names[row]}.png" for row in rows))
        pairs = [(f"{names[start]}.png", f"{names[end]}.png") for start, end in chosen.pairs(split)]
        folder.write(f"pairs-{split}.csv", pairs_csv(pairs))


def _image(row: int, name: str, size: tuple[int, int]) -> dict[str, Any]:
    return {"id": row + 1, "file_name": f"{name}.png", "width": size[0], "height": size[1]}


def _person(row: int, joints: Joints) -> dict[str, Any]:
    left, top, right, bottom = box_of(joints) or (0.0, 0.0, 0.0, 0.0)
    width, height = right - left, bottom - top
    points = to_coco17(joints)
    return {
        "id": row + 1,
        "image_id": row + 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [left, top, width, height],
        "area": width * height,
        "num_keypoints": int(is_present(points).sum()),
        "keypoints": [value for point in points for value in _visible(point)],
        "neck": _visible(joints[NECK]),
    }


def _visible(point: Joints) -> list[float]:
    """x, y, 2, or zeros for a joint that is missing."""
    return [float(point[0]), float(point[1]), 2] if bool(is_present(np.asarray(point))) else [0, 0, 0]


def _category() -> dict[str, Any]:
    order = [JOINTS.index(name) for name in COCO17]
    limbs = [[order.index(a) + 1, order.index(b) + 1] for a, b in LIMBS if a in order and b in order]
    return {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO17), "skeleton": limbs}
