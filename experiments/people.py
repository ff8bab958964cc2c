"""Question 2: how well does it do for three-dimensional characters, and what makes a pair hard?

Run as `python -m experiments.people`. Rendered people are three-dimensional: how far each is turned is known.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments import plots, settings
from experiments.estimators import bootstrap, rank_correlation
from experiments.scores import generate
from experiments.settings import HERE, Settings
from experiments.tables import Result, Table, cell, said, verdict
from models.method import load
from models.metrics.intervals import ENOUGH_PERSONS, Interval, bootstrap_mean, choose_groups
from models.metrics.protocols import PROTOCOLS
from pipeline.packed import Pack
from pipeline.people.labels import BACKGROUND, LABELS
from pipeline.people.pseudo_labels import pose_distances
from stages.artifacts import artifact, pack

TURNS_DEG = (0, 30, 60, 100, 140, 181)
DISTANCES = ("nearest third", "middle third", "furthest third")
# What is drawn with which weights.
DOMAINS = {
    "natural people": ("source", "pretrain/adgan/weights.safetensors"),
    "drawn characters": ("target", "finetune/adgan/target.safetensors"),
}
TABLE = HERE / "data" / "people.parquet"


def measure(domain: str, weights: str) -> pd.DataFrame:
    """Every test pair: turn between the two, distance of their poses, SSIM around the pixels of each part."""
    packed = Pack(pack(domain))
    rows = packed.pairs("test")
    yaw = pd.read_parquet(artifact("figures", domain, "truth.parquet")).set_index("id")["yaw_deg"]
    yaws = yaw.loc[packed.names].to_numpy()
    turns = np.abs((yaws[rows[:, 1]] - yaws[rows[:, 0]] + 180) % 360 - 180)
    apart = pose_distances(packed.keypoints, packed.keypoints)[rows[:, 0], rows[:, 1]]
    drawn = generate(load(artifact(*weights.split("/"))), packed, rows)
    similar = PROTOCOLS["plain"].ssim["ssim"]
    parts = [
        _by_part(similar.map(made, packed.image(to)), packed.parsing(to))
        for made, to in zip(drawn, rows[:, 1], strict=True)
    ]
    unit, groups = choose_groups([packed.persons[to] for to in rows[:, 1]], [packed.names[to] for to in rows[:, 1]])
    table = pd.DataFrame(parts, columns=[*LABELS, "person"])
    return table.assign(domain=domain, turn_deg=turns, pose_distance=apart, group=groups, unit=unit)


def _by_part(similar: NDArray[np.float64], parsing: NDArray[np.uint8]) -> list[float]:
    """The mean in the region of each label, and in the whole person; NaN where there is none."""
    regions = [parsing == label for label in range(len(LABELS))] + [parsing != BACKGROUND]
    return [float(similar[region].mean()) if region.any() else float("nan") for region in regions]


def binned(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Which rows are in which bin of turn or of distance."""
    turns = {f"{low}° to {high - (high == 181)}°": (table["turn_deg"] >= low) & (table["turn_deg"] < high)
             for low, high in pairwise(TURNS_DEG)}  # fmt: skip
    thirds = pd.qcut(table["pose_distance"], 3, labels=list(DISTANCES))
    return turns | {name: thirds == name for name in DISTANCES}


def tables(found: Settings, table: pd.DataFrame) -> Table:
    """SSIM by part, for all pairs and in every bin."""
    bins = {"all": pd.Series(True, table.index)} | binned(table)
    return {
        f"{name} ({int(is_in.sum())} pairs)": {
            part: cell(_mean(found, table[is_in], part)) for part in ("person", *LABELS)
        }
        for name, is_in in bins.items()
        if is_in.any()
    }


def _mean(found: Settings, table: pd.DataFrame, column: str) -> Interval:
    return bootstrap_mean(table[column].to_numpy(), list(table["group"]), draws=found.bootstrap, seed=found.seed)


def trend(found: Settings, table: pd.DataFrame, against: str, column: str = "person") -> Interval:
    """The rank correlation of a score with what may make a pair hard, with its interval."""
    told = table[np.isfinite(table[column])]
    x, y = told[against].to_numpy(), told[column].to_numpy()
    return bootstrap(
        lambda rows: rank_correlation(x[rows], y[rows]), list(told["group"]), draws=found.bootstrap, seed=found.seed
    )


def reading(found: Settings, name: str, table: pd.DataFrame) -> list[str]:
    """What the numbers say of a domain."""
    by_turn, by_pose = trend(found, table, "turn_deg"), trend(found, table, "pose_distance")
    parts = {part: _mean(found, table, part) for part in LABELS}
    parts = {part: value for part, value in parts.items() if part != "background" and np.isfinite(value.value)}
    best, worst = (choose(parts, key=lambda part: parts[part].value) for choose in (max, min))
    unit = str(table["unit"].iloc[0])
    high, low = (
        f"{part.replace('_', ' ')}, {said(parts[part])} over {_over(parts[part], unit)}" for part in (best, worst)
    )
    return [
        f"{name}: the rank correlation of SSIM in the person's mask with the turn between the two pictures is "
        f"{verdict(by_turn)}; with the distance of the poses {verdict(by_pose)}.",
        f"{name}: best drawn is the part {high}; worst {low}.",
    ]


def _over(value: Interval, unit: str) -> str:
    """Few groups make an interval that is too narrow: they are counted."""
    return f"{value.groups} {unit}" + (", too few for an interval" if value.groups < ENOUGH_PERSONS else "")


def main() -> None:
    """Write results/people.json, its figure, and data/people.parquet, every pair."""
    measured = {name: measure(*where) for name, where in DOMAINS.items()}
    TABLE.parent.mkdir(exist_ok=True)
    pd.concat(measured.values(), ignore_index=True).to_parquet(TABLE, index=False)
    tell(settings.read(), measured)


def tell(found: Settings, measured: dict[str, pd.DataFrame]) -> None:
    """Write what the pairs of each domain say."""
    figure, axes = plots.panels(3, width=4.4)
    for axis, (name, table) in zip(axes, measured.items(), strict=False):
        bins = {key: is_in for key, is_in in binned(table).items() if is_in.any()}
        values = np.array([[_mean(found, table[is_in], part).value for is_in in bins.values()] for part in LABELS])
        plots.draw_heat(axis, values, [part.replace("_", " ") for part in LABELS], list(bins), f"SSIM by part: {name}")
    curves = {
        name: {
            float(table[is_in]["pose_distance"].mean()): _mean(found, table[is_in], "person")
            for is_in in (pd.qcut(table["pose_distance"], 5, labels=False) == fifth for fifth in range(5))
        }
        for name, table in measured.items()
    }
    plots.draw_curves(axes[2], curves, x="distance of the poses, torso lengths", y="SSIM in the person's mask")
    units = ", ".join(f"{name} {len(table)} pairs, over {table['unit'].iloc[0]}" for name, table in measured.items())
    Result(
        "2. How well for three-dimensional characters?",
        "The root's quick ADGAN as it stands (data/pretrain, data/finetune) on all test pairs; SSIM of protocol plain, "
        "mean over the pixels of each part of the target; turn as rendered, distance of the poses in torso lengths; "
        f"95 % intervals: {units}.",
        [sentence for name, table in measured.items() for sentence in reading(found, name, table)],
        {f"SSIM, {name}": tables(found, table) for name, table in measured.items()},
        {plots.write(figure, "people"): "SSIM by part against turn and distance of the poses"},
    ).write("people")


if __name__ == "__main__":
    main()
