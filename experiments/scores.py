"""Stages look and score: what trained rows draw of held-out pairs, measured under the protocol `plain`.

Run as `python -m experiments.scores look source`, then `python -m experiments.scores row trained cost_as_it_is`. The
target pictures were never trained on: they are those of the domain's test pairs.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import default_collate

from experiments import settings
from experiments.settings import HERE, Settings, scored_folder, trained_folder
from models.data import Draw, Pairs, to_batch, to_levels
from models.method import Method, load
from models.metrics.intervals import Interval, bootstrap_mean, choose_groups
from models.metrics.protocols import PROTOCOLS
from models.metrics.sets import Seen
from pipeline.packed import Pack
from stages.artifacts import pack
from stages.baselines import BASELINES
from stages.measuring import Sight, Targets, look_here, score_pairs, score_set, targets_of

PROTOCOL = PROTOCOLS["plain"]
Picture = NDArray[np.uint8]
Rows = NDArray[np.int32]

# Of a pair, and of the set; what a table of these shows first.
KEPT = ("ssim_mask", "joint_error_px", "pckh", "l1_mask", "ssim", "likeness_lite0", "sharpness", "parsing_miou")
OF_SET = ("is_lite0", "fd_lite0")
COMPARED = ("copy_source", "oracle")

BATCH = 8
SHOWN = 6  # pictures of a row that are kept to be looked at


@dataclass(frozen=True)
class Scores:
    """A row's scores of every pair by metric, the group of every pair, and the scores of the set."""

    pairs: dict[str, list[float]]
    groups: list[str]
    resampled: str
    of_set: dict[str, float]

    def interval(self, metric: str, found: Settings) -> Interval:
        """The mean of a metric with its 95 % interval; of the whole set there is none."""
        if metric in self.of_set:
            value = self.of_set[metric]
            return Interval(value, float("nan"), float("nan"), len(self.groups), 0)
        return bootstrap_mean(np.array(self.pairs[metric]), self.groups, draws=found.bootstrap, seed=found.seed)

    def minus(self, other: "Scores", metric: str, found: Settings) -> Interval:
        """The mean difference to another row, pair by pair, with its interval."""
        apart = np.array(self.pairs[metric]) - np.array(other.pairs[metric])
        return bootstrap_mean(apart, self.groups, draws=found.bootstrap, seed=found.seed)


def read_scores(group: str, name: str) -> Scores:
    """What `score` wrote."""
    return Scores(**json.loads((scored_folder(group, name) / "scores.json").read_text()))


def chosen_pairs(packed: Pack, count: int) -> Rows:
    """At most `count` of the test pairs, spread evenly over the list, so that every person keeps a part of them."""
    rows = packed.pairs("test")
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


@torch.inference_mode()
def generate(method: Method, packed: Pack, rows: Rows) -> list[Picture]:
    """The pictures (H, W, 3) that the system draws of the pairs."""
    pairs, pictures = Pairs(packed, rows, method.reads), []
    for start in range(0, len(rows), BATCH):
        arrays = [pairs[Draw(index)] for index in range(start, min(start + BATCH, len(rows)))]
        batch = to_batch(default_collate(arrays), torch.device("cpu"))
        pictures.extend(to_levels(method.generate(batch)).permute(0, 2, 3, 1).numpy())
    return pictures


def score(pictures: Sequence[Picture], sight: Sight, targets: Targets, packed: Pack, rows: Rows) -> Scores:
    """Every score of the pictures against the targets of the pairs."""
    found = score_pairs(pictures, sight, targets, PROTOCOL)
    persons, names = packed.persons, packed.names
    unit, groups = choose_groups([persons[row] for _, row in rows], [names[row] for _, row in rows])
    values = {metric: [round(float(value), 4) for value in found[metric]] for metric in KEPT}
    of_set = score_set(sight, targets.sight)
    return Scores(values, list(groups), unit, {metric: round(of_set[metric], 4) for metric in OF_SET})


def look(found: Settings, domain: str) -> None:
    """Write what is seen in the target pictures of a domain's test pairs, and the scores of what needs no training."""
    packed = Pack(pack(domain))
    rows = chosen_pairs(packed, found.size.pairs)
    pictures = {name: BASELINES[name](packed, rows) for name in COMPARED}
    sights = {name: look_here(made) for name, made in pictures.items()}
    write_sight(HERE / "data" / "targets" / f"{domain}.npz", sights["oracle"])
    targets = targets_of(packed, rows, sights["oracle"])
    for name, made in pictures.items():
        write_scores(domain, name, score(made, sights[name], targets, packed, rows), made)


def score_row(found: Settings, group: str, name: str) -> None:
    """Write the scores of a trained row and some of its pictures."""
    packed = Pack(pack(found.rows[group][name].domain))
    rows = chosen_pairs(packed, found.size.pairs)
    pictures = generate(load(trained_folder(group, name) / "weights.safetensors"), packed, rows)
    seen = read_sight(HERE / "data" / "targets" / f"{found.rows[group][name].domain}.npz")
    scores = score(pictures, look_here(pictures), targets_of(packed, rows, seen), packed, rows)
    write_scores(group, name, scores, pictures)


def write_scores(group: str, name: str, scores: Scores, pictures: Sequence[Picture]) -> None:
    """Write scores.json and shown.png: some of the pictures beside each other."""
    folder = scored_folder(group, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(vars(scores)) + "\n")
    shown = np.linspace(0, len(pictures) - 1, min(SHOWN, len(pictures))).round().astype(int)
    Image.fromarray(np.concatenate([pictures[place] for place in shown], axis=1)).save(folder / "shown.png")


def write_sight(path: Path, sight: Sight) -> None:
    """Keep a sight: arrays, nothing that could run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "joints": sight.joints,
        "scores": sight.scores,
        "maps": np.stack(sight.maps),
        "features": sight.seen.features.numpy(),
        "logits": sight.seen.logits.numpy(),
        "person": sight.person,
    }
    np.savez_compressed(path, **arrays)


def read_sight(path: Path) -> Sight:
    """What `write_sight` wrote."""
    with np.load(path, allow_pickle=False) as file:
        seen = Seen(torch.from_numpy(file["features"]), torch.from_numpy(file["logits"]))
        return Sight(file["joints"], file["scores"], list(file["maps"]), seen, file["person"])


def main(argv: list[str] | None = None) -> None:
    """Look at a domain, or score a row."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scores", description="Score a row of params.yaml.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("look").add_argument("domain")
    row = actions.add_parser("row")
    row.add_argument("group", choices=settings.GROUPS)
    row.add_argument("row")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = settings.read()
    look(found, args.domain) if args.action == "look" else score_row(found, args.group, args.row)


if __name__ == "__main__":
    main()
