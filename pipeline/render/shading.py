"""Colours of what the rays met, and the two kinds of light: photographic and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from numpy.typing import NDArray

from pipeline.render import faces as painted
from pipeline.render import hair as hairs
from pipeline.render import patterns
from pipeline.render.assembly import EYES, FIRST_GARMENT, HAIR, SKIN
from pipeline.render.bodies import Floats
from pipeline.render.garments import ANKLE, CROTCH, Garment, Spots
from pipeline.render.tracing import Hits
from pipeline.render.vectors import dot, row, unit

AMBIENT_RAYS = 2
AMBIENT_REACH_M = 0.35


@dataclass(frozen=True)
class Light:
    """Where the main light comes from in the camera's frame (right, up, back), how strong and of which colour."""

    toward: tuple[float, float, float] = (-0.5, 0.65, 0.6)
    strength: float = 0.75
    ambient: float = 0.50
    tint: tuple[float, float, float] = (1.0, 0.98, 0.95)


def albedo(hits: Hits, outfit: Sequence[Garment], hair: hairs.Hair, face: painted.Face) -> Floats:
    """(N, 3) the colour of each hit's material, 0..1."""
    out = np.zeros((len(hits.ray), 3), np.float32)
    drawn = face.eye_size > 0
    skin = hits.layer == SKIN
    out[skin] = (painted.paint_drawn if drawn else painted.paint_skin)(face, hits.place[skin])
    eyes = hits.layer == EYES
    out[eyes] = painted.paint_drawn(face, hits.place[eyes]) if drawn else painted.paint_eyes(face, hits.place[eyes])
    of_hair = hits.layer == HAIR
    out[of_hair] = _hair_colour(hair, hits.place[of_hair], drawn)
    for number, garment in enumerate(outfit, start=FIRST_GARMENT):
        chosen = hits.layer == number
        if chosen.any():
            out[chosen] = _cloth_colour(garment, Spots(hits.place[chosen], hits.arm[chosen]))
    return out


def _hair_colour(hair: hairs.Hair, place: Floats, drawn: bool) -> Floats:
    angle = hairs.angle_of(place)
    colour = np.array(hair.colour, np.float32)
    if drawn:
        return np.tile(colour, (len(place), 1))
    strands = (
        np.sin(angle * 1.3 + 3 * np.sin(place[:, 1] * 60 + hair.seed)) * 0.5 + np.sin(angle * 3.1 + hair.seed) * 0.5
    )
    return colour * (1 + 0.20 * strands)[:, None] + 0.012 * np.maximum(strands, 0)[:, None]


def _cloth_colour(garment: Garment, spots: Spots) -> Floats:
    x, y, z = spots.place.T
    on_arm = spots.arm > 0.5
    leg = (y < CROTCH) & (garment.kind == "pants")
    reach = np.where(leg, np.abs(x) - np.interp(y, (ANKLE, CROTCH), (0.22, 0.11)), x)
    across = np.arctan2(reach, z - 0.03) * np.where(leg, 0.085, 0.14)
    along = np.where(on_arm, spots.along_arm(), -y)
    across = np.where(on_arm, z * 1.2, across)
    out = patterns.paint(garment.cloth, across.astype(np.float32), along.astype(np.float32), spots.place)
    edge = garment.inside(spots)
    if garment.cloth.pattern == "border":
        out[edge < 0.016] = garment.cloth.second
        out[(edge > 0.028) & (edge < 0.036)] = garment.cloth.second
    elif garment.kind in ("top", "jacket", "pants", "skirt"):
        out *= np.where(edge < 0.012, 0.86, 1.0)[:, None].astype(np.float32)
    if garment.kind == "shoes":
        out[y < -0.800] = garment.cloth.second
    if garment.kind == "pants":
        out[np.abs(garment.waist - 0.018 - y) < 0.014] = garment.cloth.third
    return out


def natural(
    hits: Hits, colour: Floats, scene: rtcore_scene.EmbreeScene, light: Light, axes: NDArray[np.float64], view: Floats
) -> Floats:
    """(N, 3) 0..1 as a photograph: main light with shadow, sky and floor light with occlusion, soft sheen."""
    normal = _facing(_wrinkled(hits), view)
    toward = np.array(light.toward) @ axes
    toward = (toward / np.linalg.norm(toward)).astype(np.float32)
    start = hits.point + normal * np.float32(0.004)
    lit = scene.run(start, np.tile(toward, (len(start), 1)), query="OCCLUDED") == -1
    facing = normal @ toward
    diffuse = np.clip((facing + 0.25) / 1.25, 0, 1) * np.where(lit, 1.0, 0.42)
    fill = np.clip(normal @ (np.array([0.7, 0.1, 0.7]) @ axes).astype(np.float32), 0, 1) * 0.18
    sky = 0.72 + 0.28 * normal[:, 1]
    open_share = _openness(hits, normal, scene)
    glow = light.ambient * sky * (0.25 + 0.75 * open_share)
    amount = glow + fill * (0.4 + 0.6 * open_share) + light.strength * diffuse
    out = colour * amount[:, None] * np.array(light.tint, np.float32)
    shine = np.clip(dot(normal, unit(toward - view)), 0, 1)
    gloss = np.select([hits.layer == SKIN, hits.layer == EYES, hits.layer == HAIR], [0.10, 0.7, 0.16], 0.04)
    sharp = np.select([hits.layer == SKIN, hits.layer == EYES, hits.layer == HAIR], [14.0, 90.0, 22.0], 9.0)
    out += (gloss * shine**sharp * np.where(lit, 1.0, 0.2))[:, None].astype(np.float32)
    skin = hits.layer == SKIN
    rim = np.clip(0.45 - np.abs(facing), 0, 0.45) * 0.22
    out[skin] += colour[skin] * rim[skin, None] * row(1.0, 0.35, 0.2)
    return np.clip(out, 0, 1).astype(np.float32)


def _wrinkled(hits: Hits) -> Floats:
    """The normals with the soft folds of cloth: tilted by the slope of a field of noise."""
    normal = hits.normal.copy()
    cloth = hits.layer >= FIRST_GARMENT
    place = hits.place[cloth]
    for seed, (size, strength) in enumerate(((13.0, 0.13), (34.0, 0.06))):
        stretch = row(size * 0.8, size, size * 0.8)
        at = place * stretch
        here = patterns.noise(at, 31 + seed)
        slope = [
            patterns.noise(at + np.float32(0.3) * np.eye(3, dtype=np.float32)[axis], 31 + seed) - here
            for axis in (0, 1)
        ]
        normal[cloth, 0] += np.float32(strength / 0.3) * slope[0]
        normal[cloth, 1] += np.float32(strength / 0.3) * slope[1]
    return unit(normal)


def _facing(normal: Floats, view: Floats) -> Floats:
    """The normals turned to the camera's side."""
    return np.where((dot(normal, view) > 0.15)[:, None], -normal, normal).astype(np.float32)


def _openness(hits: Hits, normal: Floats, scene: rtcore_scene.EmbreeScene) -> Floats:
    """(N) 0..1: the share of directions about the normal that nothing near blocks."""
    rng = np.random.default_rng(5)
    table = rng.normal(size=(256, 3)).astype(np.float32)
    table = unit(table)
    open_share = np.zeros(len(normal), np.float32)
    start = hits.point + normal * np.float32(0.006)
    for _ in range(AMBIENT_RAYS):
        toward = unit(normal * np.float32(1.02) + table[rng.integers(0, len(table), len(normal))])
        distance = scene.run(start, toward, query="DISTANCE")
        open_share += np.clip(distance / AMBIENT_REACH_M, 0, 1)
    return open_share / AMBIENT_RAYS


def drawn(hits: Hits, colour: Floats, light: Light, axes: NDArray[np.float64], view: Floats) -> Floats:
    """(N, 3) 0..1 in two flat tones, with a bright band on hair."""
    toward = np.array(light.toward) @ axes
    toward = (toward / np.linalg.norm(toward)).astype(np.float32)
    normal = _facing(hits.normal, view)
    facing = normal @ toward
    shade = np.where(hits.layer == SKIN, np.float32(0.05), np.float32(0.22))
    in_face = (hits.layer <= EYES) & (hits.place[:, 1] > 0.61)
    dark = (facing < shade) & ~in_face
    cool = row(0.70, 0.64, 0.78)
    warm = row(0.90, 0.74, 0.72)
    tone = np.where(hits.layer[:, None] == SKIN, warm, cool)
    out = np.where(dark[:, None], colour * tone, colour)
    zigzag = 0.806 + 0.004 * np.abs((hits.angle * 0.06) % 2 - 1) - 0.00012 * np.abs(hits.angle)
    ring = (hits.layer == HAIR) & (hits.hanging < 1.5) & (np.abs(hits.place[:, 1] - zigzag) < 0.0065) & ~dark
    out[ring] = np.clip(out[ring] * 1.25 + 0.14, 0, 1)
    neck = (hits.layer == SKIN) & (hits.place[:, 1] < 0.625) & (hits.place[:, 1] > 0.585) & (hits.arm < 0.3)
    out[neck] = colour[neck] * warm
    return out.astype(np.float32)


def ink(
    layer: NDArray[np.int16], depth: Floats, normal: Floats, calm: NDArray[np.bool_], thickness: int
) -> NDArray[np.bool_]:
    """(H, W) where outlines run: between layers, where depth jumps, and in sharp creases; no creases where calm."""
    edge = np.zeros(layer.shape, bool)
    for axis in (0, 1):
        a = [slice(None)] * 2
        b = [slice(None)] * 2
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        here, there = tuple(a), tuple(b)
        jump = np.abs(depth[here] - depth[there]) > 0.028
        crease = (
            ((normal[here] * normal[there]).sum(axis=-1) < 0.45)
            & (layer[here] >= 0)
            & (layer[there] >= 0)
            & ~calm[here]
        )
        line = (layer[here] != layer[there]) | jump | crease
        edge[here] |= line
        edge[there] |= line
    for _ in range(thickness - 1):
        grown = edge.copy()
        grown[1:] |= edge[:-1]
        grown[:, 1:] |= edge[:, :-1]
        edge = grown
    return edge
