"""One posed person as one mesh: skin, eyes, garments and hair, each surface knowing its places on the base mesh."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pipeline.people import skeleton as joints18
from pipeline.render import hair as hairs
from pipeline.render.bodies import Floats, Ints, rest_vertices, template
from pipeline.render.clipping import clip
from pipeline.render.garments import Garment, Spots
from pipeline.render.posing import Pose, skeleton
from pipeline.render.vectors import dot, unit

SKIN, EYES, HAIR = 0, 1, 2
FIRST_GARMENT = 3
CLIP_MARGIN_M = 0.003
SKIRT_STAYS = 0.3  # how much a skirt keeps to the hips when a leg moves
NOSE_VERTEX, LEFT_EAR_VERTEX, RIGHT_EAR_VERTEX = 297, 12172, 5575
_BONE_OF_JOINT = {
    joints18.LEFT_SHOULDER: "upperarm01.L", joints18.LEFT_ELBOW: "lowerarm01.L", joints18.LEFT_WRIST: "wrist.L",
    joints18.LEFT_HIP: "upperleg01.L", joints18.LEFT_KNEE: "lowerleg01.L", joints18.LEFT_ANKLE: "foot.L",
    joints18.LEFT_EYE: "eye.L",
}  # fmt: skip


@dataclass(frozen=True)
class Surface:
    """A mesh in space (metres, y up, soles at 0, the person facing +z), with what shading needs at every vertex."""

    points: Floats  # (V, 3)
    normals: Floats  # (V, 3) unit
    places: Floats  # (V, 3) on the base mesh
    arm: Floats  # (V)
    angle: Floats  # (V) hair: degrees about the head
    hanging: Floats  # (V) hair: 1 hangs, 2 is pinned on
    faces: Ints  # (F, 3)
    layer: NDArray[np.uint8]  # (F)
    joints: Floats  # (18, 3)
    joint_places: Floats  # (18, 3) on the base mesh


@dataclass(frozen=True)
class _Layer:
    rest: Floats
    places: Floats
    weights: sparse.csr_matrix
    faces: Ints
    number: int
    angle: Floats | float = 0.0
    hanging: Floats | float = 0.0


def assemble(
    phenotype: tuple[tuple[str, float], ...],
    outfit: tuple[Garment, ...],
    hair: hairs.Hair,
    pose: Pose,
    head_size: float = 1.0,
    calm_face: float = 0.0,
) -> Surface:
    """The person in the pose. `head_size` enlarges the head; `calm_face` 0..1 flattens its features for drawn faces."""
    rest, layers = _dressed(phenotype, outfit, hair, head_size, calm_face)
    bones = skeleton(rest, pose)
    posed = [bones.carry(layer.rest, layer.weights) for layer in layers]
    body = bones.carry(rest, template().weights)
    heads = bones.places()
    ground = posed[0][:, 1].min()
    starts = np.cumsum([0] + [len(points) for points in posed])
    points = np.concatenate(posed)
    faces = np.concatenate([layer.faces + start for layer, start in zip(layers, starts, strict=False)]).astype(np.int32)
    shift = np.array([heads[0, 0], ground, heads[0, 2]], np.float32)
    points -= shift

    def of_vertices(values: list[Floats | float]) -> Floats:
        return np.concatenate(
            [np.broadcast_to(np.asarray(value, np.float32), len(at)) for value, at in zip(values, posed, strict=True)]
        )

    return Surface(
        points=points,
        normals=vertex_normals(points, faces),
        places=np.concatenate([layer.places for layer in layers]),
        arm=np.concatenate([_arm_share(layer.weights) for layer in layers]),
        angle=of_vertices([layer.angle for layer in layers]),
        hanging=of_vertices([layer.hanging for layer in layers]),
        faces=faces,
        layer=np.concatenate([np.full(len(layer.faces), layer.number, np.uint8) for layer in layers]),
        joints=_joints(body, heads) - shift,
        joint_places=_joint_places(),
    )


@functools.lru_cache(maxsize=4)
def _dressed(
    phenotype: tuple[tuple[str, float], ...],
    outfit: tuple[Garment, ...],
    hair: hairs.Hair,
    head_size: float,
    calm_face: float,
) -> tuple[Floats, tuple[_Layer, ...]]:
    """The body at rest and its layers; kept because the pictures of a person follow one another."""
    body = template()
    rest = _shaped_head(rest_vertices(dict(phenotype)), head_size, calm_face)
    layers = [_of_group(rest, "body", SKIN)]
    layers += [_of_group(rest, f"helper-{side}-eye", EYES) for side in "lr"]
    shape = hairs.mesh(hair)
    if len(shape.places):
        matrix = _pinned(hair)
        moved = _shaped_offsets(rest, shape.places, matrix)
        weights = matrix @ body.weights
        grown = _Layer(moved, shape.places, weights, shape.faces, HAIR, shape.angle, shape.hanging)
        layers.append(_clipped(grown, hairs.inside(hair, shape.angle, shape.hanging, shape.places)))
    for number, garment in enumerate(outfit, start=FIRST_GARMENT):
        layers.append(_garment_layer(rest, garment, number))
    return rest, tuple(layers)


def _shaped_head(rest: Floats, head_size: float, calm_face: float) -> Floats:
    """A larger head, about the top of the neck, with flattened features."""
    if head_size == 1.0 and calm_face == 0.0:
        return rest
    rest = rest.copy()
    share = _head_share()
    if calm_face > 0:
        vertices = np.unique(template().faces["body"])
        face = vertices[(template().vertices[vertices, 1] > 0.6)]
        smoothing = _smoothing("body")
        local = np.searchsorted(vertices, face)
        smooth = rest[vertices]
        for _ in range(40):
            smooth = smoothing @ smooth
        weight = calm_face * np.clip((template().vertices[face, 2] - 0.07) / 0.03, 0, 1)[:, None]
        rest[face] += weight * (smooth[local] - rest[face])
    pivot = rest[template().heads[template().bone("neck03")]].mean(axis=0)
    return (rest + share[:, None] * np.float32(head_size - 1) * (rest - pivot)).astype(np.float32)


@functools.cache
def _head_share() -> Floats:
    body = template()
    head = np.zeros(len(body.bones), np.float32)
    for bone, parent in enumerate(body.parents):
        head[bone] = 1.0 if body.bones[bone] == "head" or (parent >= 0 and head[parent] == 1) else 0.0
    head[body.bone("neck03")] = 0.4
    return np.asarray(body.weights @ head).ravel()


def _of_group(rest: Floats, group: str, number: int) -> _Layer:
    vertices, faces = _compact(group)
    return _Layer(rest[vertices], template().vertices[vertices], template().weights[vertices], faces, number)


@functools.cache
def _compact(group: str) -> tuple[Ints, Ints]:
    """The vertices of a group of the base mesh and its faces in their numbering."""
    vertices, faces = np.unique(template().faces[group], return_inverse=True)
    return vertices.astype(np.int32), faces.reshape(-1, 3).astype(np.int32)


@functools.cache
def _smoothing(group: str) -> sparse.csr_matrix:
    """Half the vertex, half the mean of its neighbours."""
    vertices, faces = _compact(group)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    near = sparse.csr_matrix((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), (len(vertices),) * 2)
    near.data[:] = 1
    mean = sparse.diags(1 / np.asarray(near.sum(axis=1)).ravel()) @ near
    return (0.5 * (mean + sparse.identity(len(vertices)))).tocsr().astype(np.float32)


def _garment_layer(rest: Floats, garment: Garment, number: int) -> _Layer:
    vertices, faces = _compact(garment.shell)
    places, weights = template().vertices[vertices], template().weights[vertices]
    shape = rest[vertices]
    smoothing = _smoothing(garment.shell)
    for _ in range(garment.smooth):
        shape = smoothing @ shape
    normals = vertex_normals(shape, faces)
    hollow = np.maximum(dot(shape - rest[vertices], normals), 0)
    shape = rest[vertices] + normals * (hollow + garment.widen(places))[:, None]
    if garment.kind == "skirt":
        shape = _flared(shape, places, garment)
        hips = sparse.csr_matrix(
            (np.ones(len(vertices)), (np.arange(len(vertices)), np.zeros(len(vertices), int))), weights.shape
        )
        weights = (weights * (1 - SKIRT_STAYS) + hips * SKIRT_STAYS).tocsr().astype(np.float32)
    depth = garment.inside(Spots(places, _arm_share(weights)))
    return _clipped(_Layer(shape.astype(np.float32), places, weights, faces, number), depth)


def _clipped(layer: _Layer, depth: Floats) -> _Layer:
    """The layer without what lies outside its cut, but for a margin that the cut itself trims at every hit."""
    faces, blend = clip(layer.faces, depth + np.float32(CLIP_MARGIN_M))
    return _Layer(
        blend @ layer.rest,
        blend @ layer.places,
        (blend @ layer.weights).tocsr(),
        faces,
        layer.number,
        layer.angle if isinstance(layer.angle, float) else blend @ layer.angle,
        layer.hanging if isinstance(layer.hanging, float) else blend @ layer.hanging,
    )


def _flared(shape: Floats, places: Floats, garment: Garment) -> Floats:
    """The skirt shell widened downwards from the hips, with soft folds."""
    drop = np.clip(0.10 - places[:, 1], 0, None)
    centre = np.array([0, 0, shape[:, 2].mean()], np.float32)
    turn = np.arctan2(places[:, 0], places[:, 2] - 0.03)
    folds = 0.10 * np.sin(turn * 9 + garment.cloth.seed) * np.clip(drop / 0.25, 0, 1)
    wider = garment.flare * drop * (1 + folds) + 0.35 * folds * drop
    out = shape.copy()
    out[:, [0, 2]] += ((shape - centre) * wider[:, None])[:, [0, 2]]
    return out


@functools.lru_cache(maxsize=64)
def _pinned(hair: hairs.Hair) -> sparse.csr_matrix:
    """(N, V) which vertices of the body, and in which shares, each vertex of the hair moves with.

    Buns, tails and spikes hold on to the skull; hair that hangs follows the skull, the neck and the back.
    """
    body, shape = template(), hairs.mesh(hair)
    vertices, _ = _compact("body")
    x, y, z = np.abs(body.vertices[vertices, 0]), *body.vertices[vertices, 1:].T
    carriers = (vertices[(y > 0.25) & (x < 0.14) & ((y > 0.62) | (z < 0.05))], vertices[y > 0.76])
    pinned = shape.hanging > 1.5
    near, distance = np.empty((len(pinned), 4), np.int64), np.empty((len(pinned), 4))
    for chosen, carrier in zip((~pinned, pinned), carriers, strict=True):
        distance[chosen], index = cKDTree(body.vertices[carrier]).query(shape.places[chosen], k=4)
        near[chosen] = carrier[index]
    share = 1 / (distance + 0.01) ** 2
    share /= share.sum(axis=1, keepdims=True)
    starts = np.arange(0, near.size + 1, 4)
    return sparse.csr_matrix((share.ravel().astype(np.float32), near.ravel(), starts), (len(near), len(body.vertices)))


def _shaped_offsets(rest: Floats, places: Floats, pins: sparse.csr_matrix) -> Floats:
    """Hair follows what it is pinned to: moved with it and scaled like the head."""
    base = template().vertices
    head = np.unique(_compact("body")[0][base[_compact("body")[0], 1] > 0.66])
    size = np.ptp(rest[head], axis=0) / np.ptp(base[head], axis=0)
    return np.asarray(pins @ rest + (places - pins @ base) * size).astype(np.float32)


@functools.cache
def _arm_bones() -> Floats:
    starts = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    return np.array([name.startswith(starts) for name in template().bones], np.float32)


def _arm_share(weights: sparse.csr_matrix) -> Floats:
    return np.asarray(weights @ _arm_bones()).ravel().astype(np.float32)


def vertex_normals(points: Floats, faces: Ints) -> Floats:
    """(V, 3) unit normals, the faces weighed by their area."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    flat = np.cross(b - a, c - a)
    out: Floats = np.stack(
        [np.bincount(faces.ravel(), np.repeat(flat[:, axis], 3), minlength=len(points)) for axis in range(3)], axis=1
    )
    return unit(out).astype(np.float32)


def _joints(body: Floats, heads: NDArray[np.float64]) -> Floats:
    out = np.zeros((18, 3), np.float32)
    for joint, bone in _BONE_OF_JOINT.items():
        out[joint] = heads[template().bone(bone)]
        out[joints18.FLIP[joint]] = heads[template().bone(bone[:-1] + "R")]
    out[joints18.NOSE] = body[NOSE_VERTEX]
    out[joints18.LEFT_EAR], out[joints18.RIGHT_EAR] = body[LEFT_EAR_VERTEX], body[RIGHT_EAR_VERTEX]
    out[joints18.NECK] = (out[joints18.LEFT_SHOULDER] + out[joints18.RIGHT_SHOULDER]) / 2
    return out


@functools.cache
def _joint_places() -> Floats:
    body = template()
    return _joints(body.vertices, np.array([body.vertices[vertices].mean(axis=0) for vertices in body.heads]))
