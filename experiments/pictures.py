"""Question 1, continued: pictures of further domains, and what fails on them.

Run as `python -m experiments.pictures`. Folders come from `pictures:` in params.yaml; nothing of them is kept in git:
the grids lie in data/pictures, the numbers in results/.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from experiments import domains, settings
from experiments.domains import CHARACTERS, POSE, PRETRAINED, SOURCE, Pairs
from experiments.settings import HERE
from experiments.tables import RESULTS, Result, Table
from models.data import to_levels
from models.method import Method, load
from models.metrics.sets import Seen
from pipeline.errors import UserError
from pipeline.pictures import Bytes
from stages import sheets
from stages.artifacts import artifact
from stages.drawing import beside, blank, draw_skeleton
from stages.looks import Looker, Recipe, read_recipe
from stages.measuring import Sight, look_here
from stages.photograph import Photograph, make_batch, read_photographs
from stages.pictures_in import find_pictures

MOST = 16  # pictures of a folder that are looked at, spread evenly over the names
POSES = 2  # of other pictures of the folder, that each is drawn in
WEIGHTS = {
    PRETRAINED: artifact("pretrain", "adgan", "weights.safetensors"),
    CHARACTERS: artifact("finetune", "adgan", "target.safetensors"),
}
TOLD = (
    f"At most {MOST} pictures of each folder, prepared as `posewright transfer` does (joints and labels found, cut "
    f"around the person), drawn by the quick ADGAN in the own pose and in {POSES} others, of the same person where the "
    "folder has them. SSIM is inside the person. Two rows that nobody drew frame the numbers: the person's picture, "
    "whose pose is wrong, and the picture that the pose is of. Likeness is the cosine of EfficientNet-Lite0's "
    "features. 95 % intervals over the people's pictures: they speak of these folders."
)


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


def draw(method: Method, pairs: Pairs) -> list[Bytes]:
    """The pairs (person, pose), drawn."""
    with torch.inference_mode():
        batches = [make_batch(pairs.people[one], pairs.people[other], method.reads) for one, other in pairs.places]
        return [to_levels(method.generate(batch))[0].permute(1, 2, 0).numpy() for batch in batches]


def look_at(name: str, people: Sequence[Photograph], methods: dict[str, Method], result: Result) -> None:
    """Draw and measure the people of a folder: tables and sentences into the result, the grid into data/pictures."""
    pairs = domains.choose_pairs(people, POSES)
    drawn = {which: draw(method, pairs) for which, method in methods.items()}
    write_grid(name, pairs, drawn)
    # As they are: the person's picture, and that of the pose. What is seen in a picture is looked at once.
    real = look_here([photograph.image for photograph in people])
    persons, poses = (list(places) for places in zip(*pairs.places, strict=True))
    sights = {SOURCE: _rows(real, persons), POSE: _rows(real, poses)}
    sights |= {which: look_here(made) for which, made in drawn.items()}
    pictures = {SOURCE: [people[row].image for row in persons], POSE: [people[row].image for row in poses], **drawn}
    scores = {which: domains.measure(pictures[which], sights[which], real.person[persons], pairs) for which in pictures}
    parts = domains.parts_of(sights, drawn, pairs)
    result.tables[f"{name}: {len(people)} people drawn {len(pairs.places)} times"] = domains.tabulate(scores, pairs)
    result.tables[f"{name}: part by part, in the own pose"] = parts
    result.reading += domains.read_scores(name, scores, parts, pairs)


def _rows(sight: Sight, rows: Sequence[int]) -> Sight:
    seen = Seen(sight.seen.features[rows], sight.seen.logits[rows])
    return Sight(sight.joints[rows], sight.scores[rows], [sight.maps[row] for row in rows], seen, sight.person[rows])


def write_grid(name: str, pairs: Pairs, drawn: dict[str, list[Bytes]]) -> None:
    """data/pictures/<name>.png: person, pose, what each of the two networks draws."""
    tiles = []
    for place in sheets.choose(range(len(pairs.places)), 24):
        person, pose = (pairs.people[index] for index in pairs.places[place])
        stick = draw_skeleton(blank(*person.image.shape[1::-1]), pose.joints)
        tiles.append(sheets.Tile(beside(person.image, stick, *(made[place] for made in drawn.values())), person.name))
    path = HERE / "data" / "pictures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    heading = f"person · pose · {' · '.join(drawn)}"
    sheets.write_sheet(path, name, [sheets.Section(tiles, heading, columns=2)], max_bytes=4_000_000)


def main() -> None:
    """Write results/pictures.json and data/pictures/<folder>.png; without folders what was measured last stays."""
    torch.set_num_threads(1)
    found = settings.read()
    if not found.pictures and (RESULTS / "pictures.json").is_file():
        print("experiments/params.yaml names no folders under `pictures:`; results/pictures.json stays as it is")
        return
    recipe = read_recipe()
    looker = Looker(recipe)
    methods = {name: load(path) for name, path in WEIGHTS.items()} if found.pictures else {}
    result = Result("1b. Pictures of further domains", TOLD + _told_weights() if found.pictures else TOLD)
    counts: Table = {}
    for name, folder in found.pictures.items():
        gathered = gather(folder, recipe, looker)
        people, reasons = list(gathered.people.values()), Counter(gathered.set_aside.values())
        looked = len(people) + len(gathered.set_aside)
        told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common()) or "none"
        counts[name] = {"looked at": float(looked), "used": float(len(people)), "set aside": told}
        result.tables["What was used"] = counts
        result.reading.append(f"{name}: {len(people)} of {looked} pictures could be used; set aside: {told}.")
        if people:
            look_at(name, people, methods, result)
    if not found.pictures:
        result.reading.append("No folders are named: set `pictures:` in experiments/params.yaml.")
    result.write("pictures")


def _told_weights() -> str:
    hashes = (f"{name} {sha256(path.read_bytes()).hexdigest()[:12]}" for name, path in WEIGHTS.items())
    return f" Weights: {', '.join(hashes)}."


if __name__ == "__main__":
    main()
