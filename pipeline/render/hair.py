"""Hair: a shell grown over the skull of the base mesh that leaves the face free, plus buns, tails and spikes."""

import functools
from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from scipy.spatial import ConvexHull

from pipeline.render.bodies import Floats, Ints, template
from pipeline.render.patterns import Colour

CENTRE = np.array([0.0, 0.745, 0.05], np.float32)
COLUMNS, ROWS = 120, 64
HANG_ROW_SHARE = 0.45  # of the rows belong to the skull, the others hang
# The edge of hair on skin: height at an angle from the front (0) over the ear (90) to the nape (180).
HAIRLINE = (
    (0, 15, 30, 45, 58, 70, 80, 100, 112, 125, 150, 180),
    (0.805, 0.804, 0.800, 0.788, 0.766, 0.742, 0.715, 0.738, 0.725, 0.690, 0.662, 0.656),
)


@dataclass(frozen=True)
class Hair:
    """A haircut; lengths in metres of the base mesh."""

    style: str  # bald | crop | short | bob | long | bun | ponytail | twin | afro | spiky
    colour: Colour
    fringe: float = 0.0  # how far the front hairline is lowered, 0..0.055
    volume: float = 0.015
    ends: float = 0.60  # height where hanging hair ends (bob, long)
    seed: int = 0
    strands: float = 0.10  # how much locks stand out


@dataclass(frozen=True)
class HairMesh:
    """Hair at places of the base mesh; per vertex degrees from the front, and 0 on the skull, 1 hanging, 2 pinned."""

    places: Floats
    faces: Ints
    angle: Floats
    hanging: Floats


def hairline(angle_deg: Floats, fringe: float) -> Floats:
    """(N) the height of the edge of the hair on the skin."""
    line = np.interp(np.abs(angle_deg), *HAIRLINE) + 0.0025 * np.sin(angle_deg / 11.0) * (np.abs(angle_deg) < 60)
    return (line - fringe * np.clip((62 - np.abs(angle_deg)) / 12, 0, 1)).astype(np.float32)


def angle_of(place: Floats) -> Floats:
    """(N) degrees about the vertical through the head, 0 in front, positive to the person's left."""
    return np.degrees(np.arctan2(place[:, 0], place[:, 2] - CENTRE[2])).astype(np.float32)


def hangs(hair: Hair) -> bool:
    """Whether the style has hair that hangs below the skull."""
    return hair.style in ("bob", "long")


def inside(hair: Hair, angle: Floats, hanging: Floats, place: Floats) -> Floats:
    """(N) above 0 where there is hair on the shell."""
    if hair.style == "bald":
        return np.full(len(place), -1, np.float32)
    y = place[:, 1]
    on_skull = y - hairline(angle, hair.fringe)
    if not hangs(hair):
        return np.where(hanging > 1.5, np.float32(1), on_skull)
    size = np.abs(angle)
    ragged = 0.006 * np.sin(angle * 0.9 + hair.seed) + 0.004 * np.sin(angle * 2.3)
    front = np.interp(y, (0.60, 0.66, 0.72, 0.78), (88.0, 84.0, 72.0, 52.0))
    falls = np.minimum(y - hair.ends - ragged, (size - front) / 500)
    return np.where(hanging > 0.5, np.maximum(falls, np.where(size < 60, on_skull, -1)), np.maximum(on_skull, falls))


@functools.lru_cache(maxsize=64)
def mesh(hair: Hair) -> HairMesh:
    """The shell of a haircut and whatever is pinned to it; no vertices for a bald head."""
    if hair.style == "bald":
        return HairMesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), *(np.zeros(0, np.float32),) * 2)
    parts = [_shell(hair)]
    if hair.style == "bun":
        parts.append(_ball((0, 0.835, -0.035), (0.045, 0.042, 0.042)))
    if hair.style == "ponytail":
        parts.append(
            _tail(np.array([0, 0.80, -0.055]), np.array([0, 0.845, -0.11]), np.array([0, 0.56, -0.125]), 0.038)
        )
    if hair.style == "twin":
        for side in (-1, 1):
            root, end = np.array([side * 0.085, 0.80, 0.02]), np.array([side * 0.20, 0.45, -0.02])
            parts.append(_tail(root, np.array([side * 0.20, 0.80, 0.0]), end, 0.05))
    if hair.style == "spiky":
        parts += _spikes(hair.seed)
    return _joined(parts)


def _shell(hair: Hair) -> HairMesh:
    angle = np.linspace(-180, 180, COLUMNS + 1)
    azimuth = np.radians(angle)
    long = hangs(hair)
    skull_rows = int(ROWS * HANG_ROW_SHARE) if long else ROWS
    polar = np.radians(np.linspace(0.5, 96 if long else 142, skull_rows))
    polar_RC, azimuth_RC = np.meshgrid(polar, azimuth, indexing="ij")
    toward = np.stack(
        [np.sin(polar_RC) * np.sin(azimuth_RC), np.cos(polar_RC), np.sin(polar_RC) * np.cos(azimuth_RC)], axis=-1
    ).astype(np.float32)
    bare = CENTRE + toward * _skull_radius(toward.reshape(-1, 3)).reshape(*toward.shape[:2], 1)
    angle_RC = np.broadcast_to(angle.astype(np.float32), bare.shape[:2])
    places = bare + toward * _thickness(hair, bare, angle_RC)[..., None]
    hanging = np.zeros(bare.shape[:2], np.float32)
    if long:
        fall = _fall(hair, places[-1], angle, ROWS - skull_rows)
        places = np.concatenate([places, fall])
        hanging = np.concatenate([hanging, np.ones(fall.shape[:2], np.float32)])
    rows, columns = places.shape[:2]
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (
        grid[r, c].ravel() for r in (slice(None, -1), slice(1, None)) for c in (slice(None, -1), slice(1, None))
    )
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    angles = np.tile(angle.astype(np.float32), rows)
    return HairMesh(places.reshape(-1, 3).astype(np.float32), faces, angles, hanging.ravel())


def _thickness(hair: Hair, bare: Floats, angle: Floats) -> Floats:
    """(rows, columns) metres of hair on the skull, thin at the hairline."""
    height = bare[..., 1] - hairline(angle.ravel(), hair.fringe).reshape(angle.shape)
    edge = np.clip(height / 0.03, 0, 1)
    edge = edge * edge * (3 - 2 * edge)
    top = np.clip((bare[..., 1] - 0.74) / 0.10, 0, 1)
    full = {"crop": 0.004 + 0 * top, "afro": 0.055 + 0 * top, "short": hair.volume * (0.35 + 0.9 * top)}.get(
        hair.style, hair.volume * (0.6 + 0.5 * top)
    )
    if hair.style == "afro":
        full = full * (
            1 + 0.10 * np.sin(bare[..., 0] * 190) * np.sin(bare[..., 1] * 170 + 1) * np.sin(bare[..., 2] * 180)
        )
    strands = 1 + hair.strands * np.sin(np.radians(angle) * 17 + hair.seed + bare[..., 1] * 30)
    return (0.003 + full * edge * strands).astype(np.float32)


def _fall(hair: Hair, ring: Floats, angle: Floats, rows: int) -> Floats:
    """(rows, columns, 3) the curtain below the ring where hair leaves the skull: it falls behind the shoulders."""
    drop = np.linspace(0, 1, rows + 1)[1:, None]
    y = ring[None, :, 1] + (hair.ends - 0.03 - ring[None, :, 1]) * drop
    size = np.abs(angle)[None]
    below = np.clip((0.66 - y) / 0.09, 0, 1)
    below = below * below * (3 - 2 * below)
    bulge = 1 + 0.10 * np.sin(np.pi * np.clip((ring[None, :, 1] - y) / 0.16, 0, 1))
    x, z = ring[None, :, 0] * bulge, CENTRE[2] + (ring[None, :, 2] - CENTRE[2]) * bulge
    spread = np.sign(angle)[None] * np.interp(size, (70, 110, 150, 180), (0.118, 0.105, 0.055, 0.0))
    back = np.interp(size, (70, 100, 140, 180), (-0.060, -0.072, -0.085, -0.088)) - 0.05 * np.clip(0.56 - y, 0, 0.06)
    places = np.stack([x + (spread - x) * below, y + 0 * x, z + (back - z) * below], axis=-1)
    wave = 0.004 * np.sin(angle[None] * 0.35 + y * 40 + hair.seed)
    places[..., 2] += wave
    return places.astype(np.float32)


@functools.cache
def _skull() -> rtcore_scene.EmbreeScene:
    """The convex hull of the head without nose, ears and jaw."""
    body = template()
    points = body.vertices[np.unique(body.faces["body"])]
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    ear = (x > 0.072) & (y < 0.745) & (z > 0.02) & (z < 0.085)
    points = points[(y > 0.64) & ~ear & ((y > 0.70) | (z < 0.10)) & ((y > 0.735) | (z < 0.12))]
    scene = rtcore_scene.EmbreeScene()
    hull = ConvexHull(points.astype(np.float64))
    TriangleMesh(scene=scene, vertices=points.astype(np.float32), indices=hull.simplices.astype(np.int32))
    return scene


def _skull_radius(toward: Floats) -> Floats:
    """(N) how far the skull reaches from its centre in each direction."""
    start = np.tile(CENTRE, (len(toward), 1)).astype(np.float32)
    return _skull().run(start, np.ascontiguousarray(toward), query="DISTANCE").astype(np.float32)


def _ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> HairMesh:
    polar, azimuth = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 20), np.linspace(0, 2 * np.pi, 31), indexing="ij")
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], axis=-1)
    return _tube_mesh(np.array(centre) + unit * np.array(radii))


def _tail(root: Floats, bend: Floats, end: Floats, radius: float) -> HairMesh:
    """Hair bound at `root` that swings out by `bend` and falls to a point at `end`."""
    t = np.linspace(0, 1, 28)[:, None]
    path = root * (1 - t) ** 2 + 2 * bend * t * (1 - t) + end * t**2
    width = radius * np.interp(t[:, 0], (0, 0.12, 0.5, 0.85, 1), (0.45, 0.75, 1.0, 0.6, 0.05))
    return _around(path, width)


def _spikes(seed: int) -> list[HairMesh]:
    rng = np.random.default_rng([11, seed])
    spikes = []
    for polar, count in ((12, 4), (36, 8), (60, 11), (84, 9)):
        for turn in np.linspace(0, 2 * np.pi, count, endpoint=False) + polar:
            a, p = turn + rng.normal(0, 0.08), np.radians(polar)
            if np.cos(a) * np.sin(p) > 0.62:
                continue
            out = np.array([np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)])
            root = CENTRE + out * 0.075
            tip = CENTRE + (out + np.array([0, 0.25, -0.25])) * (0.155 + 0.02 * rng.normal())
            t = np.linspace(0, 1, 10)[:, None]
            spikes.append(_around(root + (tip - root) * t, 0.042 * (1 - t[:, 0]) ** 0.8 + 0.0015))
    return spikes


def _around(path: Floats, width: Floats) -> HairMesh:
    """A tube of the given half-widths about a path."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, np.array([0.05, 0.1, 1.0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(tangent, side)
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = side[:, None] * np.cos(turn)[None, :, None] + other[:, None] * np.sin(turn)[None, :, None]
    return _tube_mesh(path[:, None] + ring * width[:, None, None])


def _tube_mesh(points: Floats) -> HairMesh:
    rows, columns = points.shape[:2]
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = grid[:-1, :-1].ravel(), grid[:-1, 1:].ravel(), grid[1:, :-1].ravel(), grid[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    places = points.reshape(-1, 3).astype(np.float32)
    return HairMesh(places, faces, angle_of(places), np.full(len(places), 2, np.float32))


def _joined(parts: list[HairMesh]) -> HairMesh:
    starts = np.cumsum([0] + [len(part.places) for part in parts])
    return HairMesh(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]).astype(np.int32),
        np.concatenate([part.angle for part in parts]),
        np.concatenate([part.hanging for part in parts]),
    )
