"""What each ray of the camera meets first: a G-buffer by ray casting (Embree), and which joints are seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray

from pipeline.people import labels
from pipeline.people import skeleton as joints18
from pipeline.render import hair as hairs
from pipeline.render.assembly import EYES, FIRST_GARMENT, HAIR, SKIN, Surface
from pipeline.render.bodies import Floats, Ints
from pipeline.render.garments import Garment, Spots, skin_label
from pipeline.render.vectors import dot, length, row, unit

MAX_LAYERS = 8
STEP_M = 2e-4
COVERED_M = 0.010  # skin this far inside a cut is under the cloth, even where it pokes through
# How far, in metres on the base mesh, from a joint's own place what is seen there may be, in the order of the joints.
REACHES_M = (0.04, 0.13, 0.19, 0.13, 0.10, 0.19, 0.13, 0.10, 0.21, 0.15, 0.14, 0.21, 0.15, 0.14, 0.04, 0.04, 0.04, 0.04)
OCCLUDED_SCORE = 0.5
PAD_PX = 1000.0  # keeps coordinates outside the picture positive until they are judged


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks at `target`; angles in degrees, `yaw_deg` turns the person to the picture's right."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    distance_m: float
    field_deg: float  # vertical
    target: tuple[float, float, float]
    shift: tuple[float, float] = (0.0, 0.0)  # of the picture, in parts of its height

    def axes(self) -> NDArray[np.float64]:
        """(3, 3) rows right, up, backward in the person's space."""
        yaw, pitch, roll = np.radians([self.yaw_deg, self.pitch_deg, self.roll_deg])
        back = np.array([-np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
        up = np.cross(back, right)
        return np.stack([right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll), back])

    def eye(self) -> NDArray[np.float64]:
        """(3,) where the camera stands."""
        return np.array(self.target) + self.axes()[2] * self.distance_m

    def rays(self, width: int, height: int) -> tuple[Floats, Floats]:
        """Origins and unit directions (height * width, 3) through the pixel centres."""
        scale = 2 * np.tan(np.radians(self.field_deg) / 2) / height
        x = (np.arange(width) + 0.5 - width / 2 - self.shift[0] * height) * scale
        y = -(np.arange(height) + 0.5 - height / 2 - self.shift[1] * height) * scale
        right, up, back = self.axes()
        directions = x[None, :, None] * right + y[:, None, None] * up - back
        directions = unit(directions.reshape(-1, 3).astype(np.float32))
        return np.tile(self.eye().astype(np.float32), (width * height, 1)), directions

    def project(self, points: Floats, width: int, height: int) -> NDArray[np.float64]:
        """(N, 2) pixel coordinates, pixel centres at whole numbers."""
        right, up, back = self.axes()
        away = points - self.eye()
        depth = -(away @ back)
        scale = height / (2 * np.tan(np.radians(self.field_deg) / 2))
        x = away @ right / depth * scale + width / 2 + self.shift[0] * height - 0.5
        y = -(away @ up) / depth * scale + height / 2 + self.shift[1] * height - 0.5
        return np.stack([x, y], axis=1)


@dataclass(frozen=True)
class View:
    """How a picture is framed: the camera is then aimed so that the person fills it."""

    yaw_deg: float  # 0 faces the camera, 90 the picture's right, 180 away
    pitch_deg: float = 4.0
    roll_deg: float = 0.0
    fill: float = 0.94  # of the picture's height that the framed part takes
    lowest: float = 0.0  # where the framed part begins, in parts of the person's height
    shift: tuple[float, float] = (0.0, 0.0)  # of the person, in parts of the picture's height
    distance: float = 2.7  # in heights of the person


def aim(view: View, points: Floats, aspect: float) -> Camera:
    """The camera that frames the points (N, 3) as the view wants; `aspect` is width by height of the picture."""
    tall = float(points[:, 1].max())
    framed = points[points[:, 1] >= view.lowest * tall]
    centre = (0.0, float(framed[:, 1].max() + framed[:, 1].min()) / 2, 0.0)
    start = Camera(view.yaw_deg, view.pitch_deg, view.roll_deg, view.distance * tall, 30.0, centre)
    box = start.project(framed, 1, 1) + 0.5 - np.array([0.5, 0.5])
    low, high = box.min(axis=0), box.max(axis=0)
    scale = view.fill / (high[1] - low[1])
    if view.lowest == 0:
        scale = min(scale, 0.97 * aspect / (high[0] - low[0]))
    middle = (low + high) / 2 * scale
    field = 2 * np.degrees(np.arctan(np.tan(np.radians(15.0)) / scale))
    shift = (view.shift[0] - float(middle[0]), view.shift[1] - float(middle[1]))
    return Camera(view.yaw_deg, view.pitch_deg, view.roll_deg, start.distance_m, float(field), centre, shift)


@dataclass(frozen=True)
class Hits:
    """What the rays met; arrays over the hit rays only, `ray` says which."""

    ray: Ints
    depth: Floats
    point: Floats
    normal: Floats
    place: Floats
    arm: Floats
    angle: Floats
    hanging: Floats
    layer: NDArray[np.uint8]
    label: NDArray[np.uint8]


def build(surface: Surface) -> rtcore_scene.EmbreeScene:
    """The acceleration structure of a surface."""
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene=scene, vertices=np.ascontiguousarray(surface.points), indices=surface.faces)
    return scene


def trace(
    scene: rtcore_scene.EmbreeScene,
    surface: Surface,
    outfit: Sequence[Garment],
    hair: hairs.Hair,
    origins: Floats,
    directions: Floats,
) -> Hits:
    """The first surface along each ray that is really there: faces reach past the hems, the cuts decide."""
    active = np.arange(len(origins), dtype=np.int32)
    start = np.zeros(len(origins), np.float32)
    found: list[Hits] = []
    for _ in range(MAX_LAYERS):
        answer = scene.run(
            np.ascontiguousarray(origins[active] + directions[active] * start[active, None]),
            np.ascontiguousarray(directions[active]),
            output=1,
        )
        met = answer["primID"] >= 0
        active = active[met]
        if not len(active):
            break
        hits = _hits(surface, active, start[active] + answer["tfar"][met], answer, met, origins, directions)
        layer, there = _resolve(hits, outfit, hair)
        found.append(_labelled(_take(hits, there), layer[there], outfit))
        start[active] = hits.depth + STEP_M
        active = active[~there]
        if not len(active):
            break
    return Hits(*(np.concatenate([getattr(part, name) for part in found]) for name in Hits.__dataclass_fields__))


def _hits(
    surface: Surface,
    ray: Ints,
    depth: Floats,
    answer: dict[str, NDArray[np.float32]],
    met: NDArray[np.bool_],
    origins: Floats,
    directions: Floats,
) -> Hits:
    corners = surface.faces[answer["primID"][met]]
    u, v = answer["u"][met], answer["v"][met]
    share = np.stack([1 - u - v, u, v], axis=1).astype(np.float32)

    def blend(values: Floats) -> Floats:
        if values.ndim == 1:
            return dot(values[corners], share)
        return np.einsum("nck,nc->nk", values[corners], share)

    normal = blend(surface.normals)
    normal = unit(normal)
    layer = surface.layer[answer["primID"][met]]
    return Hits(
        ray, depth.astype(np.float32), origins[ray] + directions[ray] * depth[:, None].astype(np.float32), normal,
        blend(surface.places), blend(surface.arm), blend(surface.angle), blend(surface.hanging), layer, layer,
    )  # fmt: skip


def _resolve(hits: Hits, outfit: Sequence[Garment], hair: hairs.Hair) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The layer that is seen at each hit, and whether there is anything at all."""
    spots = Spots(hits.place, hits.arm)
    layer = hits.layer.copy()
    there = np.ones(len(layer), bool)
    of_hair = layer == HAIR
    there[of_hair] = hairs.inside(hair, hits.angle[of_hair], hits.hanging[of_hair], hits.place[of_hair]) > 0
    scalp = (layer == SKIN) & (hits.place[:, 1] > 0.64) & (hair.style != "bald")
    ear = (np.abs(hits.place[:, 0]) > 0.0735) & (hits.place[:, 1] < 0.742) & (hits.place[:, 2] > 0.02)
    above = hits.place[:, 1] > hairs.hairline(hairs.angle_of(hits.place), hair.fringe) + 0.002
    layer[scalp & above & ~ear] = HAIR
    for number, garment in enumerate(outfit, start=FIRST_GARMENT):
        own = layer == number
        below = ((hits.layer == SKIN) | ((hits.layer >= FIRST_GARMENT) & (hits.layer < number))) & (layer != HAIR)
        if not (own.any() or below.any()):
            continue
        depth = garment.inside(spots)
        there[own & (hits.layer == number)] = (depth > 0)[own & (hits.layer == number)]
        layer[below & (depth > COVERED_M)] = number
        there[below & (depth > COVERED_M)] = True
    return layer, there


def _labelled(hits: Hits, layer: NDArray[np.uint8], outfit: Sequence[Garment]) -> Hits:
    label = skin_label(Spots(hits.place, hits.arm))
    label[layer == EYES] = labels.FACE
    label[layer == HAIR] = labels.HAIR
    for number, garment in enumerate(outfit, start=FIRST_GARMENT):
        label[layer == number] = garment.label
    return replace(hits, layer=layer, label=label)


def _take(hits: Hits, chosen: NDArray[np.bool_]) -> Hits:
    return Hits(*(getattr(hits, name)[chosen] for name in Hits.__dataclass_fields__))


def seen_joints(
    scene: rtcore_scene.EmbreeScene,
    surface: Surface,
    outfit: Sequence[Garment],
    hair: hairs.Hair,
    camera: Camera,
    size: tuple[int, int],
) -> joints18.Joints:
    """(18, 3) joints in pixels of a picture of `size` (width, height): 1 when seen, 0.5 when hidden, else missing.

    A joint is seen when the ray towards it first meets the part of the body that it belongs to: a place of the base
    mesh near the joint's own. The neck is the middle of the shoulders in the picture.
    """
    eye = camera.eye()
    away = surface.joints - eye
    directions = unit(away.astype(np.float32))
    hits = trace(scene, surface, outfit, hair, np.tile(eye.astype(np.float32), (len(away), 1)), directions)
    off = length(hits.place - surface.joint_places[hits.ray])
    seen = np.zeros(len(away), bool)
    seen[hits.ray] = (off < np.array(REACHES_M)[hits.ray]) & ((hits.layer != HAIR) | (hits.ray < joints18.RIGHT_EYE))
    pixels = camera.project(surface.joints, *size)
    out = np.concatenate([pixels, np.where(seen, 1.0, OCCLUDED_SCORE)[:, None]], axis=1).astype(np.float32)
    out = joints18.move(out + row(PAD_PX, PAD_PX, 0), offset=(PAD_PX, PAD_PX), scale=(1, 1), size=size)
    return joints18.from_coco17(joints18.to_coco17(out))
