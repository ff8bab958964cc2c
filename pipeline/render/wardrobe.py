"""Who people are and what they wear: drawn at random, each choice believable beside the others."""

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pipeline.people import labels
from pipeline.render.faces import Face
from pipeline.render.garments import ANKLE, KNEE, SLEEVES, Garment
from pipeline.render.hair import Hair
from pipeline.render.patterns import Cloth, Colour

Choice = TypeVar("Choice")

SKINS = (
    (0.95, 0.79, 0.70), (0.91, 0.73, 0.62), (0.86, 0.67, 0.54), (0.78, 0.58, 0.44), (0.66, 0.46, 0.33),
    (0.54, 0.37, 0.27), (0.45, 0.30, 0.22), (0.36, 0.245, 0.185),
)  # fmt: skip
HAIRS = (
    (0.09, 0.07, 0.06),
    (0.17, 0.11, 0.08),
    (0.30, 0.19, 0.11),
    (0.45, 0.28, 0.15),
    (0.72, 0.55, 0.32),
    (0.50, 0.20, 0.10),
)
GREYS = ((0.62, 0.61, 0.60), (0.42, 0.41, 0.40), (0.82, 0.81, 0.79))
IRISES = ((0.25, 0.15, 0.08), (0.33, 0.22, 0.10), (0.25, 0.38, 0.52), (0.28, 0.40, 0.25))
FEATURES = (
    "head/head-oval", "head/head-round", "head/head-square", "head/head-fat-incr", "nose/nose-scale-horiz-incr",
    "nose/nose-hump-incr", "chin/chin-width-incr", "chin/chin-prominent-incr",
)  # fmt: skip
NEUTRALS: tuple[Colour, ...] = (
    (0.95, 0.95, 0.94), (0.13, 0.13, 0.15), (0.35, 0.36, 0.39), (0.62, 0.62, 0.63), (0.15, 0.19, 0.33),
    (0.78, 0.70, 0.58), (0.42, 0.31, 0.23), (0.90, 0.86, 0.77),
)  # fmt: skip
DENIMS = ((0.22, 0.31, 0.47), (0.36, 0.48, 0.64), (0.13, 0.17, 0.27), (0.60, 0.69, 0.78))
LEATHERS = ((0.12, 0.11, 0.11), (0.36, 0.22, 0.13), (0.93, 0.92, 0.90), (0.55, 0.38, 0.24), (0.60, 0.10, 0.12))
TOP_PATTERNS = {
    "plain": 5, "stripes": 2, "checks": 1.3, "dots": 1.2, "flowers": 1.2, "logo": 2, "melange": 1, "blocks": 0.6,
    "gingham": 0.8, "pinstripes": 0.6, "camouflage": 0.3,
}  # fmt: skip


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(rng: np.random.Generator, options: dict[str, float]) -> str:
    """One of the names, as likely as its weight."""
    names, weights = list(options), np.array(list(options.values()), float)
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def vivid(rng: np.random.Generator) -> Colour:
    """A colour that cloth may have, neither grey nor neon."""
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.30, 0.72), rng.uniform(0.35, 0.88))


def any_colour(rng: np.random.Generator) -> Colour:
    """A neutral or a vivid colour."""
    return pick(rng, NEUTRALS) if rng.random() < 0.42 else vivid(rng)


def contrast(rng: np.random.Generator, colour: Colour) -> Colour:
    """A colour that can be told from the given one."""
    for _ in range(12):
        other = any_colour(rng)
        if abs(sum(other) - sum(colour)) > 0.8:
            return other
    return (0.95, 0.95, 0.95) if sum(colour) < 1.5 else (0.12, 0.12, 0.15)


def draw_cloth(rng: np.random.Generator, patterns: dict[str, float]) -> Cloth:
    """A cloth with one of the patterns."""
    pattern = pick_weighted(rng, patterns)
    colour = any_colour(rng)
    second, third = contrast(rng, colour), vivid(rng)
    low, high = {"stripes": (0.025, 0.06), "flowers": (0.05, 0.09), "dots": (0.03, 0.06)}.get(pattern, (0.035, 0.07))
    return Cloth(pattern, colour, second, third, rng.uniform(low, high), int(rng.integers(1000)))


def draw_phenotype(rng: np.random.Generator, female: bool) -> dict[str, float]:
    """A shape as bodies.rest_vertices takes it: mostly adults, some teenagers and old people."""
    band = rng.random()
    age = rng.uniform(0.37, 0.45) if band < 0.10 else rng.uniform(0.48, 0.72) if band < 0.86 else rng.uniform(0.80, 1.0)
    heavy = rng.beta(2.2, 2.6)
    shape = {
        "gender": 1.0 if female else 0.0,
        "age": age,
        "muscle": rng.uniform(0.35, 0.62) if female else rng.uniform(0.42, 0.80),
        "weight": 0.12 + 0.86 * heavy,
        "height": rng.uniform(0.30, 0.62),
        "proportions": rng.uniform(0.55, 1.0),
        "cupsize": rng.uniform(0.30, 0.62),
        "firmness": rng.uniform(0.5, 0.8),
    }
    shape |= {"mouth/mouth-angles-up": rng.uniform(0.2, 0.9)}
    for name in FEATURES:
        if rng.random() < 0.3:
            shape[name] = rng.uniform(0.1, 0.6)
    races = rng.dirichlet([0.45, 0.45, 0.45])
    races = np.where(races < 0.15, 0, races)
    return shape | dict(zip(("african", "asian", "caucasian"), (races / races.sum()).tolist(), strict=True))


def draw_face(rng: np.random.Generator, shape: dict[str, float], hair: Colour, female: bool) -> Face:
    """Skin, eyes and brows that fit the shape and the hair."""
    darkness = 5.5 * shape["african"] + 2.0 * shape["asian"] + 1.2 * shape["caucasian"] + rng.uniform(-1.2, 1.4)
    low = int(np.clip(darkness, 0, len(SKINS) - 2))
    share = float(np.clip(darkness - low, 0, 1))
    skin = np.array(SKINS[low]) * (1 - share) + np.array(SKINS[low + 1]) * share
    lips = skin * [0.86, 0.60, 0.58] if not female else skin * [0.90, 0.52, 0.52]
    iris = pick(rng, IRISES if darkness < 2 else IRISES[:2])
    brow = rgb(np.minimum(np.array(hair) * 0.75, 0.4))
    beard = 0.0 if female or rng.random() < 0.55 or shape["age"] < 0.47 else rng.uniform(0.25, 1.0)
    return Face(rgb(skin), iris, brow, rgb(lips), beard, rng.uniform(0, 0.8) if female else 0.0)


def draw_hair(rng: np.random.Generator, shape: dict[str, float], female: bool) -> Hair:
    """A haircut; grey comes with age."""
    natural = HAIRS if shape["caucasian"] > 0.6 else HAIRS[:3]
    colour = pick(rng, GREYS) if shape["age"] > 0.85 and rng.random() < 0.8 else pick(rng, natural)
    colour = rgb(np.array(colour) * rng.uniform(0.85, 1.15))
    if female:
        style = pick_weighted(
            rng, {"long": 3, "bob": 2, "bun": 1.4, "ponytail": 1.6, "short": 0.6, "afro": shape["african"]}
        )
    else:
        style = pick_weighted(
            rng, {"short": 4, "crop": 2, "bald": 0.5, "bun": 0.15, "long": 0.25, "afro": 0.6 * shape["african"]}
        )
    fringe = (
        rng.uniform(0.025, 0.042)
        if style in ("bob", "long", "ponytail") and rng.random() < 0.45
        else rng.uniform(-0.010, 0.007)
    )
    if style == "crop":
        fringe = 0.0
    ends = rng.uniform(0.595, 0.645) if style == "bob" else rng.uniform(0.36, 0.52)
    volume = rng.uniform(0.016, 0.030) if style == "short" else rng.uniform(0.010, 0.020)
    return Hair(style, colour, fringe, volume, ends, int(rng.integers(100)))


def draw_outfit(rng: np.random.Generator, female: bool) -> tuple[Garment, ...]:
    """Garments, outermost last: shoes, lower, upper and perhaps a jacket."""
    kind = pick_weighted(
        rng, {"dress": 2.2, "skirt": 2.6, "pants": 3, "shorts": 1.2} if female else {"pants": 5, "shorts": 1.6}
    )
    top = _draw_top(rng, female)
    pieces: list[Garment] = list(_draw_footwear(rng, female, bare=kind in ("dress", "skirt", "shorts")))
    if kind == "dress":
        pieces += _draw_dress(rng, top)
    else:
        lower = _draw_skirt(rng) if kind == "skirt" else _draw_pants(rng, short=kind == "shorts")
        tucked = rng.random() < (0.75 if kind == "skirt" else 0.35)
        pieces += (
            [_with_hem(top, lower.waist - 0.06), lower] if tucked else [lower, _with_hem(top, rng.uniform(-0.03, 0.06))]
        )
    if rng.random() < (0.16 if kind == "dress" else 0.24):
        pieces.append(_draw_jacket(rng))
    return tuple(pieces)


def _with_hem(top: Garment, hem: float) -> Garment:
    return replace(top, hem=float(hem))


def _draw_top(rng: np.random.Generator, female: bool) -> Garment:
    sleeve = pick_weighted(rng, {"none": 1.6, "cap": 0.8, "short": 3, "half": 1, "three": 0.8, "long": 3.4} if female
                           else {"none": 0.4, "short": 4, "half": 1, "long": 4})  # fmt: skip
    necks = {"crew": 3, "v": 2, "scoop": 2, "boat": 1, "high": 0.8} if female else {"crew": 5, "v": 1.6, "high": 0.6}
    neck = pick_weighted(rng, necks | ({"strap": 2.5} if sleeve == "none" and female else {}))
    loose = rng.random()
    return Garment(
        "top", labels.UPPER_CLOTHES, draw_cloth(rng, TOP_PATTERNS), 0.0, 1.0, SLEEVES[sleeve], neck,
        0.006 + 0.010 * loose, 0.01 + 0.09 * loose, int(8 + 40 * loose),
    )  # fmt: skip


def _draw_pants(rng: np.random.Generator, short: bool) -> Garment:
    loose = rng.random()
    if rng.random() < 0.5:
        colour = pick(rng, DENIMS)
        cloth = Cloth("denim", colour, colour, rgb(np.array(colour) * 0.8), 0.05, int(rng.integers(1000)))
    else:
        cloth = draw_cloth(rng, {"plain": 5, "pinstripes": 0.6, "checks": 0.6, "melange": 1, "camouflage": 0.3})
    hem = (
        rng.uniform(-0.36, -0.14)
        if short
        else rng.choice([ANKLE, ANKLE + 0.02, ANKLE + 0.09, -0.58], p=[0.5, 0.25, 0.15, 0.1])
    )
    return Garment("pants", labels.PANTS, cloth, float(hem), rng.uniform(0.09, 0.15), 0.0, "crew",
                   0.006 + 0.008 * loose, 0.008 + (0.05 if short else 0.035) * loose, int(5 + 14 * loose))  # fmt: skip


def _draw_skirt(rng: np.random.Generator) -> Garment:
    cloth = draw_cloth(rng, {"plain": 4, "checks": 1.6, "dots": 1, "flowers": 1.4, "stripes": 1, "gingham": 0.8})
    hem = pick(rng, (rng.uniform(-0.27, -0.16), rng.uniform(-0.42, -0.30), rng.uniform(-0.66, -0.50)))
    return Garment("skirt", labels.SKIRT, cloth, float(hem), rng.uniform(0.10, 0.155), 0.0, "crew", 0.010,
                   float(rng.choice([0.15, 0.7, 1.2])), 3)  # fmt: skip


def _draw_dress(rng: np.random.Generator, top: Garment) -> list[Garment]:
    hem = float(pick(rng, (rng.uniform(-0.26, -0.16), rng.uniform(-0.42, -0.30), rng.uniform(-0.66, -0.52))))
    cloth = draw_cloth(rng, {"plain": 4, "dots": 1.6, "flowers": 2.2, "stripes": 1.4, "checks": 0.8, "gingham": 0.8})
    bodice = Garment("top", labels.UPPER_CLOTHES, cloth, 0.02, 1.0, top.sleeve, top.neck, 0.007, 0.0, 5)
    skirt = Garment(
        "skirt", labels.UPPER_CLOTHES, cloth, hem, 0.165, 0.0, "crew", 0.012, float(rng.choice([0.2, 0.8, 1.3])), 3
    )
    return [bodice, skirt]


def _draw_jacket(rng: np.random.Generator) -> Garment:
    cloth = draw_cloth(rng, {"plain": 4, "denim": 1.5, "melange": 1.5, "checks": 0.6})
    return Garment(
        "jacket", labels.UPPER_CLOTHES, cloth, rng.uniform(-0.10, 0.06), 1.0, SLEEVES["long"], "crew", 0.019, 0.06, 70
    )


def _draw_footwear(rng: np.random.Generator, female: bool, bare: bool) -> list[Garment]:
    leather = any_colour(rng) if rng.random() < 0.4 else pick(rng, LEATHERS)
    sole = (0.93, 0.93, 0.92) if rng.random() < 0.5 else (0.10, 0.09, 0.09)
    kind = pick_weighted(rng, {"low": 3, "boots": 0.7, "flat": 1.2 if female else 0.2})
    top = {"low": -0.728, "boots": rng.uniform(-0.62, -0.48), "flat": -0.772}[kind]
    cloth = Cloth("plain", leather, sole, sole)
    shoes = Garment(
        "shoes", labels.LEG, cloth, -1.0, float(top), thickness=0.009 if kind != "flat" else 0.005, smooth=3
    )
    if not bare or kind == "boots" or rng.random() < 0.65:
        return [shoes]
    hose_colour = pick(rng, ((0.14, 0.13, 0.14), (0.93, 0.93, 0.92), (0.25, 0.20, 0.22)))
    reach = rng.choice([-0.69, KNEE - 0.06, 0.05], p=[0.45, 0.2, 0.35] if female else [0.8, 0.2, 0.0])
    hose = Cloth("plain", hose_colour, hose_colour, hose_colour)
    return [Garment("hose", labels.LEG, hose, -1.0, float(reach), thickness=0.003, smooth=1), shoes]


def rgb(colour: ArrayLike) -> Colour:
    """The colour as three numbers in 0..1."""
    red, green, blue = np.clip(np.asarray(colour, float), 0, 1)
    return float(red), float(green), float(blue)
