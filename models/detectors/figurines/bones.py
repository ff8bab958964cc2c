"""Where a figurine's parts are: its sizes, drawn at random, carried into one of the catalogue's poses."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from models.detectors.figurines.solids import Triple
from pipeline.people import skeleton
from pipeline.render.bodies import Floats
from pipeline.render.plan import jittered
from pipeline.render.poses import CATALOGUE, WAVE
from pipeline.render.posing import Limb, Pose, Vector
from pipeline.render.vectors import unit

_HANGING = CATALOGUE["stand"].left_arm
SITTING = Pose(
    "sit", _HANGING, _HANGING, Limb((0.25, -0.25, 1.0), (0.1, -0.35, 1.0)), Limb((0.25, -0.2, 1.0), (0.1, -0.5, 1.0))
)
CHEERING = replace(CATALOGUE["spread"], name="cheer", left_arm=WAVE, right_arm=WAVE)
LEANING = ("walk_left", "walk_right", "run", "lunge", "reach")
POSES = (*CATALOGUE.values(), SITTING, SITTING, CHEERING, *(CATALOGUE[name] for name in LEANING))
FACE = [skeleton.NOSE, skeleton.LEFT_EYE, skeleton.RIGHT_EYE, skeleton.LEFT_EAR, skeleton.RIGHT_EAR]
# Of each side: +1 left, -1 right; where its arm and its leg begin in the order of the joints.
SIDES = ((1.0, skeleton.LEFT_SHOULDER, skeleton.LEFT_HIP), (-1.0, skeleton.RIGHT_SHOULDER, skeleton.RIGHT_HIP))

Random = np.random.Generator


@dataclass(frozen=True)
class Bones:
    """Sizes and places of a figurine, whose head without hat ends about 1 above the soles."""

    joints: Floats  # (18, 3)
    hips: Floats  # axes (3, 3): columns to the left, up, ahead
    chest: Floats
    head: Floats
    waist: Floats
    centre: Floats  # of the head
    soles: tuple[Floats, Floats]  # left, right
    skull: Triple  # half-sizes of the head
    roundness: float
    torso: float
    leg: float
    shoulder: float  # half-widths
    hip: float

    @property
    def neck(self) -> Floats:
        """(3,) where the head stands on the chest."""
        return self.waist + self.chest @ np.array([0, self.torso, 0])


def draw_pose(chance: Random) -> Pose:
    """A pose of the catalogue, sitting or cheering, a little different every time; who walks or runs leans forward.

    Broad bodies hold their arms away from them: half of the figurines do, by up to 60 degrees more than the catalogue.
    """
    pose = jittered(POSES[int(chance.integers(len(POSES)))], chance, 0.14)
    if chance.random() < 0.5:
        upper = float(chance.uniform(0, 1.6))
        lower = upper * float(chance.uniform(0, 0.6))
        pose = replace(
            pose, left_arm=_aside(pose.left_arm, upper, lower), right_arm=_aside(pose.right_arm, upper, lower)
        )
    if pose.name not in LEANING:
        return pose
    lean = float(chance.uniform(0, 40))
    return replace(pose, hips=(pose.hips[0], lean, pose.hips[2]), head=(pose.head[0], -lean * 0.9, pose.head[2]))


def _aside(arm: Limb, upper: float, lower: float) -> Limb:
    """The arm with its two parts moved outward by so much."""
    (x, *above), (u, *below) = arm.upper, arm.lower
    return Limb((x + upper, above[0], above[1]), (u + lower, below[0], below[1]))


def draw_bones(look: Random, pose: Pose) -> Bones:
    """The sizes of a person, the same for every pose, in the pose."""
    tall = look.uniform(0.36, 0.56)
    leg = (1 - tall) * look.uniform(0.28, 0.48)
    torso = 1 - tall - leg
    skull = (tall / 2 * look.uniform(0.82, 1.2), tall / 2, tall / 2 * look.uniform(0.8, 1.05))
    shoulder = skull[0] * look.uniform(0.45, 0.85)
    hip = shoulder * look.uniform(0.45, 0.75)
    hips = _turned(pose.hips)
    chest = hips @ _turned(pose.chest)
    head = chest @ _turned(pose.head)
    waist = np.array([0, leg, 0])
    neck = waist + chest @ np.array([0, torso, 0])
    centre = neck + head @ np.array([0, tall * look.uniform(0.44, 0.5), tall * look.uniform(-0.02, 0.08)])
    roundness = float(look.choice([0.3, 0.45, 0.6, 0.8, 1.0]))
    arms = (torso * look.uniform(0.3, 0.5), torso * look.uniform(0.26, 0.46))
    drop, foot, thigh = torso * look.uniform(0.0, 0.1), leg * look.uniform(0.14, 0.3), look.uniform(0.44, 0.56)
    legs = ((leg - foot) * thigh, (leg - foot) * (1 - thigh))
    joints, soles = np.zeros((18, 3)), []
    limbs = ((pose.left_arm, pose.left_leg), (pose.right_arm, pose.right_leg))
    for (sign, arm, thigh_at), (upper, lower) in zip(SIDES, limbs, strict=True):
        at = neck + chest @ np.array([sign * shoulder, -drop, 0])
        joints[arm : arm + 3] = _chain(at, chest, sign, upper, arms)
        at = waist + hips @ np.array([sign * hip, 0, 0])
        joints[thigh_at : thigh_at + 3] = _chain(at, hips, sign, lower, legs)
        ankle, shin = joints[thigh_at + 2], joints[thigh_at + 2] - joints[thigh_at + 1]
        soles.append(ankle + shin / np.linalg.norm(shin) * foot)
    joints[FACE] = centre + _face(look, roundness) * np.array(skull) @ head.T
    joints[skeleton.NECK] = joints[[skeleton.LEFT_SHOULDER, skeleton.RIGHT_SHOULDER]].mean(axis=0)
    return Bones(
        joints, hips, chest, head, waist, centre, (soles[0], soles[1]), skull, roundness, torso, leg, shoulder, hip
    )


def _face(look: Random, roundness: float) -> Floats:
    """(5, 3) nose, eyes and ears on the surface of the head, in half-sizes of it."""
    across, level = look.uniform(0.28, 0.48), look.uniform(-0.28, 0.08)
    nose, ear = level - look.uniform(0.1, 0.26), level - look.uniform(-0.05, 0.25)
    eyes = [(sign * across, level, _front(across, level, roundness)) for sign, _, _ in SIDES]
    return np.array([(0, nose, _front(0, nose, roundness)), *eyes, (0.98, ear, -0.05), (-0.98, ear, -0.05)])


def _front(x: float, y: float, roundness: float) -> float:
    """How far in front the unit superellipsoid is at x, y."""
    power = 2 / roundness
    return float(max(1 - abs(x) ** power - abs(y) ** power, 0.0) ** (1 / power))


def _chain(root: Floats, axes: Floats, sign: float, limb: Limb, lengths: tuple[float, float]) -> Floats:
    """(3, 3) the three joints of a limb from its root on."""
    mirror = np.array([sign, 1, 1])
    upper, lower = unit((np.array([limb.upper, limb.lower]) * mirror) @ axes.T)
    return np.stack([root, root + lengths[0] * upper, root + lengths[0] * upper + lengths[1] * lower])


def _turned(angles: Vector) -> Floats:
    turn, bend, tilt = angles
    return Rotation.from_euler("YXZ", [turn, bend, -tilt], degrees=True).as_matrix()
