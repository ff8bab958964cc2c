"""The 18 joints of the field (OpenPose's COCO-18), their limbs, and the ways from and to other orders.

Key points are `float32 (..., 18, 3)`: x, y in pixels of the picture (pixel centres at whole numbers) and a score in
0..1; a missing joint is (-1, -1, 0).
"""

import numpy as np
from numpy.typing import NDArray

JOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
NOSE, NECK, RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST, LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = range(8)
RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE, LEFT_HIP, LEFT_KNEE, LEFT_ANKLE = range(8, 14)
RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR = range(14, 18)

MISSING = (-1.0, -1.0, 0.0)

# The limbs that one draws.
LIMBS = (
    (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip

# The 23 limbs that the body masks of PG2 and Deformable GAN are made of: they close torso and head.
MASK_LIMBS = (
    *LIMBS,
    (1, 16), (1, 17), (8, 11), (5, 11), (2, 8), (16, 17),
)  # fmt: skip

# Position of the joint that a left-right flip puts in each place.
FLIP = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)

COCO17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_COCO17_SOURCE = tuple(COCO17.index(name) if name != "neck" else -1 for name in JOINTS)

Joints = NDArray[np.float32]


def empty() -> Joints:
    """(18, 3) with every joint missing."""
    return np.tile(np.asarray(MISSING, np.float32), (len(JOINTS), 1))


def is_present(joints: Joints) -> NDArray[np.bool_]:
    """(...) which joints are there: a score above 0 and no negative coordinate."""
    return (joints[..., 2] > 0) & (joints[..., 0] >= 0) & (joints[..., 1] >= 0)


def drop_missing(joints: Joints) -> Joints:
    """The same joints with every absent one written as (-1, -1, 0)."""
    return np.where(is_present(joints)[..., None], joints, np.asarray(MISSING, np.float32)).astype(np.float32)


def from_coco17(joints: Joints) -> Joints:
    """(..., 18, 3) from COCO-17 (..., 17, 3); the neck is the middle of the shoulders, missing if either is."""
    joints = np.asarray(joints, np.float32)
    out = joints[..., [max(index, 0) for index in _COCO17_SOURCE], :].copy()
    left, right = joints[..., COCO17.index("left_shoulder"), :], joints[..., COCO17.index("right_shoulder"), :]
    out[..., NECK, :2] = (left[..., :2] + right[..., :2]) / 2
    out[..., NECK, 2] = np.where(is_present(left) & is_present(right), np.minimum(left[..., 2], right[..., 2]), 0)
    return drop_missing(out)


def to_coco17(joints: Joints) -> Joints:
    """COCO-17 (..., 17, 3) from (..., 18, 3); the neck is dropped."""
    return np.asarray(joints, np.float32)[..., [JOINTS.index(name) for name in COCO17], :]


def flip(joints: Joints, width: int) -> Joints:
    """The joints of the mirrored picture: x' = width - 1 - x, left and right exchanged."""
    out = np.asarray(joints, np.float32)[..., FLIP, :].copy()
    out[..., 0] = np.where(is_present(out), width - 1 - out[..., 0], -1)
    return out


def move(joints: Joints, *, offset: tuple[float, float], scale: tuple[float, float], size: tuple[int, int]) -> Joints:
    """Joints after a crop at `offset` (x, y), then a resize by `scale` (x, y), to a picture of `size` (width, height).

    Pixel centres are at whole numbers, so x' = (x + 0.5 - offset) * scale - 0.5. A joint outside the frame is missing.
    """
    out = np.asarray(joints, np.float32).copy()
    for axis in (0, 1):
        out[..., axis] = (out[..., axis] + 0.5 - offset[axis]) * scale[axis] - 0.5
    inside = (out[..., 0] > -0.5) & (out[..., 0] < size[0] - 0.5) & (out[..., 1] > -0.5) & (out[..., 1] < size[1] - 0.5)
    out[..., :2] = np.clip(out[..., :2], 0, [size[0] - 1, size[1] - 1])
    out[..., 2] = np.where(is_present(joints) & inside, out[..., 2], 0)
    return drop_missing(out)
