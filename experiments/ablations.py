"""The tables of the seeds on rendered people: the same rows, our pictures, our protocol, intervals.

Run as `python -m experiments.ablations seed_001`. Published figures stand in columns of their own, with their protocol:
other pictures, other features, other splits, so no row of ours compares with them.
"""

import argparse
import csv
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from experiments import invented, layouts, plots, settings
from experiments.scores import Scores, read_scores
from experiments.settings import HERE, Settings
from experiments.tables import Result, Table, cell, holds_zero, said, verdict

# The row that the others of a table are held against.
FULL = {"seed_001": "pg2_triplet", "seed_002": "spt_e2e", "seed_003": "dpig_seven", "seed_004": "scagan_full"}
TITLES = {
    "seed_001": "Seed 001: PG2, its critics, and WGAN",
    "seed_002": "Seed 002: SPT, how it is trained and what its style loss sees",
    "seed_003": "Seed 003: DPIG, regions, poses, and people who do not exist",
    "seed_004": "Seed 004: SCA-GAN, what is left out",
}
METRICS = {
    "ssim_mask": "SSIM in the person's mask",
    "ssim": "SSIM",
    "joint_error_px": "joints, px away",
    "likeness_lite0": "likeness (Lite0)",
    "sharpness": "sharpness",
    "is_lite0": "IS on Lite0 (not IS)",
    "fd_lite0": "Fréchet distance on Lite0 (not FID)",
}
BASELINES = {"copy_source": "copy the source", "oracle": "the target itself"}
NOTES = {
    "seed_002": ["SPT's own table could not be read where this was written, so no published figures stand beside it."],
}


def read_rows(found: Settings, seed: str) -> dict[str, Scores]:
    """The scores of a table's rows, by name."""
    return {name: read_scores("trained", name) for name in found.of(seed)}


def published(seed: str) -> Table:
    """What was printed, by row: values, protocol and source."""
    table: Table = {}
    with (HERE / "published.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["table"] == seed:
                row = table.setdefault(line["row"], {})
                row[line["metric"]] = float(line["value"])
                row |= {"protocol": line["protocol"], "source": line["source"]}
    return table


def make_table(found: Settings, seed: str, scores: dict[str, Scores]) -> Table:
    """Our rows, and what needs no training."""
    rows = found.of(seed)
    named = {rows[name].title: score for name, score in scores.items()}
    named |= {title: read_scores("source", name) for name, title in BASELINES.items()}
    table: Table = {
        title: {column: cell(score.interval(metric, found)) for metric, column in METRICS.items()}
        for title, score in named.items()
    }
    full = scores[FULL[seed]]
    for title, score in named.items():
        table[title][f"SSIM in the mask minus {rows[FULL[seed]].title}"] = cell(score.minus(full, "ssim_mask", found))
    return table


def compare(found: Settings, seed: str, scores: dict[str, Scores]) -> list[str]:
    """A sentence for each row against the full one, and one for the table."""
    rows, full = found.of(seed), FULL[seed]
    told, clear = [], 0
    for name, score in scores.items():
        if name == full:
            continue
        apart = score.minus(scores[full], "ssim_mask", found)
        clear += not holds_zero(apart)
        joints = score.minus(scores[full], "joint_error_px", found)
        told.append(
            f"{rows[name].title} minus {rows[full].title}: SSIM in the mask {verdict(apart)}; "
            f"joints {verdict(joints)} px."
        )
    copied = scores[full].minus(read_scores("source", "copy_source"), "ssim_mask", found)
    told.append(
        f"{clear} of {len(scores) - 1} rows differ clearly from {rows[full].title} in SSIM in the mask; against "
        f"copying the source {rows[full].title} stands at {verdict(copied)}."
    )
    return told


def converge(found: Settings, seed: str) -> tuple[list[str], dict[str, str]]:
    """Curves of the held-out error while training, and how much they jump from look to look."""
    rows = found.of(seed)
    curves = {name: plots.logged("trained", name, "validation/l1_person") for name in rows}
    figure, (axis,) = plots.panels(1, width=6.4)
    for (name, curve), colour in zip(curves.items(), plots.COLOURS, strict=False):
        axis.plot(list(curve), list(curve.values()), "o-", color=colour, ms=2.5, lw=1.4, label=rows[name].title)
    axis.set_xlabel("steps (of a WGAN's second phase one in ten is G2's)", fontsize=9)
    axis.set_ylabel("L1 in the person's mask, held-out", fontsize=9)
    axis.legend(fontsize=7.5, frameon=False)
    told = []
    for name, curve in curves.items():
        coarse = float(rows[name].set["pg2.coarse"])
        second = [value for step, value in curve.items() if step > coarse * max(curve)]
        if len(second) > 1:
            jumps = float(np.std([later - earlier for earlier, later in pairwise(second)]))
            told.append(
                f"{rows[name].title}: from the first to the last look of its second phase the held-out L1 goes from "
                f"{second[0]:.4f} to {second[-1]:.4f}, with jumps of {jumps:.4f} (one run, no interval)."
            )
    return told, {plots.write(figure, f"{seed}_curves"): "Held-out error while training: convergence and stability"}


def nothing_more(found: Settings, result: Result, scores: dict[str, Scores]) -> None:
    """The table alone."""


def add_curves(found: Settings, result: Result, scores: dict[str, Scores]) -> None:
    """Seed 001: convergence and stability."""
    told, figures = converge(found, "seed_001")
    result.reading += told
    result.figures |= figures


def add_failures(found: Settings, result: Result, scores: dict[str, Scores]) -> None:
    """Seed 002: whose fault failures are, and what joint training mends."""
    table, told = layouts.failures(found, scores["spt_ts_pred"], scores["spt_e2e"])
    result.tables["Failures of TS-Pred, the worst quarter, and what E2E changes"] = table
    result.reading += told


def add_people(found: Settings, result: Result, scores: dict[str, Scores]) -> None:
    """Seed 003: people drawn at random, and what they teach about re-identification."""
    sampled, figure, told = invented.sampling(found)
    result.tables["People drawn at random, against the test pictures"] = sampled
    table, more = invented.reidentification(found)
    result.tables["Re-identification of held-out rendered people"] = table
    result.reading += told + more
    result.figures |= figure


MORE: dict[str, Callable[[Settings, Result, dict[str, Scores]], None]] = {
    "seed_001": add_curves,
    "seed_002": add_failures,
    "seed_003": add_people,
    "seed_004": nothing_more,
}


def main(argv: list[str] | None = None) -> None:
    """Write results/<seed>.json and its figures."""
    parser = argparse.ArgumentParser(prog="python -m experiments.ablations", description="Write a seed's table.")
    parser.add_argument("seed", choices=tuple(FULL))
    seed = parser.parse_args(argv).seed
    found = settings.read()
    scores, rows = read_rows(found, seed), found.of(seed)
    some = scores[FULL[seed]]
    ours, theirs = make_table(found, seed, scores), published(seed)
    strips = {"target": plots.shown("source", "oracle"), "source": plots.shown("source", "copy_source")}
    strips |= {rows[name].title: plots.shown("trained", name) for name in scores}
    result = Result(
        TITLES[seed],
        f"Trained from random weights on the rendered people of the root's pack; {len(some.groups)} test pairs of "
        f"people who were held out, protocol plain, 95 % intervals over {some.resampled}. An interval says how sure "
        "the mean of a row is, not how another training of the same row would end.",
        compare(found, seed, scores) + NOTES.get(seed, []),
        {"Ours": ours},
        {plots.write_strips(strips, seed): "The same held-out pairs, row by row"},
    )
    if theirs:
        result.tables["Published, on other pictures under another protocol: not to be compared with ours"] = theirs
    MORE[seed](found, result, scores)
    best = max(scores, key=lambda name: some_value(scores[name]))
    result.reading.append(
        f"Highest mean SSIM in the mask: {rows[best].title}, {said(scores[best].interval('ssim_mask', found))}."
    )
    result.write(seed)


def some_value(score: Scores) -> float:
    """The mean SSIM in the mask."""
    return float(np.mean(score.pairs["ssim_mask"]))


if __name__ == "__main__":
    main()
