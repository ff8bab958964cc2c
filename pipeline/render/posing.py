"""Poses: where limbs point, and how the skeleton carries the mesh there.

A pose names directions, not joint angles. Axes are the body's: x to the person's left, y up, z to the front; every limb
is written as on the left side (x outward) and mirrored for the right one.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pipeline.render.bodies import Floats, template

Vector = tuple[float, float, float]
Matrix = NDArray[np.float64]

SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03")


@dataclass(frozen=True)
class Limb:
    """Directions of the upper and the lower part, on the left side: x outward."""

    upper: Vector
    lower: Vector


@dataclass(frozen=True)
class Pose:
    """One pose; angles in degrees: turn about the vertical (to the person's left), bend forward, tilt to the left."""

    name: str
    left_arm: Limb
    right_arm: Limb
    left_leg: Limb
    right_leg: Limb
    hips: Vector = (0.0, 0.0, 0.0)  # turn, bend, tilt
    chest: Vector = (0.0, 0.0, 0.0)  # relative to the hips
    head: Vector = (0.0, 0.0, 0.0)  # relative to the chest
    curl_deg: float = 18.0  # of each finger joint
    heels_deg: tuple[float, float] = (0.0, 0.0)  # how far each foot stands on its toes: left, right


@dataclass(frozen=True)
class Skeleton:
    """The rest positions of the bones' heads (B, 3) and the rotation of each bone away from rest (B, 3, 3)."""

    heads: Matrix
    rotations: Matrix

    def places(self) -> Matrix:
        """(B, 3) the heads in the pose, the root at rest."""
        placed = self.heads.copy()
        for bone, parent in enumerate(template().parents):
            if parent >= 0:
                placed[bone] = placed[parent] + self.rotations[parent] @ (self.heads[bone] - self.heads[parent])
        return placed

    def carry(self, vertices: Floats, weights: Floats) -> Floats:
        """(N, 3) the vertices in the pose; `weights` (N, B) sparse or dense."""
        moves = self.places() - np.einsum("bij,bj->bi", self.rotations, self.heads)
        transforms = np.concatenate([self.rotations, moves[:, :, None]], axis=2).reshape(len(moves), 12)
        blended = np.asarray(weights @ transforms).reshape(-1, 3, 4)
        points = vertices.astype(np.float64)
        return (np.einsum("nij,nj->ni", blended[:, :, :3], points) + blended[:, :, 3]).astype(np.float32)


def skeleton(rest: Floats, pose: Pose) -> Skeleton:
    """The skeleton of a body at rest (V, 3) in a pose."""
    body = template()
    heads = np.array([rest[vertices].mean(axis=0) for vertices in body.heads], np.float64)
    turns: dict[str, Matrix] = {}
    hips = _euler(pose.hips)
    chest = hips @ _euler(pose.chest)
    head = chest @ _euler(pose.head)
    for step, name in enumerate(SPINE, start=1):
        turns[name] = hips @ _part(hips.T @ chest, step / len(SPINE))
    for step, name in enumerate(NECK, start=1):
        turns[name] = chest @ _part(chest.T @ head, step / (len(NECK) + 1))
    turns |= {"root": hips, "head": head}
    for side, arm, leg, heel in (
        ("L", pose.left_arm, pose.left_leg, pose.heels_deg[0]),
        ("R", pose.right_arm, pose.right_leg, pose.heels_deg[1]),
    ):
        turns |= _arm(heads, side, arm, chest, pose.curl_deg)
        turns |= _leg(heads, side, leg, hips, heel)
    rotations = np.empty((len(body.bones), 3, 3))
    for bone, (name, parent) in enumerate(zip(body.bones, body.parents, strict=True)):
        rotations[bone] = turns[name] if name in turns else rotations[parent]
    return Skeleton(heads, rotations)


def _arm(heads: Matrix, side: str, limb: Limb, chest: Matrix, curl_deg: float) -> dict[str, Matrix]:
    shoulder, elbow, wrist = (heads[_bone(f"{name}.{side}")] for name in ("upperarm01", "lowerarm01", "wrist"))
    wanted_upper, wanted_lower = chest @ _mirrored(limb.upper, side), chest @ _mirrored(limb.lower, side)
    rest_upper, rest_lower = chest @ (elbow - shoulder), wrist - elbow
    swing = _between(rest_upper, wanted_upper)
    upper = swing @ chest
    lower = _between(upper @ rest_lower, wanted_lower) @ upper
    lift = _part(swing, 0.25)
    turns = {
        f"clavicle.{side}": _part(swing, 0.1) @ chest,
        f"shoulder01.{side}": lift @ chest,
        f"upperarm01.{side}": _part(swing, 0.9) @ chest,
        f"upperarm02.{side}": upper,
        f"lowerarm01.{side}": lower,
        f"lowerarm02.{side}": lower,
        f"wrist.{side}": lower,
    }
    knuckles = heads[_bone(f"finger5-1.{side}")] - heads[_bone(f"finger2-1.{side}")]
    knuckles = knuckles / np.linalg.norm(knuckles) * (1 if side == "L" else -1)
    for finger in (2, 3, 4, 5):
        bent = lower
        for joint in (1, 2, 3):
            bent = bent @ Rotation.from_rotvec(knuckles * np.radians(curl_deg * (0.8 + 0.1 * finger))).as_matrix()
            turns[f"finger{finger}-{joint}.{side}"] = bent
    return turns


def _leg(heads: Matrix, side: str, limb: Limb, hips: Matrix, heel_deg: float) -> dict[str, Matrix]:
    hip, knee, ankle = (heads[_bone(f"{name}.{side}")] for name in ("upperleg01", "lowerleg01", "foot"))
    wanted_upper, wanted_lower = hips @ _mirrored(limb.upper, side), hips @ _mirrored(limb.lower, side)
    swing = _between(hips @ (knee - hip), wanted_upper)
    upper = swing @ hips
    lower = _between(upper @ (ankle - knee), wanted_lower) @ upper
    facing = np.arctan2(lower[0, 2], lower[2, 2])
    foot = Rotation.from_euler("YX", [facing, np.radians(heel_deg)]).as_matrix()
    return {
        f"pelvis.{side}": _part(swing, 0.15) @ hips,
        f"upperleg01.{side}": upper,
        f"upperleg02.{side}": upper,
        f"lowerleg01.{side}": lower,
        f"lowerleg02.{side}": lower,
        f"foot.{side}": foot,
    }


@functools.cache
def _bone(name: str) -> int:
    return template().bone(name)


def _mirrored(vector: Vector, side: str) -> Matrix:
    return np.array(vector if side == "L" else (-vector[0], vector[1], vector[2]), np.float64)


def _euler(angles: Vector) -> Matrix:
    turn, bend, tilt = angles
    return Rotation.from_euler("YXZ", [turn, bend, -tilt], degrees=True).as_matrix()


def _part(rotation: Matrix, share: float) -> Matrix:
    return Rotation.from_rotvec(Rotation.from_matrix(rotation).as_rotvec() * share).as_matrix()


def _between(start: Matrix, end: Matrix) -> Matrix:
    """The shortest rotation that turns the direction `start` into `end`."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, a @ b)).as_matrix()
