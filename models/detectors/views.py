"""What of a person a picture shows: whole or half, from the front or from behind; and half bodies from whole ones."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.detectors import augment
from models.detectors.augment import Strength
from models.detectors.examples import Examples
from pipeline.people import skeleton

VIEWS = ("full", "half", "back")

# A joint with a lower score is hidden.
SEEN = 0.75

_LEGS = [skeleton.RIGHT_KNEE, skeleton.LEFT_KNEE, skeleton.RIGHT_ANKLE, skeleton.LEFT_ANKLE]
_FACE = [skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE]

# A shop's framing and background, and nothing else changed.
_SHOP = Strength(
    scale=(1.0, 1.0), close_up=0, shop=1, aspect=0, rotation_deg=0, background=1, studio=1, colour=0, blur=0, noise=0,
    jpeg=0, occlusion=0,
)  # fmt: skip


def views_of(joints: skeleton.Joints) -> NDArray[np.str_]:
    """The view of each of (N, 18, 3) joints: `back` without nose and eyes, else `half` without knees and ankles."""
    seen = skeleton.is_present(joints) & (joints[..., 2] >= SEEN)
    halves = np.where(skeleton.is_present(joints)[:, _LEGS].any(axis=1), VIEWS[0], VIEWS[1])
    return np.where(seen[:, _FACE].any(axis=1), halves, VIEWS[2])


def as_in_a_shop(pictures: Examples, kind: str) -> Examples:
    """The pictures cut between waist and ankles and enlarged, before a light background where they have a label map.

    Always the same cut for the same row: what a detector finds in them can be compared.
    """
    changed = [
        augment.change(image, joints, labels, has_labels=bool(has), strength=_SHOP, random=np.random.default_rng(row))
        for row, (image, joints, labels, has) in enumerate(
            zip(pictures.images, pictures.joints, pictures.labels, pictures.has_labels, strict=True)
        )
    ]
    if not changed:
        return pictures
    images, joints, labels = (np.stack(parts) for parts in zip(*changed, strict=True))
    return replace(pictures, images=images, joints=joints, labels=labels, kinds=[kind] * len(pictures))
