"""Stage render: people to train the detectors with and to score them on. Run as `python -m models.detectors.render`."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
from tqdm import tqdm

from models.detectors import examples, figurines, settings
from models.detectors.examples import HEIGHT, WIDTH, Examples
from models.detectors.figurines import Order
from models.detectors.settings import Cast
from pipeline.people import skeleton
from pipeline.render import Figure, FigureSpec, plan, render

# How much larger than a person's the heads of drawn people are.
TOON_HEADS, CHIBI_HEADS = (1.2, 2.2), (1.8, 2.8)
# How often a shop's pictures show front, half-turned, side, back and half-turned back; where they end, in parts of the
# person's height: nowhere, at the shins, at the knees, at the thighs and at the hips.
SHOP_YAWS = (0.0, 35.0, -35.0, 80.0, -80.0, 180.0, 150.0, -150.0)
SHOP_ODDS = (0.3, 0.12, 0.12, 0.05, 0.05, 0.2, 0.08, 0.08)
# People who turn their backs and look round to the camera, more or less.
BACK_YAWS = (175.0, -175.0, 150.0, -150.0, 125.0, -125.0, 105.0, -105.0)
SHOP_CUTS = (0.0, 0.2, 0.3, 0.4, 0.47, 0.52)
HAIRCUTS = ("crop", "short", "bob", "long", "bun", "ponytail", "twin", "spiky")


def specifications(cast: Cast) -> list[FigureSpec] | list[Order]:
    """What to render for a cast; ValueError for an unknown style."""
    if cast.style == "figurine":
        numbers = [(person, number) for person in range(cast.people) for number in range(cast.poses)]
        return [Order(f"f{person:03d}_{number}", cast.seed, person, number) for person, number in numbers]
    if cast.style == "characters":
        return plan("toon", people=cast.people, poses=cast.poses, seed=cast.seed)
    if cast.style not in ("natural", "shop", "backs", "toon", "chibi"):
        raise ValueError(f"style '{cast.style}' is not natural, shop, backs, toon, chibi, figurine or characters")
    natural = plan("natural", people=cast.people, poses=cast.poses, seed=cast.seed, variety=cast.variety)
    if cast.style in ("shop", "backs"):
        return [_framed_for_a_shop(spec, cast, number) for number, spec in enumerate(natural)]
    return natural if cast.style == "natural" else _drawn(natural, cast)


def _framed_for_a_shop(spec: FigureSpec, cast: Cast, number: int) -> FigureSpec:
    """The same person as a shop shows clothes: from the front, the side or the back, whole or cut at knees or waist."""
    random = np.random.default_rng((cast.seed, number))
    yaws, odds = (BACK_YAWS, None) if cast.style == "backs" else (SHOP_YAWS, SHOP_ODDS)
    yaw = random.choice(yaws, p=odds) + random.normal(0, 8)
    lowest = float(random.choice(SHOP_CUTS))
    view = replace(
        spec.view,
        yaw_deg=float((yaw + 180) % 360 - 180),
        pitch_deg=float(random.uniform(-2, 6)),
        roll_deg=0.0,
        fill=float(random.uniform(0.9, 0.97) if lowest == 0 else random.uniform(0.95, 1.06)),
        lowest=lowest,
        shift=(float(random.normal(0, 0.03)), float(random.normal(0, 0.01))),
    )
    stance = spec.stance
    if cast.style == "backs":
        # Positive turns are to the person's left; whoever faces the picture's right has the camera on the right.
        turn = -np.sign(view.yaw_deg) * random.uniform(0, 75)
        stance = replace(stance, head=(float(turn), *stance.head[1:]))
    return replace(spec, id=f"{cast.style}_{spec.id}", view=view, stance=stance)


def _drawn(natural: Sequence[FigureSpec], cast: Cast) -> list[FigureSpec]:
    """The same people as cartoon characters: each keeps its looks from pose to pose."""
    out = []
    heads = CHIBI_HEADS if cast.style == "chibi" else TOON_HEADS
    for number, spec in enumerate(natural):
        random = np.random.default_rng((cast.seed, number // cast.poses))
        colour = tuple(float(v) for v in random.uniform(0.05, 0.98, 3))
        hair = replace(spec.hair, style=str(random.choice(HAIRCUTS)), colour=colour)  # type: ignore[arg-type]
        face = replace(spec.face, eye_size=random.uniform(0.7, 1.2))
        # The renderer's own plan already numbers people and poses: only the prefix tells the two apart.
        out.append(
            replace(
                spec,
                id=f"{cast.style}_{spec.id}",
                style="toon",
                phenotype=_younger(spec.phenotype, random) if cast.style == "chibi" else spec.phenotype,
                hair=hair,
                face=face,
                head_size=random.uniform(*heads),
                grain=0.0,
            )
        )
    return out


def _younger(phenotype: tuple[tuple[str, float], ...], random: np.random.Generator) -> tuple[tuple[str, float], ...]:
    """The shape of a small child."""
    return tuple((name, random.uniform(0.0, 0.2) if name == "age" else value) for name, value in phenotype)


def squash(figure: Figure, share: float) -> Figure:
    """The figure with everything below the neck at `share` of its height: a figurine that is half head.

    Shrinking the picture beats shrinking the bones: clothes, labels and joints stay in place on the body. The head
    ends up in the middle of the upper half; what the picture lacks above and below repeats its outermost rows.
    """
    neck = float(np.clip(figure.joints[skeleton.NECK, 1], 0, HEIGHT - 1))
    if not skeleton.is_present(figure.joints)[skeleton.NECK]:
        return figure
    lift = (HEIGHT - neck) * (1 - share) / 2
    rows = np.arange(HEIGHT) - lift
    source = np.where(rows <= neck, rows, neck + (rows - neck) / share)
    source = np.clip(np.rint(source), 0, HEIGHT - 1).astype(int)
    joints = figure.joints.copy()
    there = skeleton.is_present(joints)
    y = joints[there, 1]
    joints[there, 1] = np.where(y <= neck, y, neck + (y - neck) * share) + lift
    return replace(figure, image=figure.image[source], labels=figure.labels[source], joints=joints)


def render_cast(cast: Cast, *, name: str, workers: int) -> Examples:
    """The finished pictures of a cast, of kind `name`; the same whatever the number of workers."""
    specs = specifications(cast)
    images = np.zeros((len(specs), HEIGHT, WIDTH, 3), np.uint8)
    maps = np.zeros((len(specs), HEIGHT, WIDTH), np.uint8)
    joints = np.zeros((len(specs), len(skeleton.JOINTS), 3), np.float32)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        # A worker keeps the parts of the person it drew last: all poses of one person go to the same one.
        styles: dict[str, Callable[[Any], Figure]] = {"chibi": _chibi, "figurine": figurines.draw}
        figures = pool.map(styles.get(cast.style, _render), specs, chunksize=max(1, cast.poses))
        for row, figure in enumerate(tqdm(figures, total=len(specs), desc=name, unit="picture")):
            images[row], maps[row], joints[row] = figure.image, figure.labels, figure.joints
    names = [f"{name}/{spec.id}" for spec in specs]
    return Examples(images, joints, maps, np.ones(len(specs), np.bool_), names, [name] * len(specs))


def _render(spec: FigureSpec) -> Figure:
    return render(spec, width=WIDTH, height=HEIGHT)


def _chibi(spec: FigureSpec) -> Figure:
    random = np.random.default_rng([ord(letter) for letter in spec.id])
    return squash(_render(spec), random.uniform(0.4, 0.8))


def main() -> None:
    """Write data/rendered.h5 and data/held_out.h5."""
    params = settings.read()
    for casts, name in ((params.train, "rendered"), (params.tests, "held_out")):
        parts = [render_cast(cast, name=kind, workers=params.render_workers) for kind, cast in casts.items()]
        examples.write(settings.HERE / "data" / f"{name}.h5", examples.join(parts))


if __name__ == "__main__":
    main()
