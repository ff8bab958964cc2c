"""The catalogue of poses that the people of the data set take."""

from pipeline.render.posing import Limb, Pose

# Arms: upper and lower part, x outward, y up, z to the front.
HANGING = Limb((0.22, -1, -0.05), (0.12, -1, 0.12))
RELAXED = Limb((0.30, -1, -0.02), (0.20, -1, 0.22))
AWAY = Limb((0.55, -1, 0.0), (0.45, -1, 0.15))
BENT = Limb((0.20, -1, -0.12), (0.10, -0.25, 1.0))
HIP = Limb((0.75, -0.85, -0.30), (-0.80, -0.62, 0.34))
POCKET = Limb((0.42, -1, -0.28), (-0.12, -1, 0.30))
CROSSED = Limb((0.25, -1, 0.25), (-0.95, 0.05, 0.62))
FORWARD = Limb((0.15, -1, 0.45), (0.08, -0.95, 0.75))
BACKWARD = Limb((0.20, -1, -0.42), (0.14, -1, -0.10))
CHIN = Limb((0.15, -1, 0.25), (-0.42, 0.95, 0.55))
WAVE = Limb((1.0, -0.10, 0.10), (0.30, 1.0, 0.15))
SPREAD = Limb((1.0, -0.15, 0.0), (1.0, -0.05, 0.1))
RAISED = Limb((0.75, 0.75, 0.05), (0.15, 1.0, 0.05))
HAIR = Limb((0.80, 0.30, 0.15), (-0.55, 0.85, -0.10))
BEHIND = Limb((0.32, -1, -0.35), (-0.45, -0.75, -0.30))
REACH = Limb((0.15, -0.15, 1.0), (0.0, 0.05, 1.0))
FISTS = Limb((0.35, -1, 0.15), (-0.15, 0.75, 0.75))

# Legs.
STRAIGHT = Limb((0.04, -1, 0.0), (0.03, -1, -0.02))
APART = Limb((0.13, -1, 0.0), (0.10, -1, -0.03))
EASED = Limb((0.16, -1, 0.16), (0.10, -1, -0.10))
STEP = Limb((0.03, -1, 0.36), (0.01, -1, 0.08))
TRAIL = Limb((0.03, -1, -0.20), (0.02, -1, -0.46))
STRIDE = Limb((0.03, -1, 0.62), (0.0, -1, -0.05))
PUSH = Limb((0.03, -1, -0.35), (0.02, -0.8, -0.75))
ACROSS = Limb((-0.10, -1, 0.14), (-0.08, -1, 0.02))
LUNGE = Limb((0.08, -0.8, 0.75), (0.05, -1, -0.1))
KICK = Limb((0.10, -0.9, 0.55), (0.08, -1, -0.75))
KNEE = Limb((0.06, -0.35, 1.0), (0.03, -1, -0.1))

CATALOGUE = {
    pose.name: pose
    for pose in (
        Pose("stand", HANGING, HANGING, APART, STRAIGHT),
        Pose("relaxed", RELAXED, RELAXED, APART, EASED, hips=(0, 0, 3), chest=(0, 0, -4)),
        Pose("hip_left", HIP, RELAXED, STRAIGHT, EASED, hips=(0, 0, -5), chest=(0, 0, 6), head=(8, 0, -4)),
        Pose("hip_right", RELAXED, HIP, EASED, STRAIGHT, hips=(0, 0, 5), chest=(0, 0, -6), head=(-8, 0, 4)),
        Pose("hips", HIP, HIP, APART, APART, head=(0, -2, 3)),
        Pose("walk_left", BACKWARD, FORWARD, STEP, TRAIL, hips=(-8, 2, 0), chest=(14, 0, 0), heels_deg=(-6, 28)),
        Pose("walk_right", FORWARD, BACKWARD, TRAIL, STEP, hips=(8, 2, 0), chest=(-14, 0, 0), heels_deg=(28, -6)),
        Pose("crossed", CROSSED, CROSSED, APART, STRAIGHT, head=(0, 3, 0), curl_deg=10),
        Pose("bent", BENT, RELAXED, STRAIGHT, EASED, head=(6, 4, 0)),
        Pose("pockets", POCKET, POCKET, APART, EASED, hips=(0, 0, 2), curl_deg=8),
        Pose("chin", CHIN, CROSSED, STRAIGHT, EASED, head=(10, 3, 5)),
        Pose("wave", RELAXED, WAVE, STRAIGHT, APART, head=(-6, 0, 4)),
        Pose("hair", HAIR, HIP, STRAIGHT, EASED, hips=(0, 0, -4), chest=(0, 0, 7), head=(0, -3, 5)),
        Pose("ankles", HANGING, RELAXED, ACROSS, STRAIGHT, hips=(0, 0, -3), head=(5, 0, 3)),
        Pose("behind", BEHIND, BEHIND, STRAIGHT, APART, head=(-7, -2, 0)),
        Pose("spread", SPREAD, SPREAD, APART, APART),
        Pose("raised", RAISED, RAISED, APART, APART, head=(0, -6, 0), curl_deg=6),
        Pose("one_up", RAISED, HIP, APART, STRAIGHT, chest=(0, 0, -4), head=(0, -4, 6)),
        Pose("away", AWAY, AWAY, APART, APART, curl_deg=10),
        Pose("reach", REACH, BACKWARD, LUNGE, PUSH, chest=(0, 4, 0), heels_deg=(0, 35)),
        Pose("run", FISTS, Limb((0.25, -0.8, -0.75), (-0.1, -0.7, 0.75)), PUSH, KNEE, chest=(8, 8, 0),
             heels_deg=(40, 5), curl_deg=55),
        Pose("lunge", HIP, FORWARD, LUNGE, PUSH, heels_deg=(0, 35)),
        Pose("kick", AWAY, FORWARD, STRAIGHT, KICK, chest=(0, -4, 0), heels_deg=(0, 30)),
    )
}  # fmt: skip

# For a fashion catalogue, with how often each is taken.
FASHION = {
    "stand": 2, "relaxed": 3, "hip_left": 2, "hip_right": 2, "hips": 1, "walk_left": 2, "walk_right": 2, "crossed": 1,
    "bent": 1.5, "pockets": 1.5, "chin": 0.7, "wave": 0.5, "hair": 0.7, "ankles": 1, "behind": 1, "away": 1,
}  # fmt: skip
LIVELY = ("spread", "raised", "one_up", "reach", "run", "lunge", "kick")

TOON_TRAIN = ("stand", "hip_left", "walk_left", "wave", "spread", "crossed", "one_up")
TOON_VAL = ("hip_right",)
TOON_TEST = ("relaxed", "hips", "walk_right", "raised", "bent", "run", "reach")
