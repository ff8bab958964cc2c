"""Stage render: people to train the detectors with and to score them on. Run as `python -m models.detectors.render`."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
from tqdm import tqdm

from models.detectors import examples, settings
from models.detectors.examples import HEIGHT, WIDTH, Examples
from models.detectors.settings import Cast
from pipeline.people import skeleton
from pipeline.render import Figure, FigureSpec, plan, render

HAIRCUTS = ("crop", "short", "bob", "long", "bun", "ponytail", "twin", "spiky")


def specifications(cast: Cast) -> list[FigureSpec]:
    """What to render for a cast; ValueError for an unknown style."""
    if cast.style == "characters":
        return plan("toon", people=cast.people, poses=cast.poses, seed=cast.seed)
    if cast.style not in ("natural", "toon"):
        raise ValueError(f"style '{cast.style}' is not natural, toon or characters")
    natural = plan("natural", people=cast.people, poses=cast.poses, seed=cast.seed, variety=cast.variety)
    return natural if cast.style == "natural" else _drawn(natural, cast)


def _drawn(natural: Sequence[FigureSpec], cast: Cast) -> list[FigureSpec]:
    """The same people as cartoon characters: each keeps its looks from pose to pose."""
    out = []
    for number, spec in enumerate(natural):
        random = np.random.default_rng((cast.seed, number // cast.poses))
        colour = tuple(float(v) for v in random.uniform(0.05, 0.98, 3))
        hair = replace(spec.hair, style=str(random.choice(HAIRCUTS)), colour=colour)  # type: ignore[arg-type]
        face = replace(spec.face, eye_size=random.uniform(0.7, 1.2))
        # The renderer's own plan already numbers people and poses: only the prefix tells the two apart.
        out.append(
            replace(
                spec,
                id=f"toon_{spec.id}",
                style="toon",
                hair=hair,
                face=face,
                head_size=random.uniform(1.2, 2.2),
                grain=0.0,
            )
        )
    return out


def render_cast(cast: Cast, *, name: str, workers: int) -> Examples:
    """The finished pictures of a cast, of kind `name`; the same whatever the number of workers."""
    specs = specifications(cast)
    images = np.zeros((len(specs), HEIGHT, WIDTH, 3), np.uint8)
    maps = np.zeros((len(specs), HEIGHT, WIDTH), np.uint8)
    joints = np.zeros((len(specs), len(skeleton.JOINTS), 3), np.float32)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        # A worker keeps the parts of the person it drew last: all poses of one person go to the same one.
        figures = pool.map(_render, specs, chunksize=max(1, cast.poses))
        for row, figure in enumerate(tqdm(figures, total=len(specs), desc=name, unit="picture")):
            images[row], maps[row], joints[row] = figure.image, figure.labels, figure.joints
    names = [f"{name}/{spec.id}" for spec in specs]
    return Examples(images, joints, maps, np.ones(len(specs), np.bool_), names, [name] * len(specs))


def _render(spec: FigureSpec) -> Figure:
    return render(spec, width=WIDTH, height=HEIGHT)


def main() -> None:
    """Write data/rendered.h5 and data/held_out.h5."""
    params = settings.read()
    for casts, name in ((params.train, "rendered"), (params.held_out, "held_out")):
        parts = [render_cast(cast, name=kind, workers=params.render_workers) for kind, cast in casts.items()]
        examples.write(settings.HERE / "data" / f"{name}.h5", examples.join(parts))


if __name__ == "__main__":
    main()
