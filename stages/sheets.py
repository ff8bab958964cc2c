"""Contact sheets: some pictures of a stage on one page, the same page for the same input.

    ids = choose(pictures)
    write_sheet(path, "Key points · source", [skeletons(images, joints), heat_maps(image, heatmaps)])

A sheet is a title and sections; a section is a heading, tiles in columns and a legend.
"""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.people.labels import LABELS, PALETTE
from pipeline.people.skeleton import JOINTS, Joints, is_present
from stages.drawing import (
    CENTRE,
    INK,
    LEFT,
    RIGHT,
    SURE_SCORE,
    Bytes,
    Colour,
    beside,
    blank,
    colour_of_joint,
    draw_heat,
    draw_labels,
    draw_skeleton,
)

Legend = tuple[tuple[str, Colour], ...]
Choice = TypeVar("Choice", str, int, tuple[str, str])

SIDES: Legend = (("left", LEFT), ("right", RIGHT), ("middle", CENTRE))
CLASSES: Legend = tuple((name.replace("_", " "), tuple(map(int, PALETTE[i]))) for i, name in enumerate(LABELS))  # type: ignore[misc]

PAPER: Colour = (250, 249, 246)
TEXT: Colour = INK
FAINT: Colour = (116, 118, 126)
_MARGIN, _GAP, _CAPTION = 28, 10, 18
_WIDEST = 5.0


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet, uint8 (H, W, 3) or (H, W), and the line under it."""

    image: Bytes
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """Tiles of one height in columns, under a heading."""

    tiles: Sequence[Tile]
    heading: str = ""
    columns: int = 8
    tile_height_px: int = 256
    legend: Legend = ()


def choose(ids: Iterable[Choice], count: int = 24) -> list[Choice]:
    """At most `count` ids, evenly over the sorted ones, the first and the last among them."""
    ordered = sorted(ids)
    if len(ordered) <= count:
        return ordered
    return [ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, count)]


def pictures(images: Mapping[str, Bytes], heading: str = "") -> Section:
    """Each picture by its id."""
    return Section([Tile(image, name) for name, image in images.items()], heading)


def skeletons(images: Mapping[str, Bytes], joints: Mapping[str, Joints], heading: str = "") -> Section:
    """Each picture with its joints (18, 3) drawn over it; the caption says how many there are."""
    tiles = [
        Tile(draw_skeleton(image, joints[name]), f"{name} · {int(is_present(joints[name]).sum())}/{len(JOINTS)}")
        for name, image in images.items()
    ]
    return Section(tiles, heading or f"hollow: score below {SURE_SCORE}", legend=SIDES)


def heat_maps(image: Bytes, heatmaps: Bytes, heading: str = "Heat maps", joints: Joints | None = None) -> Section:
    """The 18 heat maps (18, H, W), 255 = peak, over the picture, nine in a row; with `joints` the scores are named."""
    tiles = []
    for joint, name in enumerate(JOINTS):
        label = name.replace("_", " ")
        if not heatmaps[joint].any():
            label = f"no {label}"
        elif joints is not None:
            label += f" {joints[joint, 2]:.2f}"
        tiles.append(Tile(draw_heat(image, heatmaps[joint], colour_of_joint(joint)), label))
    return Section(tiles, heading, columns=9, tile_height_px=192)


def label_maps(images: Mapping[str, Bytes], labels: Mapping[str, Bytes], heading: str = "") -> Section:
    """Each picture, its label map over it, and the map alone."""
    tiles = [
        Tile(beside(image, draw_labels(labels[name], image), draw_labels(labels[name])), name)
        for name, image in images.items()
    ]
    return Section(tiles, heading, columns=4, legend=CLASSES)


def edge_maps(images: Mapping[str, Bytes], edges: Mapping[str, Bytes], heading: str = "") -> Section:
    """Each picture beside its edge map (H, W), dark on white."""
    return Section([Tile(beside(image, edges[name]), name) for name, image in images.items()], heading, columns=6)


def pair_rows(
    images: Mapping[str, Bytes], joints: Mapping[str, Joints], pairs: Sequence[tuple[str, str]], heading: str = ""
) -> Section:
    """Each pair (from, to): source, target pose, target."""
    tiles = []
    for source, target in pairs:
        height, width = images[target].shape[:2]
        pose = draw_skeleton(blank(width, height), joints[target])
        tiles.append(Tile(beside(images[source], pose, images[target]), f"{source} → {target}"))
    return Section(tiles, heading or "source · target pose · target", columns=4)


def contact_sheet(title: str, sections: Sequence[Section], *, subtitle: str = "", scale: float = 1) -> Image.Image:
    """The sheet as an RGB picture; `scale` shrinks the tiles, not the letters."""
    blocks = [_draw_section(section, scale) for section in sections if section.tiles]
    head = 64 if subtitle else 46
    width = max([block.width for block in blocks] + [420]) + 2 * _MARGIN
    height = 2 * _MARGIN + head + sum(block.height + 2 * _GAP for block in blocks) - 2 * _GAP * bool(blocks)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    big, small = _font(23, bold=True), _font(13)
    draw.text((_MARGIN, _MARGIN - 4), _fit(title, big, width - 2 * _MARGIN), TEXT, big)
    draw.text((_MARGIN, _MARGIN + 32), _fit(subtitle, small, width - 2 * _MARGIN), FAINT, small)
    top = _MARGIN + head
    for block in blocks:
        sheet.paste(block, (_MARGIN, top))
        top += block.height + 2 * _GAP
    if not blocks:
        draw.text((_MARGIN, top - 14), "nothing to show", FAINT, small)
    return sheet


def write_sheet(
    path: Path, title: str, sections: Sequence[Section], *, subtitle: str = "", max_bytes: int = 1_000_000
) -> None:
    """Write the sheet as PNG, atomically; tiles shrink until the file is no larger than `max_bytes`."""
    for scale in (1, 0.85, 0.72, 0.6, 0.5, 0.4, 0.3, 0.2):
        data = _packed(contact_sheet(title, sections, subtitle=subtitle, scale=scale), max_bytes)
        if len(data) <= max_bytes:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    os.replace(partial, path)


def _packed(sheet: Image.Image, max_bytes: int) -> bytes:
    """The sheet as PNG: packed quickly, or where that is too large thoroughly."""
    for level in (3, 6):
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG", compress_level=level)
        if buffer.tell() <= max_bytes:
            break
    return buffer.getvalue()


def _draw_section(section: Section, scale: float) -> Image.Image:
    tile_height = max(8, round(section.tile_height_px * scale))
    aspect = max(tile.image.shape[1] / tile.image.shape[0] for tile in section.tiles)
    tile_width = max(8, round(tile_height * min(aspect, _WIDEST)))
    columns = min(section.columns, len(section.tiles))
    rows = -(-len(section.tiles) // section.columns)
    head = 28 if section.heading or section.legend else 0
    row_height = tile_height + _GAP + (_CAPTION if any(tile.caption for tile in section.tiles) else 0)
    legend_end = _legend_width(section)
    width = max(columns * (tile_width + _GAP) - _GAP, legend_end)
    block = Image.new("RGB", (width, head + rows * row_height - _GAP), PAPER)
    draw = ImageDraw.Draw(block)
    if head:
        _draw_head(draw, section)
    for index, tile in enumerate(section.tiles):
        left = (index % section.columns) * (tile_width + _GAP)
        top = head + (index // section.columns) * row_height
        picture = _contain(tile.image, tile_width, tile_height)
        block.paste(picture, (left + (tile_width - picture.width) // 2, top + (tile_height - picture.height) // 2))
        draw.text((left, top + tile_height + 3), _fit(tile.caption, _font(11), tile_width), FAINT, _font(11))
    return block


def _draw_head(draw: ImageDraw.ImageDraw, section: Section) -> None:
    draw.text((0, 2), section.heading, TEXT, _font(13, bold=True))
    left = _heading_width(section)
    for name, colour in section.legend:
        draw.rounded_rectangle((left, 4, left + 12, 16), 3, fill=colour, outline=INK)
        draw.text((left + 18, 3), name, TEXT, _font(12))
        left += _entry_width(name)


def _heading_width(section: Section) -> int:
    return round(_font(13, bold=True).getlength(section.heading)) + 20 if section.heading else 0


def _entry_width(name: str) -> int:
    return 18 + round(_font(12).getlength(name)) + 18


def _legend_width(section: Section) -> int:
    return _heading_width(section) + sum(_entry_width(name) for name, _ in section.legend)


def _contain(image: Bytes, width: int, height: int) -> Image.Image:
    """The whole picture, scaled to fit into the box."""
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    ratio = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


@cache
def _font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: there wherever the project runs. matplotlib itself is not imported."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text on one line, no wider than `width`: the middle gives way, since ids differ at their ends."""
    text = "".join(letter if letter.isprintable() else "·" for letter in text)
    kept = len(text)
    short = text
    while kept > 1 and font.getlength(short) > width:
        kept -= 1
        head = kept // 3
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
    return short
