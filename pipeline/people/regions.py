"""The body regions that DPIG looks at one by one, and the boxes around them.

A region is a set of joints, a row of a (R, 18) table; its box is the box of those of them that are there, grown by a
margin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.people.skeleton import JOINTS, NOSE, Joints, is_present

_ARM_LEFT, _ARM_RIGHT, _LEG_LEFT, _LEG_RIGHT = (5, 6, 7), (2, 3, 4), (11, 12, 13), (8, 9, 10)

# The seven of the paper, with the joints that each is made of (DPIG's data files, regions 1 to 7).
SEVEN = {
    "head and shoulders": (0, 1, 2, 5, 14, 15, 16, 17),
    "upper body": (2, 3, 4, 5, 6, 7, 8, 11),
    "legs": (*_LEG_RIGHT, *_LEG_LEFT),
    "left arm": _ARM_LEFT,
    "right arm": _ARM_RIGHT,
    "left leg": _LEG_LEFT,
    "right leg": _LEG_RIGHT,
}
WHOLE = {"whole body": tuple(range(len(JOINTS)))}

# All 37 of the data files, in their order.
ALL_37 = {
    **SEVEN,
    "torso": (2, 5, 8, 11),
    "left upper arm": (5, 6),
    "left forearm": (6, 7),
    "right upper arm": (2, 3),
    "right forearm": (3, 4),
    "left thigh": (11, 12),
    "left shank": (12, 13),
    "right thigh": (8, 9),
    "right shank": (9, 10),
    **WHOLE,
    **{name: (joint,) for joint, name in enumerate(JOINTS)},
    "right side": (*_ARM_RIGHT, *_LEG_RIGHT),
    "left side": (*_ARM_LEFT, *_LEG_LEFT),
}

# Whoever shows a knee or an ankle of either leg is seen whole.
LEFT_SHIN, RIGHT_SHIN = (12, 13), (9, 10)


@dataclass(frozen=True)
class Margins:
    """How far a box reaches beyond its joints, in pixels of a picture of `rows` rows."""

    rows: int
    several: float  # around several joints
    single: float  # around one joint
    nose: float = 0.0  # the nose counts as so much higher, so that the hair is in the box

    def at(self, height: int) -> "Margins":
        """The same for a picture of `height` rows."""
        ratio = height / self.rows
        return Margins(height, self.several * ratio, self.single * ratio, self.nose * ratio)


# (of people seen whole, of the others)
MARKET = (Margins(128, 7, 10), Margins(128, 7, 10))
DEEPFASHION = (Margins(256, 10, 20, 10), Margins(256, 20, 40, 25))


def table(regions: dict[str, tuple[int, ...]]) -> NDArray[np.bool_]:
    """(R, 18) which joints each region has."""
    return np.array([[joint in joints for joint in range(len(JOINTS))] for joints in regions.values()])


def region_boxes(
    joints: Joints, *, width: int, height: int, regions: dict[str, tuple[int, ...]], margins: tuple[Margins, Margins]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Boxes (R, 4) as top, left, bottom, right in pixels within the picture, and (R,) which regions are visible.

    A region without a joint has the box (0, 0, 1, 1), as in DPIG's data files.
    """
    there = is_present(joints)
    is_whole = there[list(LEFT_SHIN)].any() and there[list(RIGHT_SHIN)].any()
    margin = margins[0 if is_whole else 1].at(height)
    places = joints[:, 1::-1].astype(np.float64)  # y, x
    places[NOSE, 0] -= margin.nose
    boxes, visible = np.tile(np.array([0, 0, 1, 1], np.float32), (len(regions), 1)), np.zeros(len(regions), bool)
    for row, members in enumerate(regions.values()):
        seen = places[[joint for joint in members if there[joint]]]
        if len(seen):
            reach = margin.several if len(seen) > 1 else margin.single
            corners = np.concatenate([seen.min(0) - reach, seen.max(0) + reach])
            boxes[row] = np.clip(corners, 0, [height - 1, width - 1] * 2)
            visible[row] = True
    return boxes, visible
