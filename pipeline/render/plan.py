"""The plan of a data set: who is shown, in which pose, from where. Cheap, and the same in every process."""

from dataclasses import replace

import numpy as np

from pipeline.render import characters, wardrobe
from pipeline.render.backdrops import BACKDROPS, Backdrop
from pipeline.render.people import FigureSpec
from pipeline.render.poses import CATALOGUE, FASHION, LIVELY
from pipeline.render.posing import Limb, Pose, Vector
from pipeline.render.shading import Light
from pipeline.render.tracing import View

# Of every twelve people nine train, one validates, two test: the same person always on the same side.
SPLITS = ("train",) * 4 + ("test",) + ("train",) * 3 + ("val",) + ("train",) * 2 + ("test",)
YAWS_DEG = (0.0, 38.0, 180.0, -42.0, 90.0, -12.0, -90.0, 145.0, 20.0, -140.0)


def plan(style: str, *, people: int, poses: int, seed: int, variety: float = 0.0) -> list[FigureSpec]:
    """`people` x `poses` specifications of natural people; `toon`: `people` of the two drawn characters in 2 x `poses`.

    A person depends on the seed and its own number only, and a picture on its own number besides: more people or poses
    leave the others as they were. `variety` 0..1 goes from catalogue pictures to busy backgrounds, odd angles, crops.
    Toon pictures come as `poses` (at most 7) of split train, `poses` of split test and one of split val per character.
    """
    if people < 0 or poses < 0:
        raise ValueError(f"people ({people}) and poses ({poses}) must not be negative")
    if style not in ("natural", "toon"):
        raise ValueError(f"style '{style}' is not one of natural, toon")
    if style == "toon":
        return characters.plan_characters(people=people, poses=poses, seed=seed)
    return [spec for index in range(people) for spec in _person(index, poses, seed, variety)]


def _person(index: int, poses: int, seed: int, variety: float) -> list[FigureSpec]:
    rng = np.random.default_rng([seed, index])
    female = bool((index + rng.integers(2)) % 2)
    shape = wardrobe.draw_phenotype(rng, female)
    hair = wardrobe.draw_hair(rng, shape, female)
    face = wardrobe.draw_face(rng, shape, hair.colour, female)
    outfit = wardrobe.draw_outfit(rng, female)
    backdrop = _draw_backdrop(rng, variety)
    person = f"p{index:03d}"
    out = []
    for number in range(poses):
        own = np.random.default_rng([seed, index, number])
        stance = draw_stance(own, number, variety)
        out.append(
            FigureSpec(
                id=f"{person}_{number}",
                person=person,
                pose=stance.name,
                split=SPLITS[index % len(SPLITS)],
                style="natural",
                phenotype=tuple(sorted(shape.items())),
                outfit=outfit,
                hair=hair,
                face=face,
                stance=stance,
                view=_draw_view(own, number, index, variety),
                light=_draw_light(own, variety),
                backdrop=_draw_backdrop(own, variety) if own.random() < variety else backdrop,
                grain=own.uniform(0, 0.03) * variety,
            )
        )
    return out


def draw_stance(rng: np.random.Generator, number: int, variety: float) -> Pose:
    """A pose of the catalogue, a little different every time."""
    choices = dict(FASHION) | ({name: 6.0 * variety for name in LIVELY} if variety > 0 else {})
    pose = CATALOGUE[
        "stand" if number == 0 and rng.random() < 0.3 * (1 - variety) else wardrobe.pick_weighted(rng, choices)
    ]
    return jittered(pose, rng, 0.05 + 0.16 * variety)


def jittered(pose: Pose, rng: np.random.Generator, amount: float) -> Pose:
    """The pose with every direction moved at random by about `amount`."""

    def moved(vector: Vector, size: float) -> Vector:
        x, y, z = np.array(vector) + rng.normal(0, size, 3)
        return float(x), float(y), float(z)

    def limb(limb: Limb, size: float) -> Limb:
        return Limb(moved(limb.upper, size), moved(limb.lower, size))

    return replace(
        pose,
        left_arm=limb(pose.left_arm, amount),
        right_arm=limb(pose.right_arm, amount),
        left_leg=limb(pose.left_leg, amount * 0.5),
        right_leg=limb(pose.right_leg, amount * 0.5),
        hips=moved(pose.hips, amount * 25),
        chest=moved(pose.chest, amount * 40),
        head=moved(pose.head, amount * 90),
    )


def _draw_view(rng: np.random.Generator, number: int, index: int, variety: float) -> View:
    yaw = YAWS_DEG[number % len(YAWS_DEG)] * (1 if index % 2 else -1) + rng.normal(0, 7)
    if rng.random() < variety:
        yaw = rng.normal(0, 45) if rng.random() < 0.55 else rng.uniform(-180, 180)
    lowest = 0.0
    if rng.random() < 0.12 + 0.25 * variety:
        lowest = rng.choice([0.24, 0.32, 0.45]) if variety > 0.3 else rng.choice([0.22, 0.30])
    return View(
        yaw_deg=float((yaw + 180) % 360 - 180),
        pitch_deg=float(rng.uniform(1, 7) + variety * rng.normal(0, 9)),
        roll_deg=float(variety * rng.normal(0, 6)),
        fill=float(rng.uniform(0.91, 0.96) if lowest == 0 else 1.0) * float(1 - variety * rng.uniform(0, 0.45)),
        lowest=float(lowest),
        shift=(float(rng.normal(0, 0.012 + 0.06 * variety)), float(rng.normal(0, 0.004 + 0.03 * variety))),
        distance=float(rng.uniform(2.4, 3.2) - variety * rng.uniform(0, 0.9)),
    )


def _draw_light(rng: np.random.Generator, variety: float) -> Light:
    side = float(rng.choice([-1, 1])) * rng.uniform(0.3, 0.9)
    tint = 1 + rng.normal(0, 0.02 + 0.06 * variety, 3)
    return Light(
        (float(side), float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.45, 1.0) - variety * rng.uniform(0, 0.8))),
        float(rng.uniform(0.55, 0.72) + variety * rng.uniform(-0.25, 0.25)),
        float(rng.uniform(0.45, 0.58) + variety * rng.uniform(-0.2, 0.15)),
        (float(tint[0]), float(tint[1]), float(tint[2])),
    )


def _draw_backdrop(rng: np.random.Generator, variety: float) -> Backdrop:
    plain = rng.random() < 0.68 - 0.5 * variety
    kind = str(
        rng.choice(["sweep", "plain", "wall"], p=[0.6, 0.2, 0.2]) if plain else wardrobe.pick(rng, BACKDROPS[2:])
    )
    if kind == "sweep" and rng.random() < 0.6:
        level = rng.uniform(0.78, 0.97)
        wall = wardrobe.rgb((level, level, level * rng.uniform(0.97, 1.02)))
    else:
        colour = np.array(wardrobe.any_colour(rng))
        wall = wardrobe.rgb(0.36 + 0.54 * (colour + (colour.mean() - colour) * 0.45 * (1 - variety)))
    ground = wardrobe.rgb(np.array(wall) * rng.uniform(0.72, 0.95) + rng.normal(0, 0.03, 3))
    accent = wardrobe.rgb(np.array(wall) * rng.uniform(0.6, 1.25, 3))
    return Backdrop(kind, wall, ground, accent, float(rng.uniform(0.80, 0.90)), int(rng.integers(10000)))
