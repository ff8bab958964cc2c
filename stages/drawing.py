"""What a person's annotations look like over the picture: skeleton, heat maps, labels, mask, edges.

Pictures come in and go out as uint8 (H, W, 3) RGB. `scale` enlarges the picture first, so that lines stay sharp.
The same input gives the same pixels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.people.labels import BACKGROUND, PALETTE
from pipeline.people.skeleton import JOINTS, LIMBS, Joints, is_present

Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT: Colour = (38, 166, 154)
RIGHT: Colour = (239, 108, 77)
CENTRE: Colour = (250, 200, 60)
INK: Colour = (22, 24, 30)

# Joints of a lower score are drawn hollow.
SURE_SCORE = 0.3
_SUPERSAMPLING = 4


def colour_of_joint(joint: int) -> Colour:
    """The colour of the body side that the joint belongs to."""
    name = JOINTS[joint]
    return LEFT if name.startswith("left") else RIGHT if name.startswith("right") else CENTRE


def enlarge(image: Bytes, scale: float) -> Bytes:
    """(H * scale, W * scale, 3) RGB; a grey (H, W) picture becomes RGB."""
    picture = Image.fromarray(image).convert("RGB")
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS))


def blank(width: int, height: int) -> Bytes:
    """A dark picture to draw a skeleton on."""
    return np.full((height, width, 3), PALETTE[BACKGROUND], np.uint8)


def draw_skeleton(image: Bytes, joints: Joints, *, scale: float = 1) -> Bytes:
    """The picture with limbs and joints over it: absent joints and their limbs are left out, unsure ones are hollow."""
    shown = enlarge(image, scale)
    height, width = shown.shape[:2]
    fine = _SUPERSAMPLING
    overlay = Image.new("RGBA", (width * fine, height * fine))
    draw = ImageDraw.Draw(overlay)
    there, sure = is_present(joints), joints[:, 2] >= SURE_SCORE
    places = [(float(x), float(y)) for x, y in (joints[:, :2] + 0.5) * scale * fine]
    line_px = max(1.8, height / 100) * fine
    # The dark rim of every limb comes first, so that no rim crosses another limb.
    for rim in (True, False):
        for a, b in LIMBS:
            if there[a] and there[b]:
                thick = line_px * (0.8 if sure[a] and sure[b] else 0.45) + (line_px * 0.7 if rim else 0)
                draw.line([places[a], places[b]], fill=INK if rim else colour_of_joint(b), width=round(thick))
    for joint in np.flatnonzero(there):
        _dot(draw, places[joint], line_px * 1.15, colour_of_joint(int(joint)), filled=bool(sure[joint]))
    picture = Image.fromarray(shown).convert("RGBA")
    picture.alpha_composite(overlay.resize((width, height), Image.Resampling.BOX))
    return np.asarray(picture.convert("RGB"))


def _dot(draw: ImageDraw.ImageDraw, place: tuple[float, float], radius: float, colour: Colour, *, filled: bool) -> None:
    x, y = place
    rim = radius * 0.32
    if filled:
        draw.ellipse((x - radius - rim, y - radius - rim, x + radius + rim, y + radius + rim), fill=INK)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    wide, inner = radius * 1.35, radius * 1.2
    draw.ellipse((x - wide, y - wide, x + wide, y + wide), outline=INK, width=round(radius * 0.72))
    draw.ellipse((x - inner, y - inner, x + inner, y + inner), outline=colour, width=round(radius * 0.42))


def draw_heat(image: Bytes, heat: Bytes, colour: Colour) -> Bytes:
    """A dimmed grey picture with one heat map (H, W), 255 = peak, glowing in `colour`; the very peak is white."""
    grey = np.asarray(Image.fromarray(image).convert("L"), np.float32)[..., None] * 0.42 + 10
    warm = (heat.astype(np.float32) / 255)[..., None]
    glow = np.asarray(colour, np.float32) * (1 - warm**6) + 255 * warm**6
    return _to_bytes(grey * (1 - warm**0.7) + glow * warm**0.7)


def draw_labels(labels: Bytes, image: Bytes | None = None, *, opacity: float = 0.7) -> Bytes:
    """The label map (H, W) in its palette; over the picture where one is given, the background left clear."""
    painted = PALETTE[labels]
    if image is None:
        return painted
    share = np.where(labels == BACKGROUND, 0.0, opacity)[..., None]
    return _to_bytes(image * (1 - share) + painted * share)


def draw_mask(image: Bytes, mask: Bytes) -> Bytes:
    """The picture inside the mask (H, W), 1 = body; a pale grey ghost of it outside."""
    grey = np.asarray(Image.fromarray(image).convert("L"), np.float32)[..., None]
    return np.where(mask[..., None] > 0, image, _to_bytes(grey * 0.22 + 190)).astype(np.uint8)


def beside(*images: Bytes, gap_px: int = 2) -> Bytes:
    """Pictures of one height in a row, with a thin white gap."""
    gap = np.full((images[0].shape[0], gap_px, 3), 255, np.uint8)
    parts = [part for image in images for part in (gap, enlarge(image, 1))]
    return np.concatenate(parts[1:], axis=1)


def _to_bytes(values: NDArray[np.floating]) -> Bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
