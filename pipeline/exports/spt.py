"""SPT: `imgs/`, `imgs/keypoints.csv`, `parsing/` with ten labels, `data/train_A_parsing.txt` and its B list; 256x256.

The ten labels tell left from right limbs; a pixel of an arm or leg belongs to the side whose joints are nearer.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.exports.folders import Folder
from pipeline.exports.lists import annotation_csv, jpeg, lines, npy, whole, widened
from pipeline.exports.phases import write_names
from pipeline.exports.selection import Selection, Track
from pipeline.people import labels, skeleton
from pipeline.people.labels import LabelMap
from pipeline.people.skeleton import Joints

_WHITE, _BORDER = 255, 40

# What the program opens; the last part of a name differs.
LISTS = {"train": "data/train_{}_parsing.txt", "val": "data/val_{}_parsing.txt", "test": "data/test_{}_example.txt"}

# Our label, and the chains of joints of the person's left and right side.
_LIMBS = (
    (
        labels.ARM,
        (skeleton.LEFT_SHOULDER, skeleton.LEFT_ELBOW, skeleton.LEFT_WRIST),
        (skeleton.RIGHT_SHOULDER, skeleton.RIGHT_ELBOW, skeleton.RIGHT_WRIST),
    ),
    (
        labels.LEG,
        (skeleton.LEFT_HIP, skeleton.LEFT_KNEE, skeleton.LEFT_ANKLE),
        (skeleton.RIGHT_HIP, skeleton.RIGHT_KNEE, skeleton.RIGHT_ANKLE),
    ),
)


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """For a run from within DIR, with `--dataroot ./imgs --annotation_file ./imgs/keypoints.csv`."""
    chosen.check_size("spt")
    pack, names = chosen.pack, chosen.fashion_names
    rows = sorted({row for split in chosen.kept for row in chosen.needed(split)})
    joints = {row: whole(pack.keypoints[row], pack.size) for row in rows}
    for row in track(rows, "pictures"):
        folder.write(f"imgs/{names[row]}.jpg", jpeg(widened(pack.image(row), _WHITE)))
        ten = widened(with_sides(pack.parsing(row), joints[row]), labels.BACKGROUND)
        folder.write(f"parsing/{names[row]}.npy", npy(ten.astype(np.int8)))
    # The published list has 256-wide coordinates.
    shift = np.array([_BORDER, 0, 0], np.float32)
    moved = {row: np.where(skeleton.is_present(joints[row])[:, None], joints[row] + shift, joints[row]) for row in rows}
    folder.write("imgs/keypoints.csv", annotation_csv((f"{names[row]}.jpg", moved[row]) for row in rows))
    for split in chosen.kept:
        for side, letter in enumerate("AB"):
            paths = (f"./imgs/{names[pair[side]]}.jpg" for pair in chosen.pairs(split))
            folder.write(LISTS[split].format(letter), lines(paths, ending="\r\n"))
    for split in chosen.kept:
        folder.write(f"{split}.lst", lines(f"{names[row]}.jpg" for row in chosen.home(split)))
    write_names(chosen, folder, names)


def with_sides(found: LabelMap, joints: Joints) -> LabelMap:
    """(H, W) in SPT's ten labels; where no joint of a limb is there, the picture's left half is the right side."""
    ten = labels.write_as(found, "spt")
    for label, left, right in _LIMBS:
        y, x = np.nonzero(found == label)
        pixels = np.stack([x, y], axis=1).astype(np.float32)
        to_left, to_right = (_distance(pixels, joints[list(chain)]) for chain in (left, right))
        if np.isinf(to_left).all() and np.isinf(to_right).all():
            to_left, to_right = (found.shape[1] - 1 - pixels[:, 0]), pixels[:, 0]
        ten[y, x] += (to_right < to_left).astype(np.uint8)
    return ten


def _distance(pixels_N2: NDArray[np.float32], chain: Joints) -> NDArray[np.float32]:
    """(N) pixels to the nearest part of the chain of joints (3, 3); infinite when none is there."""
    there = skeleton.is_present(chain)
    nearest = np.full(len(pixels_N2), np.inf, np.float32)
    for start in range(len(chain)):
        for end in (start, start + 1):
            if end < len(chain) and there[start] and there[end]:
                a, b = chain[start, :2], chain[end, :2]
                span = b - a
                share = np.clip((pixels_N2 - a) @ span / max(float(span @ span), 1e-6), 0, 1)
                way = pixels_N2 - a - share[:, None] * span
                nearest = np.minimum(nearest, np.hypot(way[:, 0], way[:, 1]))
    return nearest
