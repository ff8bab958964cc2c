"""Label maps that come with pictures: indexed or grey PNG, or .npy, in one of the field's vocabularies."""

import io
import warnings

import numpy as np
from PIL import Image

from pipeline.errors import BadItem
from pipeline.people.labels import BACKGROUND, LabelMap, from_png, merge

# Folders of label maps, wherever they lie in raw; the last ones are MPV's and PISE's.
FOLDERS = ("labels", "labels8", "parsing", "semantic_merge3", "parse_cihp", "trainspl8", "valspl8", "testspl8")
SUFFIXES = (".png", ".npy")

# The field's two sizes (width, height) of one picture: the narrow one is the wide one's columns 40..215.
_NARROW, _WIDE = (176, 256), (256, 256)
_BORDER = (_WIDE[0] - _NARROW[0]) // 2


def decode_labels(data: bytes, path: str, *, vocabulary: str, size: tuple[int, int]) -> LabelMap:
    """(H, W) in our eight labels for a picture of `size` (width, height); `path` tells the format.

    Of the field's two sizes, 176x256 and 256x256 with borders, either fits a picture of the other. BadItem names file,
    value and remedy.
    """
    try:
        is_array = path.lower().endswith(".npy")
        # From the header: nothing is decoded of a map that is far larger than its picture.
        found = _npy_size(data) if is_array else _png_size(data)
        if found != size and {found, size} != {_NARROW, _WIDE}:
            sizes = f"{found[0]}x{found[1]}, its picture {size[0]}x{size[1]}"
            raise BadItem(f"{path}: the label map is {sizes}; they must be of one size")
        return _fit(merge(_from_npy(data) if is_array else from_png(data), vocabulary), size)
    except BadItem:
        raise
    # As with pictures, a decoder may raise nearly anything on damaged bytes.
    except Exception as error:
        raise BadItem(f"{path}: {error}; mend the map, or set ingest.vocabulary to the one it is written in") from error


def _fit(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """The map itself, or the middle columns of it, or it between borders of background."""
    if labels.shape[1] == size[0]:
        return labels
    if size == _NARROW:
        return labels[:, _BORDER:-_BORDER]
    return np.pad(labels, ((0, 0), (_BORDER, _BORDER)), constant_values=BACKGROUND)


def _png_size(data: bytes) -> tuple[int, int]:
    """(width, height); ValueError when this is no PNG."""
    try:
        with warnings.catch_warnings():
            # Of sizes that would be too much to decode; this one is compared with the picture's first.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
                return picture.size
    except Image.UnidentifiedImageError:
        raise ValueError(f"not a PNG: the file begins with {data[:16]!r}") from None


def _npy_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a two-dimensional array of numbers; ValueError when this is none."""
    stream, form = io.BytesIO(data), np.lib.format
    try:
        is_first = form.read_magic(stream) == (1, 0)
        shape, _, kind = (form.read_array_header_1_0 if is_first else form.read_array_header_2_0)(stream)
    except ValueError:
        raise ValueError(f"not an array of NumPy's: the file begins with {data[:16]!r}") from None
    if len(shape) != 2:
        raise ValueError(f"a label map has two dimensions, not {shape}")
    # An array of objects is a pickle, which could run anything.
    if kind.kind not in "iufb":
        raise ValueError(f"labels are whole numbers, not {kind}")
    return shape[1], shape[0]


def _from_npy(data: bytes) -> LabelMap:
    """Whole numbers 0..255; never runs a pickle."""
    labels = np.load(io.BytesIO(data), allow_pickle=False)
    if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
        raise ValueError(f"labels are whole numbers, not {labels.dtype}")
    if (bad := labels[(labels < 0) | (labels > 255)]).size:
        raise ValueError(f"{int(bad[0])} is no label of any vocabulary")
    return labels.astype(np.uint8)
