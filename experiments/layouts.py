"""Seed 002: failures of SPT, split into those of the parser and those of the search for pseudo labels.

The rule: a failure is a pair in the worst quarter of SSIM in the person's mask. It is the parser's where the label map
of its source agrees less with the rendered truth than the median pair's; it is the search's where its target pose is
further from every training pose than the median pair's, because a rare pose finds no good pseudo label.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.scores import Scores, chosen_pairs
from experiments.settings import Settings
from experiments.tables import Table, cell, verdict
from models.metrics.intervals import bootstrap_mean
from models.metrics.people import score_layouts
from pipeline.packed import Pack
from pipeline.people.labels import from_png
from pipeline.people.pseudo_labels import pose_distances
from pipeline.shards import ShardReader
from stages.artifacts import artifact, pack

WORST = 0.25
KINDS = ("parsing alone", "searching alone", "both", "neither")


def kinds_of(layout_N: NDArray[np.float64], rarity_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) which of `KINDS` each pair is, from the agreement of its source's map and the rarity of its pose."""
    is_parsing, is_searching = layout_N < np.median(layout_N), rarity_N > np.median(rarity_N)
    return np.where(is_parsing & is_searching, 2, np.where(is_parsing, 0, np.where(is_searching, 1, 3)))


def failures(found: Settings, apart: Scores, joined: Scores) -> tuple[Table, list[str]]:
    """Counts by kind among all pairs and among failures, what joint training changes there, and the reading."""
    packed = Pack(pack("source"))
    rows = chosen_pairs(packed, found.size.pairs)
    truth = ShardReader(artifact("figures", "source", "labels"))
    maps = [packed.parsing(int(row)) for row in rows[:, 0]]
    layout = score_layouts(maps, [from_png(truth[packed.names[row]]) for row in rows[:, 0]])
    known = packed.keypoints[np.unique(packed.pairs("train"))]
    rarity = pose_distances(packed.keypoints[rows[:, 1]], known).min(1).astype(np.float64)
    kinds, before = kinds_of(layout, rarity), np.array(apart.pairs["ssim_mask"])
    is_failure = before <= np.quantile(before, WORST)
    change = np.array(joined.pairs["ssim_mask"]) - before
    table: Table = {}
    told = []
    for number, kind in enumerate(KINDS):
        chosen = is_failure & (kinds == number)
        groups = [apart.groups[row] for row in np.flatnonzero(chosen)]
        mended = bootstrap_mean(change[chosen], groups, draws=found.bootstrap, seed=found.seed)
        table[kind] = {
            "pairs": float((kinds == number).sum()),
            "failures": float(chosen.sum()),
            "SSIM in the mask, E2E minus TS-Pred": cell(mended),
        }
        if chosen.sum() > 1:
            told.append(
                f"Failures, {kind} ({int(chosen.sum())} pairs): joint training changes them by {verdict(mended)}."
            )
    return table, told
