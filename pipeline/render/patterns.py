"""Cloth: its colours and pattern, painted in coordinates that are fixed to the body at rest, so they move with it."""

import itertools
from dataclasses import dataclass

import numpy as np

from pipeline.render.bodies import Floats
from pipeline.render.vectors import row

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Cloth:
    """Colours are 0..1 RGB; `scale` is the size of the pattern in metres.

    Patterns: plain, stripes, pinstripes, checks, gingham, dots, flowers, logo, denim, melange, camouflage, blocks, and
    border, which follows the edges of the garment.
    """

    pattern: str
    colour: Colour
    second: Colour
    third: Colour
    scale: float = 0.04
    seed: int = 0


def paint(cloth: Cloth, across: Floats, along: Floats, place: Floats) -> Floats:
    """(N, 3) colours at points whose pattern coordinates are `across` and `along` in metres."""
    first, second, third = (row(*colour) for colour in (cloth.colour, cloth.second, cloth.third))
    out: Floats = np.tile(first, (len(along), 1))
    u, v = across / cloth.scale, along / cloth.scale
    if cloth.pattern == "stripes":
        out[_fraction(v) < 0.42] = second
    elif cloth.pattern == "pinstripes":
        out[_fraction(u * 1.6) < 0.16] = second
    elif cloth.pattern == "checks":
        a, b = _fraction(u) < 0.5, _fraction(v) < 0.5
        out = np.where((a & b)[:, None], second, np.where((a | b)[:, None], (first + second) / 2, out))
        out[(_fraction(u + 0.25) < 0.07) | (_fraction(v + 0.25) < 0.07)] = third
    elif cloth.pattern == "gingham":
        share = ((_fraction(u) < 0.5).astype(np.float32) + (_fraction(v) < 0.5)) / 2
        out = first + (second - first) * share[:, None]
    elif cloth.pattern == "dots":
        stagger = 0.5 * (np.floor(v) % 2)
        distance = np.hypot(_fraction(u + stagger) - 0.5, _fraction(v) - 0.5)
        out[distance < 0.27] = second
    elif cloth.pattern == "flowers":
        out = _flowers(out, u, v, cloth.seed, second, third)
    elif cloth.pattern == "logo":
        out = _logo(out, place, cloth.seed, second, third)
    elif cloth.pattern == "denim":
        wear = 0.16 * noise(place * 9, cloth.seed) + 0.12 * noise(place * 300, cloth.seed + 1)
        out = out * (1 + wear)[:, None]
    elif cloth.pattern == "melange":
        out = out * (1 + 0.22 * noise(place * row(150, 300, 150), cloth.seed))[:, None]
    elif cloth.pattern == "camouflage":
        field = noise(place / np.float32(cloth.scale) * 1.3, cloth.seed)
        out = np.where((field > 0.35)[:, None], second, np.where((field < -0.4)[:, None], third, out))
    elif cloth.pattern == "blocks":
        out = np.where((place[:, 1] > 0.36)[:, None], second, out)
        out[np.abs(place[:, 1] - 0.36) < 0.012] = third
    return out.astype(np.float32)


def noise(points: Floats, seed: int) -> Floats:
    """(N) a smooth random field in -1..1 with features of about one unit: values on a grid, interpolated."""
    table = np.random.default_rng([7, seed]).uniform(-1, 1, 4096).astype(np.float32)
    cell = np.floor(points).astype(np.int64)
    share = (points - cell).astype(np.float32)
    share = share * share * (3 - 2 * share)
    steps = np.array([1, 157, 1231][: points.shape[1]])
    start = cell @ steps
    out = np.zeros(len(points), np.float32)
    for corner in itertools.product((0, 1), repeat=points.shape[1]):
        weight = np.ones(len(points), np.float32)
        for axis, upper in enumerate(corner):
            weight *= share[:, axis] if upper else 1 - share[:, axis]
        out += weight * table[(start + int(np.dot(corner, steps))) & 4095]
    return out


def _fraction(value: Floats) -> Floats:
    return value - np.floor(value)


def _cell_random(u: Floats, v: Floats, seed: int, salt: int) -> Floats:
    """(N) 0..1, one number per unit cell."""
    mixed = np.sin(np.floor(u) * 127.1 + np.floor(v) * 311.7 + seed * 74.7 + salt * 19.3) * 43758.547
    return (mixed - np.floor(mixed)).astype(np.float32)


def _flowers(out: Floats, u: Floats, v: Floats, seed: int, petal: Floats, heart: Floats) -> Floats:
    x = _fraction(u) - 0.5 - 0.3 * (_cell_random(u, v, seed, 1) - 0.5)
    y = _fraction(v) - 0.5 - 0.3 * (_cell_random(u, v, seed, 2) - 0.5)
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + 6 * _cell_random(u, v, seed, 3)
    out = out.copy()
    out[radius < 0.30 + 0.09 * np.cos(5 * angle)] = petal
    out[radius < 0.11] = heart
    return out


def _logo(out: Floats, place: Floats, seed: int, ink: Floats, other: Floats) -> Floats:
    """A print on the chest: ring, star, bars or triangle."""
    x, y = place[:, 0] / 0.062, (place[:, 1] - 0.375) / 0.062
    front = place[:, 2] > 0.05
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    kind = seed % 4
    if kind == 0:
        shape, core = (radius < 1) & (radius > 0.7), radius < 0.45
    elif kind == 1:
        shape, core = radius < 0.62 + 0.38 * np.cos(5 * angle), radius < 0.25
    elif kind == 2:
        shape, core = (np.abs(x) < 1.2) & (np.abs(y) < 0.7) & (_fraction(y * 2.2) < 0.6), np.zeros(len(x), bool)
    else:
        shape, core = (y > -0.7) & (y < 1 - 1.7 * np.abs(x)), (y > -0.45) & (y < 0.45 - 1.7 * np.abs(x))
    out = out.copy()
    out[front & shape] = ink
    out[front & core] = other
    return out
