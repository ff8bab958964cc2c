"""Question 3: how separate are the attributes? Leakage, probes, mutual information, spectra, error against pose.

Run as `python -m experiments.separation`. The people are rendered for this question: no training has seen them.
"""

from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from experiments import plots, settings
from experiments.codes import AXES, Values, attributes, codes_of, information, probe
from experiments.estimators import effective_rank, jackknife, spectrum
from experiments.leakage import EXCHANGES, NAMES, leak_table, leakage, mean_changes, own_part
from experiments.people import TABLE, trend
from experiments.settings import Settings
from experiments.tables import Cell, Result, Table, cell, holds_zero, said, verdict
from experiments.unseen import Unseen
from models.data import Pictures
from models.method import Method, load
from models.metrics.intervals import Interval, bootstrap_mean
from pipeline.packed import Pack
from stages.artifacts import artifact, pack

# By part and attribute: what a probe explains; mutual information, its mean by chance, and p.
Probes = dict[str, dict[str, Interval]]
Shared = dict[str, dict[str, tuple[float, float, float]]]

_MOST_AXES, _NOTHING = 64, 1e-12  # of a spectrum that is drawn

WEIGHTS = {
    "before": artifact("pretrain", "adgan", "weights.safetensors"),
    "after": artifact("finetune", "adgan", "target.safetensors"),
}


def spectra(methods: dict[str, Method], people: Unseen) -> tuple[Table, dict[str, Values]]:
    """Effective rank of all codes together before and after fine-tuning, on natural people and on drawn characters."""
    packed = Pack(pack("target"))
    drawn = np.unique(packed.pairs("test")).astype(np.int64)
    cast: dict[str, tuple[Pictures, NDArray[np.int64], list[str]]] = {
        "natural people": (people, np.arange(len(people)), people.persons),
        "drawn characters": (packed, drawn, [packed.names[row] for row in drawn]),
    }
    table: Table = {}
    lines: dict[str, Values] = {}
    for who, (pictures, places, groups) in cast.items():
        flat = {when: codes_of(method, pictures, places).reshape(len(places), -1) for when, method in methods.items()}
        table[who] = _ranks(flat, groups)
        lines |= {f"{who}, {when}": spectrum(codes) for when, codes in flat.items()}
    return table, lines


def _ranks(flat: dict[str, Values], groups: list[str]) -> dict[str, Cell]:
    def rank(when: str, rows: NDArray[np.int64]) -> float:
        return effective_rank(flat[when][rows])

    row: dict[str, Cell] = {}
    for when, codes in flat.items():
        row[f"{when} fine-tuning"] = cell(jackknife(partial(rank, when), groups))
        row[f"axes for 90 % of the variance, {when}"] = float((np.cumsum(spectrum(codes)) < 0.9).sum() + 1)
    row["after minus before"] = cell(jackknife(lambda rows: rank("after", rows) - rank("before", rows), groups))
    return row


def main() -> None:
    """Write results/separation.json and its figures."""
    torch.set_num_threads(1)
    found, people = settings.read(), Unseen()
    methods = {when: load(path) for when, path in WEIGHTS.items()}
    codes = codes_of(methods["before"], people, np.arange(len(people)))
    told = attributes(people)
    probes = {
        part: {what: probe(found, codes[:, k], each, people.persons) for what, each in told.items()}
        for k, part in enumerate(NAMES)
    }
    shared = {
        part: {what: information(found, codes[:, k], each, people.persons) for what, each in told.items()}
        for k, part in enumerate(NAMES)
    }
    changes, owners = leakage(found, methods["before"], people)
    ranks, lines = spectra(methods, people)
    pairs = pd.read_parquet(TABLE)
    result = Result(
        "3. How separate are the attributes?",
        f"The root's quick ADGAN: eight codes of {codes.shape[2]} numbers. {len(set(people.persons))} rendered people "
        f"whom no training has seen, {len(people)} pictures. Probes: ridge on two thirds of the people, share of the "
        "variance explained among the others. Mutual information: Kraskov's estimator (k = 3), in nats, between the "
        f"first {AXES} principal axes of a code and of what is told; chance: people exchanged {found.draws} times. "
        f"Leakage: one part taken from another person, {EXCHANGES} times, mean absolute change in grey levels by "
        "region. 95 % intervals over people; of ranks by leaving one out.",
    )
    result.tables["Linear probes: share of the variance explained"] = {
        part: {what: cell(value) for what, value in row.items()} for part, row in probes.items()
    }
    result.tables["Mutual information above chance, nats (p)"] = {
        part: {what: f"{value - chance:.2f} ({p:.3f})" for what, (value, chance, p) in row.items()}
        for part, row in shared.items()
    }
    result.tables["Leakage: change in the region (column) when the part (row) is another person's, grey levels"] = (
        leak_table(found, changes, owners)
    )
    result.tables["Effective rank of all codes together"] = ranks
    result.tables["Error against distance of the poses: rank correlation"] = _distance_table(found, pairs)
    result.reading = reading(found, probes, shared, changes, owners, result.tables)
    result.figures = draw(probes, shared, changes, lines)
    result.write("separation")


def _distance_table(found: Settings, pairs: pd.DataFrame) -> Table:
    names = {"source": "natural people", "target": "drawn characters"}
    return {
        names[str(domain)]: {"SSIM in the person's mask": cell(trend(found, part, "pose_distance"))}
        for domain, part in pairs.groupby("domain")
    }


def reading(
    found: Settings, probes: Probes, shared: Shared, changes: Values, owners: list[str], tables: dict[str, Table]
) -> list[str]:
    """A sentence for each of the five."""
    told = []
    for what in next(iter(probes.values())):
        best = max(probes, key=lambda part: probes[part][what].low)
        sure = [part for part in probes if probes[part][what].low > 0]
        doubt = " (not surely anything)" if holds_zero(probes[best][what]) else ""
        told.append(
            f"Read out linearly, the {what} is told best by the code of {best}: {said(probes[best][what])} of the "
            f"variance{doubt}; clearly more than nothing by {', '.join(sure) or 'none'}."
        )
    own = {part: own_part(found, changes, owners, k) for k, part in enumerate(NAMES)}
    own = {part: value for part, value in own.items() if np.isfinite(value.value)}
    above = [part for part, value in own.items() if value.low > 1 / len(NAMES)]
    tight, loose = (choose(own, key=lambda part: own[part].value) for choose in (max, min))
    told.append(
        f"Exchanging one part changes most in its own region for {tight} ({said(own[tight])} of the change, an even "
        f"leak being {1 / len(NAMES):.3f}) and least for {loose} ({said(own[loose])}); clearly more than evenly for "
        f"{', '.join(above) or 'none'}."
    )
    means = mean_changes(changes)
    np.fill_diagonal(means, np.nan)
    part, region = np.unravel_index(np.nanargmax(means), means.shape)
    leak = bootstrap_mean(changes[:, part, region], owners, draws=found.bootstrap, seed=found.seed)
    told.append(
        f"The largest leak: another {NAMES[part]} changes the region of {NAMES[region]} by {said(leak)} grey levels."
    )
    alpha = 0.05
    by_chance = [f"{part}: {what}" for part, row in shared.items() for what, (_, _, p) in row.items() if p >= alpha]
    total = sum(len(row) for row in shared.values())
    told.append(
        f"Mutual information is above chance (p < {alpha}) for {total - len(by_chance)} of {total} pairs of code and "
        f"attribute; {alpha * total:.0f} of them would be by luck."
    )
    for who, row in tables["Effective rank of all codes together"].items():
        change = row["after minus before"]
        if isinstance(change, dict):
            value = Interval(change["value"], change["low"], change["high"], 0, 0)
            told.append(f"Fine-tuning changes the effective rank of the codes of {who} by {verdict(value)}.")
    for who, cells in tables["Error against distance of the poses: rank correlation"].items():
        found_trend = cells["SSIM in the person's mask"]
        if isinstance(found_trend, dict):
            value = Interval(found_trend["value"], found_trend["low"], found_trend["high"], 0, 0)
            told.append(f"Quality against distance of the poses, {who}: rank correlation {verdict(value)}.")
    return told


def draw(probes: Probes, shared: Shared, changes: Values, lines: dict[str, Values]) -> dict[str, str]:
    """The figures and their captions."""
    what = list(next(iter(probes.values())))
    figure, axes = plots.panels(2, width=5.2, height=3.8)
    values = np.array([[max(row[each].value, 0) for each in what] for row in probes.values()])
    plots.draw_heat(axes[0], values, NAMES, what, "linear probe: variance explained (below 0 as 0)")
    nats = np.array([[row[each][0] - row[each][1] for each in what] for row in shared.values()])
    plots.draw_heat(axes[1], nats, NAMES, what, "mutual information above chance, nats")
    first = plots.write(figure, "separation_codes")
    figure, axes = plots.panels(2, width=5.2, height=3.8)
    plots.draw_heat(axes[0], mean_changes(changes), NAMES, NAMES, "change in the region (column), part exchanged (row)")
    for (name, line), colour in zip(lines.items(), plots.COLOURS, strict=False):
        shown = line[: np.count_nonzero(line > _NOTHING)][:_MOST_AXES]
        axes[1].semilogy(np.arange(1, len(shown) + 1), shown, color=colour, label=name, lw=1.5)
    axes[1].set_xlabel("principal axis", fontsize=9)
    axes[1].set_ylabel("share of the variance", fontsize=9)
    axes[1].legend(fontsize=7.5, frameon=False)
    second = plots.write(figure, "separation_leakage")
    return {
        first: "What the codes tell of garment, turn and posture",
        second: "Leakage, and spectra of the codes before and after fine-tuning",
    }


if __name__ == "__main__":
    main()
