"""The two drawn characters: a girl with blue tails of hair in a red dress, and a boy with spiky hair in a jacket."""

from dataclasses import dataclass

import numpy as np

from pipeline.people import labels
from pipeline.render.backdrops import Backdrop
from pipeline.render.faces import Face
from pipeline.render.garments import ANKLE, KNEE, SLEEVES, Garment
from pipeline.render.hair import Hair
from pipeline.render.patterns import Cloth, Colour
from pipeline.render.people import FigureSpec
from pipeline.render.poses import CATALOGUE, TOON_TEST, TOON_TRAIN, TOON_VAL
from pipeline.render.shading import Light
from pipeline.render.tracing import View

HEAD_SIZE = 2.0
WHITE: Colour = (0.98, 0.97, 0.96)
RED: Colour = (0.87, 0.20, 0.25)
WALLS: tuple[Colour, ...] = ((0.93, 0.95, 0.99), (0.99, 0.95, 0.90), (0.92, 0.97, 0.93), (0.97, 0.97, 0.97))
YAWS_DEG = {
    "stand": 0, "hip_left": -28, "walk_left": 42, "wave": 14, "spread": -8, "crossed": 165, "one_up": -50,
    "relaxed": 24, "hips": -12, "walk_right": -72, "raised": 6, "bent": 36, "run": 58, "reach": -36,
    "hip_right": 30,
}  # fmt: skip


@dataclass(frozen=True)
class Character:
    """What stays the same in all pictures of a character."""

    phenotype: dict[str, float]
    hair: Hair
    face: Face
    outfit: tuple[Garment, ...]


def _cloth(colour: Colour, second: Colour = WHITE, pattern: str = "plain", scale: float = 0.05) -> Cloth:
    return Cloth(pattern, colour, second, second, scale)


GIRL = Character(
    {
        "gender": 1.0, "age": 0.42, "muscle": 0.45, "weight": 0.34, "height": 0.42, "proportions": 1.0,
        "cupsize": 0.35, "firmness": 0.7, "caucasian": 0.6, "asian": 0.4,
    },
    Hair("twin", (0.36, 0.62, 0.93), 0.034, 0.020, seed=3, strands=0.0),
    Face((0.99, 0.87, 0.79), (0.25, 0.55, 0.92), (0.20, 0.34, 0.60), (0.85, 0.35, 0.38), eye_size=1.0),
    (
        Garment("hose", labels.LEG, _cloth(WHITE), -1.0, KNEE + 0.10, thickness=0.004, smooth=2),
        Garment("shoes", labels.LEG, _cloth((0.62, 0.16, 0.22), (0.30, 0.10, 0.14)), -1.0, -0.70, thickness=0.014),
        Garment("top", labels.UPPER_CLOTHES, _cloth(RED, pattern="border"), 0.08, sleeve=SLEEVES["cap"], smooth=6),
        Garment("skirt", labels.UPPER_CLOTHES, _cloth(RED, pattern="border"), -0.24, 0.165, thickness=0.014, flare=2.2),
    ),
)  # fmt: skip
BOY = Character(
    {
        "gender": 0.0, "age": 0.44, "muscle": 0.55, "weight": 0.38, "height": 0.45, "proportions": 1.0,
        "caucasian": 0.5, "asian": 0.5,
    },
    Hair("spiky", (0.95, 0.62, 0.20), 0.020, 0.022, seed=5, strands=0.0),
    Face((0.96, 0.80, 0.67), (0.30, 0.62, 0.36), (0.42, 0.24, 0.10), (0.75, 0.38, 0.34), eye_size=0.88),
    (
        Garment("shoes", labels.LEG, _cloth((0.93, 0.93, 0.95), (0.25, 0.27, 0.35)), -1.0, -0.69, thickness=0.016),
        Garment("pants", labels.PANTS, _cloth((0.30, 0.33, 0.42)), ANKLE + 0.01, 0.14, thickness=0.014, flare=0.03),
        Garment("top", labels.UPPER_CLOTHES, _cloth(WHITE, (0.90, 0.45, 0.15), "stripes", 0.07), 0.05,
                sleeve=SLEEVES["short"], thickness=0.018, flare=0.02, smooth=8),
        Garment("jacket", labels.UPPER_CLOTHES, _cloth((0.15, 0.48, 0.50)), 0.03, sleeve=SLEEVES["long"],
                thickness=0.030, flare=0.07, smooth=12),
    ),
)  # fmt: skip


def plan_characters(*, people: int, poses: int, seed: int) -> list[FigureSpec]:
    """Per character `poses` train, `poses` test and one val picture; ValueError when there are not so many."""
    if people > 2 or poses > len(TOON_TRAIN):
        raise ValueError(f"there are 2 drawn characters with {len(TOON_TRAIN)} poses each, not {people} with {poses}")
    out = []
    for index, character in enumerate((GIRL, BOY)[:people]):
        names = [(name, "train") for name in TOON_TRAIN[:poses]] + [(name, "test") for name in TOON_TEST[:poses]]
        names += [(name, "val") for name in TOON_VAL]
        for number, (name, split) in enumerate(names):
            rng = np.random.default_rng([seed, index, number])
            out.append(_spec(character, f"toon{index}", number, name, split, rng))
    return out


def _spec(
    character: Character, person: str, number: int, name: str, split: str, rng: np.random.Generator
) -> FigureSpec:
    wall = WALLS[int(rng.integers(len(WALLS)))]
    ground = (wall[0] * 0.9, wall[1] * 0.9, wall[2] * 0.9)
    return FigureSpec(
        id=f"{person}_{number:02d}",
        person=person,
        pose=name,
        split=split,
        style="toon",
        phenotype=tuple(sorted(character.phenotype.items())),
        outfit=character.outfit,
        hair=character.hair,
        face=character.face,
        stance=CATALOGUE[name],
        view=View(yaw_deg=float(YAWS_DEG[name] + rng.normal(0, 3)), pitch_deg=3.0, fill=0.94, distance=3.4),
        light=Light((-0.45, 0.75, 0.6)),
        backdrop=Backdrop("sweep", wall, ground, wall),
        head_size=HEAD_SIZE,
    )
