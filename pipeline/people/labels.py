"""The eight labels of a parsing map, their colours, and the tables that merge other vocabularies into them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LABELS = ("background", "hair", "face", "upper_clothes", "pants", "skirt", "arm", "leg")
BACKGROUND, HAIR, FACE, UPPER_CLOTHES, PANTS, SKIRT, ARM, LEG = range(8)

PALETTE = np.array(
    [
        (24, 26, 33),
        (122, 78, 45),
        (247, 201, 160),
        (62, 124, 205),
        (44, 160, 101),
        (222, 92, 148),
        (240, 150, 75),
        (176, 112, 214),
    ],
    np.uint8,
)

# How a vocabulary of the field maps onto ours: index = their label, value = ours.
MERGE = {
    "ours": (0, 1, 2, 3, 4, 5, 6, 7),
    # ADGAN's order: background, pants, hair, skirt, face, upper clothes, arm, leg
    "adgan": (0, 4, 1, 5, 2, 3, 6, 7),
    # 10 is jumpsuit in LIP and torso skin in CIHP
    "lip": (0, 1, 1, 6, 2, 3, 3, 3, 7, 4, 3, 3, 5, 2, 6, 6, 7, 7, 7, 7),
    "cihp": (0, 1, 1, 6, 2, 3, 3, 3, 7, 4, 2, 3, 5, 2, 6, 6, 7, 7, 7, 7),
    "atr": (0, 1, 1, 2, 3, 5, 4, 3, 3, 7, 7, 2, 7, 7, 6, 6, 0, 3),
    # SPT's ten: background, face, hair, upper clothes, pants, skirt, left arm, right arm, left leg, right leg
    "spt": (0, 2, 1, 3, 4, 5, 6, 6, 7, 7),
}

LabelMap = NDArray[np.uint8]


def merge(labels: NDArray[np.integer], vocabulary: str) -> LabelMap:
    """The map in our eight labels; ValueError names a label that `vocabulary` does not have."""
    table = np.asarray(MERGE[vocabulary], np.uint8)
    bad = np.unique(labels[(labels < 0) | (labels >= len(table))])
    if bad.size:
        raise ValueError(f"label {int(bad[0])} is not in the vocabulary '{vocabulary}' (0..{len(table) - 1})")
    return table[labels]


def to_png(labels: LabelMap) -> bytes:
    """An indexed PNG that shows our colours; the pixel values are the labels."""
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8), mode="P")
    picture.putpalette(PALETTE.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def from_png(data: bytes) -> LabelMap:
    """(H, W) labels as stored: the palette is ignored."""
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode not in ("P", "L"):
            raise ValueError(f"a label map is an indexed or grey picture, not {picture.mode}")
        return np.array(picture, np.uint8)


def paint(labels: LabelMap) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of the map in our colours."""
    return PALETTE[labels]
