"""A caption strip under what the commands draw: one line of text below each picture."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stages.drawing import INK, Bytes

STRIP_PX = 20
_PAPER = (250, 249, 246)
_FONT_PX = 12


def captioned(image: Bytes, caption: str) -> Bytes:
    """(H + 20, W, 3): the picture, and the caption below it on paper; of a long one the end is left out."""
    font = ImageFont.load_default(_FONT_PX)
    text = "".join(letter if letter.isprintable() else "·" for letter in caption)
    room, shown = image.shape[1] - 8, text
    while len(text) > 1 and font.getlength(shown) > room:
        text = text[:-1]
        shown = f"{text}…"
    strip = Image.new("RGB", (image.shape[1], STRIP_PX), _PAPER)
    left = max(4, round((image.shape[1] - font.getlength(shown)) / 2))
    ImageDraw.Draw(strip).text((left, (STRIP_PX - _FONT_PX) // 2 - 1), shown, INK, font)
    return np.concatenate([image, np.asarray(strip)])
