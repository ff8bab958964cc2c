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

# The vocabularies of the field: what each of their labels is called, in the order of their numbers, and which of our
# labels it becomes. Left and right are the person's.
Vocabulary = tuple[tuple[str, int], ...]


def _table_of_20(label_10: tuple[str, int]) -> Vocabulary:
    """LIP and CIHP differ in one label."""
    return (
        ("background", BACKGROUND), ("hat", HAIR), ("hair", HAIR), ("glove", ARM), ("sunglasses", FACE),
        ("upper clothes", UPPER_CLOTHES), ("dress", UPPER_CLOTHES), ("coat", UPPER_CLOTHES), ("socks", LEG),
        ("pants", PANTS), label_10, ("scarf", UPPER_CLOTHES), ("skirt", SKIRT), ("face", FACE), ("left arm", ARM),
        ("right arm", ARM), ("left leg", LEG), ("right leg", LEG), ("left shoe", LEG), ("right shoe", LEG),
    )  # fmt: skip


VOCABULARIES: dict[str, Vocabulary] = {
    "ours": tuple((name.replace("_", " "), label) for label, name in enumerate(LABELS)),
    # semantic_merge3
    "adgan": (
        ("background", BACKGROUND), ("pants", PANTS), ("hair", HAIR), ("skirt", SKIRT), ("face", FACE),
        ("upper clothes", UPPER_CLOTHES), ("arm", ARM), ("leg", LEG),
    ),
    "lip": _table_of_20(("jumpsuit", UPPER_CLOTHES)),
    "cihp": _table_of_20(("torso skin", FACE)),
    "atr": (
        ("background", BACKGROUND), ("hat", HAIR), ("hair", HAIR), ("sunglasses", FACE),
        ("upper clothes", UPPER_CLOTHES), ("skirt", SKIRT), ("pants", PANTS), ("dress", UPPER_CLOTHES),
        ("belt", UPPER_CLOTHES), ("left shoe", LEG), ("right shoe", LEG), ("face", FACE), ("left leg", LEG),
        ("right leg", LEG), ("left arm", ARM), ("right arm", ARM), ("bag", BACKGROUND), ("scarf", UPPER_CLOTHES),
    ),
    "spt": (
        ("background", BACKGROUND), ("face", FACE), ("hair", HAIR), ("upper clothes", UPPER_CLOTHES), ("pants", PANTS),
        ("skirt", SKIRT), ("left arm", ARM), ("right arm", ARM), ("left leg", LEG), ("right leg", LEG),
    ),
    # The files of SPL8 as they are distributed; they do not tell legs from arms, nor pants from skirts.
    "pise": (
        ("background", BACKGROUND), ("hat", HAIR), ("hair", HAIR), ("upper clothes", UPPER_CLOTHES),
        ("lower clothes", PANTS), ("more lower clothes", PANTS), ("skin", ARM), ("face", FACE),
    ),
    # SPL8 by the merge table that PISE's authors name, which their files do not follow
    "pise_table": (
        ("background", BACKGROUND), ("hair", HAIR), ("upper clothes", UPPER_CLOTHES), ("lower clothes", PANTS),
        ("shoes", LEG), ("face", FACE), ("arm", ARM), ("leg", LEG),
    ),
    "casd": (
        ("background", BACKGROUND), ("lower clothes", PANTS), ("hair", HAIR), ("glove", ARM), ("face", FACE),
        ("upper clothes", UPPER_CLOTHES), ("arm", ARM), ("leg", LEG),
    ),
}  # fmt: skip

# How a vocabulary maps onto ours: index = their label, value = ours.
MERGE = {key: tuple(ours for _, ours in rows) for key, rows in VOCABULARIES.items()}

# Which of their labels stands for each of ours where maps are written; SPT's limbs are told apart by the joints.
WRITTEN = {
    "adgan": ("background", "hair", "face", "upper clothes", "pants", "skirt", "arm", "leg"),
    "pise": ("background", "hair", "face", "upper clothes", "lower clothes", "more lower clothes", "skin", "skin"),
    "spt": ("background", "hair", "face", "upper clothes", "pants", "skirt", "left arm", "left leg"),
}

LabelMap = NDArray[np.uint8]


def merge(labels: NDArray[np.integer], vocabulary: str) -> LabelMap:
    """The map in our eight labels; ValueError names a label that `vocabulary` does not have."""
    table = np.asarray(MERGE[vocabulary], np.uint8)
    bad = np.unique(labels[(labels < 0) | (labels >= len(table))])
    if bad.size:
        raise ValueError(f"label {int(bad[0])} is not in the vocabulary '{vocabulary}' (0..{len(table) - 1})")
    return table[labels]


def write_as(labels: LabelMap, vocabulary: str) -> LabelMap:
    """Our map in the numbers of a vocabulary of WRITTEN."""
    names = [name for name, _ in VOCABULARIES[vocabulary]]
    return np.array([names.index(name) for name in WRITTEN[vocabulary]], np.uint8)[labels]


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
