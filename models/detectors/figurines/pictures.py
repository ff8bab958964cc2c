"""The picture of a figurine: flat or soft shading, any backdrop, its label map and its joints."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detectors.figurines.bones import FACE, Bones, Random, draw_bones, draw_pose
from models.detectors.figurines.heads import add_head
from models.detectors.figurines.parts import (
    DARK,
    Parts,
    add_arms,
    add_legs,
    add_things,
    add_torso,
    draw_colour,
    draw_skin,
)
from pipeline.people import skeleton
from pipeline.render import Figure, assembly, backdrops, shading, tracing
from pipeline.render.bodies import Floats, Ints
from pipeline.render.vectors import row, unit

SUPERSAMPLING = 2
# How far before a joint something may be that belongs to it: about the half-widths of limbs, head and hips.
LIMB_REACH, FACE_REACH, HIP_REACH = 0.34, 0.2, 0.5


@dataclass(frozen=True)
class Order:
    """One picture of a figurine: equal orders give equal bytes; what `person` looks like is the same in all of them."""

    id: str
    seed: int
    person: int
    number: int


@dataclass(frozen=True)
class _Mesh:
    points: Floats  # (V, 3)
    faces: Ints  # (F, 3)
    part: NDArray[np.intp]  # (F) number of the solid


@dataclass(frozen=True)
class _Hits:
    """Of the rays `ray` that meet something: the solid, how far away, where, and the normal towards the camera."""

    ray: Ints
    part: NDArray[np.intp]
    depth: Floats
    point: Floats
    normal: Floats


def draw(order: Order, width: int = 176, height: int = 256) -> Figure:
    """The picture of an order, with its label map and its joints."""
    look = np.random.default_rng([order.seed, order.person])
    chance = np.random.default_rng([order.seed, order.person, order.number])
    bones = draw_bones(look, draw_pose(chance))
    parts = _put_together(bones, look)
    points, faces, part = parts.mesh()
    lift = np.array([0, -points[:, 1].min(), 0], np.float32)
    mesh, view = _Mesh(points + lift, faces, part), _view(chance)
    camera, scene = tracing.aim(view, mesh.points, width / height), tracing.build(mesh)  # type: ignore[arg-type]
    fine = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    hits = _hits(mesh, scene, camera, fine, flat=look.random() < 0.5)
    backdrop = backdrops.paint(_backdrop(chance), width, height)
    picture = np.repeat(np.repeat(backdrop, SUPERSAMPLING, 0), SUPERSAMPLING, 1).reshape(-1, 3)
    picture[hits.ray] = _shaded(hits, np.array(parts.colours, np.float32), camera, look, chance)
    if look.random() < 0.2:
        picture[_outline(hits, fine)] = DARK
    small = picture.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3))
    labels = np.zeros(fine[0] * fine[1], np.uint8)
    labels[hits.ray] = np.array(parts.labels, np.uint8)[hits.part]
    return Figure(
        id=order.id, person=f"f{order.person:03d}", pose=str(order.number), split="train",
        image=np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8),
        labels=labels.reshape(fine[1], fine[0])[::SUPERSAMPLING, ::SUPERSAMPLING].copy(),
        joints=_seen_joints(bones, lift, camera, scene, (width, height)), yaw_deg=view.yaw_deg,
    )  # fmt: skip


def _put_together(bones: Bones, look: Random) -> Parts:
    parts, skin = Parts(int(look.choice([8, 10, 12, 16, 24]))), draw_skin(look)
    cloth = [draw_colour(look) for _ in range(3)]
    add_head(parts, bones, look, skin, cloth)
    add_torso(parts, bones, look, cloth)
    add_arms(parts, bones, look, skin, cloth)
    add_legs(parts, bones, look, skin, cloth)
    add_things(parts, bones, look)
    return parts


def _view(chance: Random) -> tracing.View:
    side = chance.choice([-90, 90]) + chance.normal(0, 22)
    yaw = float(chance.choice([chance.normal(0, 35), chance.uniform(-180, 180), side], p=[0.4, 0.3, 0.3]))
    return tracing.View(
        yaw_deg=(yaw + 180) % 360 - 180, pitch_deg=float(chance.uniform(-6, 22)),
        roll_deg=float(chance.normal(0, 3)), fill=float(chance.uniform(0.8, 0.97)),
        distance=float(chance.uniform(2.2, 4.5)),
    )  # fmt: skip


def _hits(mesh: _Mesh, scene: Any, camera: tracing.Camera, fine: tuple[int, int], *, flat: bool) -> _Hits:
    origins, directions = camera.rays(*fine)
    answer = scene.run(origins, directions, output=1)
    ray = np.flatnonzero(answer["primID"] >= 0).astype(np.int32)
    triangle, depth = answer["primID"][ray], answer["tfar"][ray]
    corners = mesh.faces[triangle]
    if flat:
        a, b, c = (mesh.points[corners[:, corner]] for corner in range(3))
        normal = unit(np.cross(b - a, c - a))
    else:
        u, v = answer["u"][ray], answer["v"][ray]
        smooth = assembly.vertex_normals(mesh.points, mesh.faces)[corners]
        normal = unit(np.einsum("nck,nc->nk", smooth, np.stack([1 - u - v, u, v], axis=1)))
    away = (normal * directions[ray]).sum(axis=1) > 0
    point = origins[ray] + directions[ray] * depth[:, None]
    return _Hits(ray, mesh.part[triangle], depth, point, np.where(away[:, None], -normal, normal))


def _shaded(hits: _Hits, colours: Floats, camera: tracing.Camera, look: Random, chance: Random) -> Floats:
    """(N, 3) colours of the hits, a little darker below: softly shaded, or in two tones."""
    colour = colours[hits.part] * (0.9 + look.uniform(0, 0.3) * (hits.point[:, 1] - 0.4))[:, None]
    toward = np.array([chance.uniform(-1, 1), chance.uniform(0.2, 1), chance.uniform(0.2, 1)]) @ camera.axes()
    facing = hits.normal @ unit(toward[None].astype(np.float32))[0]
    dark, bright, wrapped = look.uniform(0.35, 0.75), chance.uniform(0.95, 1.2), look.uniform(0, 0.5)
    light = dark + (bright - dark) * np.clip((facing + wrapped) / 1.3, 0, 1)
    if look.random() < 0.25:
        light = np.where(facing < 0.1, 0.4 + dark / 2, 1.0)
    return np.clip(colour * light[:, None], 0, 1)


def _backdrop(chance: Random) -> backdrops.Backdrop:
    if chance.random() < 0.4:
        grey = (float(chance.choice([1.0, 1.0, 0.9, 0.0])),) * 3
        return backdrops.Backdrop("plain", grey, grey, grey)
    wall, ground, accent = (draw_colour(chance) for _ in range(3))
    kind = str(chance.choice(backdrops.BACKDROPS))
    return backdrops.Backdrop(kind, wall, ground, accent, seed=int(chance.integers(10000)))


def _outline(hits: _Hits, fine: tuple[int, int]) -> NDArray[np.bool_]:
    shape, count = (fine[1], fine[0]), fine[0] * fine[1]
    layer, depth, normal = (
        np.full(count, -1, np.int16),
        np.full(count, 99, np.float32),
        np.zeros((count, 3), np.float32),
    )
    layer[hits.ray], depth[hits.ray], normal[hits.ray] = hits.part, hits.depth, hits.normal
    calm = np.ones(shape, np.bool_)
    return shading.ink(layer.reshape(shape), depth.reshape(shape), normal.reshape(*shape, 3), calm, 1).ravel()


def _seen_joints(
    bones: Bones, lift: Floats, camera: tracing.Camera, scene: Any, size: tuple[int, int]
) -> skeleton.Joints:
    """(18, 3) in pixels of a picture of `size`: 1 where the ray to the joint meets nothing well before it, else 0.5."""
    joints, eye = bones.joints + lift, camera.eye()
    away = joints - eye
    start = np.tile(eye.astype(np.float32), (len(away), 1))
    reach = np.full(len(away), LIMB_REACH * bones.torso)
    reach[FACE] = FACE_REACH * bones.skull[1]
    reach[[skeleton.LEFT_HIP, skeleton.RIGHT_HIP]] = HIP_REACH * bones.torso
    met = scene.run(start, unit(away).astype(np.float32), output=1)["tfar"]
    seen = met > np.linalg.norm(away, axis=1) - reach
    pad = row(tracing.PAD_PX, tracing.PAD_PX, 0)
    out = np.concatenate([camera.project(joints, *size), np.where(seen, 1.0, tracing.OCCLUDED_SCORE)[:, None]], axis=1)
    out = skeleton.move(out.astype(np.float32) + pad, offset=(tracing.PAD_PX,) * 2, scale=(1, 1), size=size)
    return skeleton.from_coco17(skeleton.to_coco17(out))
