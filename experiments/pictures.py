"""Question 1, continued: pictures of further domains, and what fails on them.

Run as `python -m experiments.pictures`. Folders come from `pictures:` in params.yaml; nothing of them is kept in git:
the grids lie in data/pictures, the numbers in results/.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments import settings
from experiments.settings import HERE
from experiments.tables import Cell, Result, Table, cell
from models.data import to_levels
from models.method import Method, load
from models.metrics.intervals import Interval, bootstrap_mean
from models.metrics.people import score_poses
from models.metrics.pictures import score_picture
from pipeline.errors import UserError
from pipeline.people.labels import BACKGROUND
from pipeline.pictures import Bytes
from stages import sheets
from stages.artifacts import artifact
from stages.drawing import beside, blank, draw_skeleton
from stages.looks import Looker, Recipe, read_recipe
from stages.measuring import look_here
from stages.photograph import Photograph, make_batch, read_photographs
from stages.pictures_in import find_pictures

MOST = 16  # pictures of a folder that are looked at, spread evenly over the names
POSES = 2  # of other pictures of the folder, that each is drawn in
WEIGHTS = {
    "pretrained": artifact("pretrain", "adgan", "weights.safetensors"),
    "on drawn characters": artifact("finetune", "adgan", "target.safetensors"),
}


@dataclass(frozen=True)
class Gathered:
    """A folder: the people that were found, and why the other pictures were set aside, by name."""

    people: dict[str, Photograph]
    set_aside: dict[str, str]


def gather(folder: Path, recipe: Recipe, looker: Looker) -> Gathered:
    """What the pictures below a folder give, each looked at as `posewright transfer` does."""
    if not folder.is_dir():
        raise UserError(f"experiments/params.yaml: pictures: {folder} is no folder")
    paths = find_pictures(folder, without=HERE / "data").paths
    chosen = sheets.choose(paths, MOST)
    people, set_aside = {}, {}
    for stem in chosen:
        path = folder / paths[stem]
        try:
            people[stem] = read_photographs([path], recipe, looker)[path]
        except UserError as error:
            set_aside[stem] = str(error).removeprefix(f"{path}: ").partition(";")[0]
    return Gathered(people, set_aside)


def draw(method: Method, people: Sequence[Photograph], pairs: Sequence[tuple[int, int]]) -> list[Bytes]:
    """The people of the pairs (person, pose), drawn."""
    with torch.inference_mode():
        batches = [make_batch(people[person], people[pose], method.reads) for person, pose in pairs]
        return [to_levels(method.generate(batch))[0].permute(1, 2, 0).numpy() for batch in batches]


def pairs_of(count: int) -> list[tuple[int, int]]:
    """Each picture in its own pose, then in the poses of some others."""
    return [
        (place, (place + step * max(1, count // (POSES + 1))) % count)
        for place in range(count)
        for step in range(POSES + 1)
    ]


def scores_of(
    drawn: Sequence[Bytes], people: Sequence[Photograph], pairs: Sequence[tuple[int, int]]
) -> dict[str, Cell]:
    """How well a picture is drawn in its own pose, and how near the joints are to the poses that were asked for."""
    sight = look_here(drawn)
    poses = np.stack([people[pose].joints for _, pose in pairs])
    away = score_poses(sight.joints, poses, list(sight.scores))
    is_own = np.array([person == pose for person, pose in pairs])
    similar = [
        score_picture(picture, people[person].image, people[person].parsing != BACKGROUND)["ssim_mask"]
        for picture, (person, pose) in zip(drawn, pairs, strict=True)
        if person == pose
    ]
    names = [people[person].name for person, _ in pairs]

    def mean(values: Sequence[float], groups: Sequence[str]) -> Interval:
        return bootstrap_mean(np.array(values), groups)

    others = [name for name, own in zip(names, is_own, strict=True) if not own]
    return {
        "SSIM in its own pose": cell(mean(similar, [name for name, own in zip(names, is_own, strict=True) if own])),
        "joints, px away, other poses": cell(mean(away["joint_error_px"][~is_own], others)),
        "PCKh, other poses": cell(mean(away["pckh"][~is_own], others)),
    }


def write_grid(
    name: str, people: Sequence[Photograph], pairs: Sequence[tuple[int, int]], drawn: dict[str, list[Bytes]]
) -> None:
    """data/pictures/<name>.png: person, pose, what each of the two networks draws."""
    tiles = []
    for place in sheets.choose(range(len(pairs)), 24):
        person, pose = (people[index] for index in pairs[place])
        stick = draw_skeleton(blank(*person.image.shape[1::-1]), pose.joints)
        tiles.append(sheets.Tile(beside(person.image, stick, *(made[place] for made in drawn.values())), person.name))
    heading = f"person · pose · {' · '.join(drawn)}"
    sheets.write_sheet(
        HERE / "data" / "pictures" / f"{name}.png",
        name,
        [sheets.Section(tiles, heading, columns=2)],
        max_bytes=4_000_000,
    )


def main() -> None:
    """Write results/pictures.json and data/pictures/<folder>.png."""
    torch.set_num_threads(1)
    found = settings.read()
    (HERE / "data" / "pictures").mkdir(parents=True, exist_ok=True)
    recipe = read_recipe()
    looker = Looker(recipe)
    methods = {name: load(path) for name, path in WEIGHTS.items()}
    result = Result(
        "1b. Pictures of further domains",
        f"At most {MOST} pictures of each folder, prepared as `posewright transfer` does (joints and labels found, cut "
        f"around the person), drawn by the quick networks in their own pose and in {POSES} others. SSIM is inside the "
        "person and of the own pose, as other poses have no target. 95 % intervals over pictures.",
    )
    counts: Table = {}
    for name, folder in found.pictures.items():
        gathered = gather(folder, recipe, looker)
        people = list(gathered.people.values())
        reasons = Counter(gathered.set_aside.values())
        counts[name] = {
            "looked at": float(len(people) + len(gathered.set_aside)),
            "used": float(len(people)),
            "set aside": "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common()) or "none",
        }
        if not people:
            result.reading.append(f"{name}: nobody could be used: {counts[name]['set aside']}.")
            continue
        pairs = pairs_of(len(people))
        drawn = {which: draw(method, people, pairs) for which, method in methods.items()}
        write_grid(name, people, pairs, drawn)
        scores = {which: scores_of(made, people, pairs) for which, made in drawn.items()}
        result.tables[f"{name}"] = {which: row for which, row in scores.items()}
        result.reading.append(
            f"{name}: {len(people)} of {len(people) + len(gathered.set_aside)} pictures could be used."
        )
    result.tables = {"What was used": counts} | result.tables
    if not found.pictures:
        result.reading.append("No folders are named: set `pictures:` in experiments/params.yaml.")
    result.write("pictures")


if __name__ == "__main__":
    main()
