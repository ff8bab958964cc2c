"""What stands behind the people: a studio sweep, walls, textures, soft discs."""

from dataclasses import dataclass

import numpy as np

from pipeline.render.bodies import Floats
from pipeline.render.patterns import Colour, noise

BACKDROPS = ("sweep", "plain", "wall", "plaster", "bricks", "planks", "discs", "stripes", "tiles", "clutter")


@dataclass(frozen=True)
class Backdrop:
    """A kind of background with its colours (0..1 RGB); `floor` is where the wall meets it, 0 top to 1 bottom."""

    kind: str
    wall: Colour
    ground: Colour
    accent: Colour
    floor: float = 0.86
    seed: int = 0


def paint(backdrop: Backdrop, width: int, height: int) -> Floats:
    """(height, width, 3) 0..1."""
    rng = np.random.default_rng([13, backdrop.seed])
    x, y = np.meshgrid((np.arange(width) + 0.5) / height, (np.arange(height) + 0.5) / height)
    wall, ground, accent = (np.array(c, np.float32) for c in (backdrop.wall, backdrop.ground, backdrop.accent))
    picture: Floats = np.tile(wall, (height, width, 1))
    if backdrop.kind in ("bricks", "tiles"):
        across, up = (0.11, 0.045) if backdrop.kind == "bricks" else (0.12, 0.12)
        row = np.floor(y / up)
        u, v = (x / across + (0.5 * (row % 2) if backdrop.kind == "bricks" else 0)) % 1, (y / up) % 1
        tone = _cells(np.floor(x / across + 0.5 * (row % 2)), row, backdrop.seed)
        picture = wall * (0.88 + 0.24 * tone)[..., None]
        joint = (u < 0.05) | (v < (0.11 if backdrop.kind == "bricks" else 0.05))
        picture = np.where(joint[..., None], accent, picture)
    elif backdrop.kind == "planks":
        board = np.floor(x / 0.085)
        tone = _cells(board, board * 0, backdrop.seed)
        grain = noise(
            np.stack([x.ravel() * 70, y.ravel() * 5 + board.ravel() * 7], 1).astype(np.float32), backdrop.seed
        )
        picture = wall * (0.85 + 0.25 * tone + 0.06 * grain.reshape(x.shape))[..., None]
        picture = np.where(((x / 0.085) % 1 < 0.04)[..., None], wall * 0.55, picture)
    elif backdrop.kind in ("plaster", "clutter"):
        points = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
        field = 0.6 * noise(points * 7, backdrop.seed) + 0.4 * noise(points * 23, backdrop.seed + 1)
        picture = wall + (accent - wall) * np.clip(0.5 + 0.35 * field, 0, 1).reshape(x.shape)[..., None] * 0.6
    elif backdrop.kind == "stripes":
        band = ((x * rng.uniform(4, 10) + y * rng.uniform(-1, 1)) % 1) < 0.5
        picture = np.where(band[..., None], wall, wall + 0.35 * (accent - wall))
    if backdrop.kind in ("discs", "clutter"):
        picture = _shapes(picture, x, y, rng, round_only=backdrop.kind == "discs")
    return _with_floor(picture, backdrop, ground, y).astype(np.float32)


def _with_floor(picture: Floats, backdrop: Backdrop, ground: Floats, y: Floats) -> Floats:
    if backdrop.kind == "plain":
        return picture
    if backdrop.kind == "sweep":
        share = np.clip((y - backdrop.floor + 0.22) / 0.40, 0, 1)
        share = share * share * (3 - 2 * share)
        light = 1.04 - 0.16 * np.abs(y - 0.42)
        return np.clip((picture + (ground - picture) * share[..., None]) * light[..., None], 0, 1)
    below = np.clip((y - backdrop.floor) * 180, 0, 1)[..., None]
    depth = (0.82 + 0.30 * np.clip((y - backdrop.floor) / 0.2, 0, 1))[..., None]
    return np.clip(picture * (1 - below) + ground * depth * below, 0, 1)


def _shapes(picture: Floats, x: Floats, y: Floats, rng: np.random.Generator, round_only: bool) -> Floats:
    for _ in range(14):
        centre, size = rng.uniform([0, 0], [0.7, 1.0]), rng.uniform(0.04, 0.17)
        colour, strength = rng.uniform(0.1, 1.0, 3).astype(np.float32), rng.uniform(0.25, 0.7)
        if round_only or rng.random() < 0.4:
            distance = np.hypot(x - centre[0], y - centre[1]) - size
        else:
            distance = np.maximum(np.abs(x - centre[0]) - size * rng.uniform(0.3, 1.5), np.abs(y - centre[1]) - size)
        cover = np.clip(0.5 - distance / rng.uniform(0.004, 0.06), 0, 1) * strength
        picture = picture + (colour - picture) * cover[..., None]
    return picture


def _cells(u: Floats, v: Floats, seed: int) -> Floats:
    mixed = np.sin(u * 12.9898 + v * 78.233 + seed * 3.17) * 43758.5453
    return mixed - np.floor(mixed)
