"""What a picture looks like, in a few numbers: whether it shows one whole person, and a hash to find its like by."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.people.labels import BACKGROUND, LabelMap
from pipeline.people.pairs import missing_torso
from pipeline.people.skeleton import LEFT_EAR, LEFT_EYE, NOSE, RIGHT_EAR, RIGHT_EYE, Joints, is_present

HASH_BITS = 64

# A second piece of the label map of at least this share of the largest is somebody else.
_SECOND_PERSON = 0.25
_HASH_SIZE = (9, 8)
# Grey levels by which a pixel must exceed the next: on plain backgrounds noise would decide otherwise.
_MARGIN = 2


def hash_picture(picture: NDArray[np.uint8]) -> int:
    """The 64 bits of the difference hash of (H, W, 3): where the grey picture of 9x8 becomes brighter to the right.

    Scaling, compression, noise and brightness change few of the bits, another pose about a quarter.
    """
    grey = Image.fromarray(picture).convert("L").resize(_HASH_SIZE, Image.Resampling.LANCZOS)
    levels = np.asarray(grey, np.int16)
    return int.from_bytes(np.packbits(levels[:, 1:] > levels[:, :-1] + _MARGIN).tobytes(), "big")


def second_share(labels: LabelMap) -> float:
    """The size of the second largest connected piece of the person's pixels, as a share 0..1 of the largest."""
    from scipy import ndimage  # a third of a second to load, for what few runs ask

    pieces, count = ndimage.label(labels != BACKGROUND)
    sizes = np.sort(np.bincount(pieces.ravel(), minlength=3)[1:])
    return float(sizes[-2] / sizes[-1]) if count > 1 else 0.0


def why_not_single_and_complete(joints: Joints, second: float) -> str:
    """The reason, or nothing for a picture of one person with head, both shoulders and both hips."""
    if second >= _SECOND_PERSON:
        return f"a second person: the next piece of the label map has {second:.0%} of the largest"
    missing = missing_torso(joints)
    if not is_present(joints)[[NOSE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR]].any():
        missing.insert(0, "head")
    return f"not found: {', '.join(missing)}" if missing else ""


def find_like(hashes: Mapping[str, int], kept: Iterable[str], other: int, bits: int) -> tuple[str, int] | None:
    """The first of `kept` whose hash differs from `other` in fewer than `bits` bits, and in how many; None without."""
    for name in kept:
        distance = (hashes[name] ^ other).bit_count()
        if distance < bits:
            return name, distance
    return None
