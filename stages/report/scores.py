"""Scores as tables: methods by metrics, and methods against each other pair by pair."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from stages.report import charts

BASELINES = ("copy_source", "nearest_pose", "mean_person", "oracle")
SMALLER_IS_BETTER = (
    *("l1", "l1_mask", "joint_error_px", "lpips", "lpips_hed", "cx_gs", "cx_gt"),
    *("fid", "kid", "fd_lite0", "kd_lite0"),
)
# What a reader looks at first; the rest follows in its own order.
FIRST = ("ssim_mask", "joint_error_px", "pckh", "likeness_lite0", "ssim", "parsing_miou")
_MINUS = "_minus_"


@dataclass(frozen=True)
class Gain:
    """The difference to a rival, pair by pair; `better` or `worse` where its interval leaves 0 out, else `even`."""

    rival: str
    row: dict[str, Any]
    verdict: str


@dataclass(frozen=True)
class Cell:
    """One metric of one method; `sketch` is its interval on the axis that the column shares."""

    row: dict[str, Any]
    best: bool
    sketch: Markup
    gains: list[Gain]


@dataclass(frozen=True)
class ScoreTable:
    """Methods by metrics, for one domain under one protocol."""

    domain: str
    protocol: str
    split: str
    pairs: int
    resampled: str
    metrics: list[str]
    rows: list[tuple[str, dict[str, Cell]]]
    notes: list[str]
    listed: str = ""  # hash of the list of pairs


@dataclass(frozen=True)
class Contest:
    """Methods against each other in one metric: `gains[one][other]` is one minus the other; the best comes first."""

    domain: str
    protocol: str
    metric: str
    methods: list[str]
    gains: dict[str, dict[str, Gain]]

    @property
    def wins(self) -> dict[str, int]:
        """How many of the others each method clearly beats."""
        return {name: sum(gain.verdict == "better" for gain in self.gains[name].values()) for name in self.methods}


def make_tables(rows: list[dict[str, Any]]) -> list[ScoreTable]:
    """One table per domain, protocol and split, in the order of their first row; methods first, then baselines."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if _is_number(row["value"]):
            groups[row["domain"], row["protocol"], row["split"]].append(row)
    return [_table(key, group) for key, group in groups.items()]


def _table(key: tuple[str, str, str], rows: list[dict[str, Any]]) -> ScoreTable:
    gains: dict[tuple[str, str], list[Gain]] = defaultdict(list)
    systems = _systems(rows)
    for metric, gain in _gains(rows):
        if gain.rival not in systems:
            gains[gain.row["method"], metric].append(gain)
    plain = [row for row in rows if _MINUS not in row["metric"]]
    metrics = sorted(dict.fromkeys(row["metric"] for row in plain), key=_place)
    methods = sorted(dict.fromkeys(row["method"] for row in plain), key=lambda method: method in BASELINES)
    columns = {metric: _column([row for row in plain if row["metric"] == metric], gains) for metric in metrics}
    cells = [(name, {key: column[name] for key, column in columns.items() if name in column}) for name in methods]
    unit = next((row["resampled"] for row in rows if row.get("resampled")), "persons")
    notes = list(dict.fromkeys(row["note"] for row in plain if row.get("note")))
    pairs, listed = max(row["pairs"] for row in rows), rows[0].get("list", "")
    return ScoreTable(*key, pairs, unit, metrics, cells, notes, listed)


def make_contests(rows: list[dict[str, Any]]) -> list[Contest]:
    """One contest per domain, protocol and metric in which methods were compared with each other."""
    systems = _systems(rows)
    groups: dict[tuple[str, str, str], dict[str, dict[str, Gain]]] = defaultdict(lambda: defaultdict(dict))
    for metric, gain in _gains(rows):
        if gain.rival in systems:
            groups[gain.row["domain"], gain.row["protocol"], metric][gain.row["method"]][gain.rival] = gain
    # Over the same pairs the mean gain over all others orders methods as their means do.
    return [
        Contest(*key, sorted(gains, key=lambda name: sum(_worth(gain, key[2]) for gain in gains[name].values())), gains)
        for key, gains in groups.items()
    ]


def _worth(gain: Gain, metric: str) -> float:
    return float(gain.row["value"]) * (1 if metric in SMALLER_IS_BETTER else -1)


def _gains(rows: list[dict[str, Any]]) -> Iterator[tuple[str, Gain]]:
    """The rows that are differences, with the metric they are differences of."""
    for row in rows:
        metric, minus, rival = row["metric"].partition(_MINUS)
        if minus and _is_number(row["value"]):
            yield metric, Gain(rival, row, _verdict(row, metric))


def _systems(rows: list[dict[str, Any]]) -> set[str]:
    """What was trained, by the name its rows have."""
    return {row["method"] for row in rows} - {*BASELINES}


def _place(metric: str) -> int:
    return FIRST.index(metric) if metric in FIRST else len(FIRST)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def has_interval(row: dict[str, Any]) -> bool:
    """Whether the row has one; scores of a whole set have none."""
    return _is_number(row.get("low")) and _is_number(row.get("high"))


def _column(rows: list[dict[str, Any]], gains: dict[tuple[str, str], list[Gain]]) -> dict[str, Cell]:
    metric = rows[0]["metric"]
    ends = [row[key] for row in rows if has_interval(row) for key in ("low", "high")]
    rivals = [row["value"] for row in rows if row["method"] != "oracle"]
    best = min(rivals, default=None) if metric in SMALLER_IS_BETTER else max(rivals, default=None)
    column = {}
    for row in rows:
        sketch = Markup("")
        if has_interval(row):
            sketch = charts.whisker(row["value"], row["low"], row["high"], start=min(ends), end=max(ends))
        is_best = len(rivals) > 1 and row["value"] == best
        column[row["method"]] = Cell(row, is_best, sketch, gains.get((row["method"], metric), []))
    return column


def _verdict(gain: dict[str, Any], metric: str) -> str:
    if not has_interval(gain):
        return "even"
    if gain["low"] <= 0 <= gain["high"]:
        return "even"
    return "better" if (gain["low"] > 0) != (metric in SMALLER_IS_BETTER) else "worse"
