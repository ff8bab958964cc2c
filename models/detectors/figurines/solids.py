"""The few solids that figurines are put together from: points (V, 3) and triangles (F, 3) of each.

Around a vertical axis y; a turn of 0 degrees is the front (+z), positive turns go to +x.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.render.bodies import Floats, Ints
from pipeline.render.vectors import unit

Shape = tuple[Floats, Ints]
Triple = tuple[float, float, float]


def rounded(radii: Triple, roundness: float, cells: int, taper: float = 0.0) -> Shape:
    """An ellipsoid (`roundness` 1) or a box with round edges (towards 0), by `taper` narrower above than below."""
    rise = np.radians(np.linspace(90, -90, cells // 2 + 1))
    return _net(_swept(rise, roundness, cells) * np.array(radii) * _narrowed(rise, taper))


def limb(half: float, widths: tuple[float, float], roundness: float, cells: int) -> Shape:
    """A limb along y of half-length `half`, half as wide as `widths` below and above; its ends reach further."""
    middle = (widths[0] + widths[1]) / 2
    taper = (widths[0] - widths[1]) / (2 * middle)
    return rounded((middle, half + middle / 2, middle), roundness, cells, taper)


def lathe(profile: list[tuple[float, float]], cells: int, oval: float = 1.0, bend: float = 0.0) -> Shape:
    """What turns the profile of radii and heights about the axis; `oval` is depth by width, `bend` moves its top."""
    radius, height = np.array(profile).T
    turn = np.radians(np.linspace(-180, 180, cells + 1))
    top = np.clip(height / max(height.max(), 1e-6), 0, 1)
    x = radius[:, None] * np.sin(turn) + bend * top[:, None] ** 2
    z = radius[:, None] * np.cos(turn) * oval - abs(bend) * top[:, None] ** 2
    return _net(np.stack([x, np.broadcast_to(height[:, None], x.shape), z], axis=-1))


def cap(radii: Triple, roundness: float, cells: int, opening_deg: float, brow: float, drop: float) -> Shape:
    """The upper half of a rounded solid that hangs straight down from there by `drop` of its height.

    It is open in front, `opening_deg` to either side, below `brow` (-1..1 of the height): hair, a hood or a helmet.
    """
    dome = _swept(np.radians(np.linspace(90, 0, cells // 2 + 1)), roundness, cells)
    levels = np.linspace(0, -drop, max(2, cells // 2))[1:]
    hanging = np.repeat(dome[-1:], len(levels), axis=0)
    hanging[..., 1] = levels[:, None]
    points, faces = _net(np.concatenate([dome, hanging]))
    # The two triangles of a cell stay or go together.
    centre = np.tile(points[faces].mean(axis=1).reshape(2, -1, 3).mean(axis=0), (2, 1))
    turn = np.degrees(np.arctan2(np.abs(centre[:, 0]), centre[:, 2]))
    return points * np.array(radii), faces[~((turn < opening_deg) & (centre[:, 1] < brow))]


def cape(widths: tuple[float, float], length: float, depth: float, swing: float, wrap_deg: float) -> Shape:
    """Cloth that hangs behind from the shoulders (0, 0, 0): half-widths above and below, `swing` how far it blows."""
    turn = np.radians(np.linspace(-wrap_deg, wrap_deg, 13))
    down = np.linspace(0, 1, 9)[:, None]
    width = widths[0] + (widths[1] - widths[0]) * down**0.7
    x = width * np.sin(turn)
    z = -(depth * (1 + 0.4 * down)) * (0.35 + 0.65 * np.cos(turn)) - swing * down**1.5
    return _net(np.stack([x, np.broadcast_to(-length * down, x.shape), z], axis=-1))


def frame_along(direction: Floats) -> Floats:
    """(3, 3) columns that carry y to the direction and turn x and z as little as that needs."""
    along = unit(np.asarray(direction, np.float64)[None])[0]
    near = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    side = unit(np.cross(along, near)[None])[0]
    return np.stack([side, along, np.cross(side, along)], axis=1)


def _swept(rise: Floats, roundness: float, cells: int) -> Floats:
    """(rows, columns, 3) the unit superellipsoid at the given latitudes."""
    turn = np.radians(np.linspace(-180, 180, cells + 1))

    def shaped(values: Floats) -> Floats:
        return np.sign(values) * np.abs(values) ** roundness

    across = shaped(np.cos(rise))[:, None]
    up = np.broadcast_to(shaped(np.sin(rise))[:, None], (len(rise), len(turn)))
    return np.stack([across * shaped(np.sin(turn)), up, across * shaped(np.cos(turn))], axis=-1)


def _narrowed(rise: Floats, taper: float) -> Floats:
    share = 1 - taper * np.sin(rise)
    return np.stack([share, np.ones_like(share), share], axis=-1)[:, None]


def _net(points: Floats) -> Shape:
    """The triangles between the neighbours of a net of points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    number: NDArray[np.intp] = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, :-1].ravel(), number[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    return points.reshape(-1, 3).astype(np.float32), faces
