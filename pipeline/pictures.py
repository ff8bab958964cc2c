"""Pictures as bytes and as arrays."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]


def decode(data: bytes) -> Bytes:
    """(H, W, 3) RGB of one of our own files."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture.convert("RGB"))


def decode_grey(data: bytes) -> Bytes:
    """(H, W) grey of one of our own files."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture.convert("L"))


def encode_png(picture: Bytes) -> bytes:
    """PNG bytes of (H, W, 3) RGB or (H, W) grey; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
