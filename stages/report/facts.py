"""What the report says, gathered from the artifacts; what is not there is left empty, and the page says so."""

import csv
import json
import math
import os
import platform
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline import quarantine
from pipeline.params import Params
from stages import artifacts
from stages.report import charts

DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack", "pseudo_labels")
BASELINES = ("copy_source", "mean_person", "nearest", "oracle")
SMALLER_IS_BETTER = ("l1", "l1_mask", "fid", "kid", "lpips", "joint_error_px")
_MINUS = "_minus_"
_MOST_ROWS = 100


@dataclass(frozen=True)
class DomainFacts:
    """Counts and looks of one domain."""

    name: str
    source: str
    raw: str
    counts: dict[str, Any]
    set_aside: list[tuple[str, str, str]]
    reasons: list[tuple[str, int]]
    sheets: list[tuple[str, Path]]

    @property
    def pictures(self) -> int:
        """Pictures that `ingest` read."""
        return int(self.counts.get("stages", {}).get("ingest", {}).get("in", 0))

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Accuracy of the networks on this domain by metric; empty where the truth is not known."""
        return self.counts.get("preprocessing") or {}

    @property
    def listed(self) -> list[tuple[str, str, str]]:
        """The set-aside pictures that the page lists: stage, name, reason."""
        return self.set_aside[:_MOST_ROWS]

    @property
    def rows_left_out(self) -> int:
        """How many set-aside pictures the page does not list."""
        return max(0, len(self.set_aside) - _MOST_ROWS)


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


@dataclass(frozen=True)
class Grid:
    """A sheet of generated pictures: `grids` (rows source, target pose, target, generated) or `exchanges`."""

    kind: str
    method: str
    domain: str
    path: Path


@dataclass(frozen=True)
class Curves:
    """The charts of one training: metric name, names of the lines, drawing; and its last sheets of samples by name."""

    phase: str
    method: str
    charts: list[tuple[str, list[str], Markup]]
    samples: list[tuple[str, Path]]


@dataclass(frozen=True)
class Facts:
    """Everything that the page shows."""

    domains: list[DomainFacts]
    methods: list[str]
    grids: list[Grid]
    tables: list[ScoreTable]
    curves: list[Curves]
    durations: list[dict[str, Any]]
    parameters: dict[str, dict[str, dict[str, Any]]]
    machine: str
    made: str


def gather(params: Params) -> Facts:
    """The facts of the project in the current folder."""
    path = artifacts.DATA / "results" / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    return Facts(
        domains=[_domain(name, params, results.get("domains", {}).get(name, {})) for name in params.domains],
        methods=list(params.methods),
        grids=_grids(params),
        tables=make_tables(results.get("rows", [])),
        curves=[
            found
            for phase in ("pretrain", "finetune")
            for method in params.methods
            if (found := read_curves(artifacts.curves(phase, method), phase, method)).charts
        ],
        durations=read_durations(Path("runs.jsonl")),
        parameters=_parameters(params),
        machine=_machine(),
        made=datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
    )


def _domain(name: str, params: Params, counts: dict[str, Any]) -> DomainFacts:
    set_aside = []
    # Where no listed method reads pseudo labels there is nothing to show of them.
    stages = [stage for stage in DATA_STAGES if stage != "pseudo_labels" or "spt" in params.methods]
    for stage in stages:
        path = artifacts.artifact(stage, name, "quarantine.csv")
        set_aside += [(stage, item, reason) for item, reason in (quarantine.read(path) if path.is_file() else ())]
    reasons = Counter(f"{stage}: {reason}" for stage, _, reason in set_aside).most_common(8)
    sheets = [(stage, path) for stage in stages if (path := artifacts.sheet(stage, name)).is_file()]
    domain = params.domain(name)
    return DomainFacts(name, domain.ingest.source, domain.raw, counts, set_aside, reasons, sheets)


def _grids(params: Params) -> list[Grid]:
    grids = [
        Grid(kind, method, domain, artifacts.artifact("evaluate", method, f"{kind}/{domain}.png"))
        for domain in params.domains
        for method in params.methods
        for kind in ("grids", "exchanges")
    ]
    return [grid for grid in grids if grid.path.is_file()]


def make_tables(rows: list[dict[str, Any]]) -> list[ScoreTable]:
    """One table per domain, protocol and split, in the order of their first row; methods first, then baselines."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if not all(isinstance(row[key], int | float) and math.isfinite(row[key]) for key in ("value", "low", "high")):
            continue
        groups[row["domain"], row["protocol"], row["split"]].append(row)
    return [_table(key, group) for key, group in groups.items()]


def _table(key: tuple[str, str, str], rows: list[dict[str, Any]]) -> ScoreTable:
    gains: dict[tuple[str, str], list[Gain]] = defaultdict(list)
    for row in rows:
        metric, minus, rival = row["metric"].partition(_MINUS)
        if minus:
            gains[row["method"], metric].append(Gain(rival, row, _verdict(row, metric)))
    plain = [row for row in rows if _MINUS not in row["metric"]]
    # The headline of the project comes first.
    metrics = sorted(dict.fromkeys(row["metric"] for row in plain), key=lambda metric: metric != "ssim_mask")
    methods = sorted(dict.fromkeys(row["method"] for row in plain), key=lambda method: method in BASELINES)
    columns = {metric: _column([row for row in plain if row["metric"] == metric], gains) for metric in metrics}
    cells = [(name, {key: column[name] for key, column in columns.items() if name in column}) for name in methods]
    unit = str(rows[0].get("resampled", "persons"))
    return ScoreTable(*key, max(row["pairs"] for row in rows), unit, metrics, cells)


def _column(rows: list[dict[str, Any]], gains: dict[tuple[str, str], list[Gain]]) -> dict[str, Cell]:
    metric = rows[0]["metric"]
    start, end = min(row["low"] for row in rows), max(row["high"] for row in rows)
    rivals = [row["value"] for row in rows if row["method"] != "oracle"]
    best = min(rivals, default=None) if metric in SMALLER_IS_BETTER else max(rivals, default=None)
    column = {}
    for row in rows:
        sketch = charts.whisker(row["value"], row["low"], row["high"], start=start, end=end)
        is_best = len(rivals) > 1 and row["value"] == best
        column[row["method"]] = Cell(row, is_best, sketch, gains.get((row["method"], metric), []))
    return column


def _verdict(gain: dict[str, Any], metric: str) -> str:
    if gain["low"] <= 0 <= gain["high"]:
        return "even"
    return "better" if (gain["low"] > 0) != (metric in SMALLER_IS_BETTER) else "worse"


def read_curves(folder: Path, phase: str, method: str) -> Curves:
    """The DVCLive curves under `folder`: `train/x` and `val/x` share the chart `x`."""
    lines: dict[str, dict[str, charts.Points]] = defaultdict(dict)
    for path in sorted(folder.rglob("*.tsv")):
        before, _, after = path.relative_to(folder).with_suffix("").as_posix().rpartition("plots/metrics/")
        part, _, name = after.rpartition("/")
        label = " ".join(word for word in (before.strip("/"), part) if word)
        lines[name][label or name] = _read_points(path)
    drawn = [(name, list(series), charts.curve(series)) for name, series in lines.items()]
    samples = [(path.relative_to(folder).parts[0], path) for path in sorted(folder.rglob("samples.png"))]
    samples = [("" if name == "plots" else name, path) for name, path in samples]
    return Curves(phase, method, [chart for chart in drawn if chart[2]], samples)


def _read_points(path: Path) -> list[tuple[float, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    value = next(name for name in rows[0] if name not in ("step", "timestamp")) if rows else ""
    return [(float(row["step"]), float(row[value])) for row in rows if row["step"] and row[value]]


def read_durations(path: Path) -> list[dict[str, Any]]:
    """The last run of every stage and item, in the order of the runs; `share` is of the longest."""
    if not path.is_file():
        return []
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        last[record["stage"], record["item"]] = record
    longest = max((record["seconds"] for record in last.values()), default=0) or 1
    ordered = sorted(last.values(), key=lambda record: record["at"])
    return [record | {"share": record["seconds"] / longest} for record in ordered if record["stage"] != "report"]


def _parameters(params: Params) -> dict[str, dict[str, dict[str, Any]]]:
    """Tables of parameters: title -> key -> column -> value; the domains share one table."""
    plain = asdict(params)
    by_domain = {name: _flatten(values) for name, values in plain.pop("domains").items()}
    keys = list(dict.fromkeys(key for values in by_domain.values() for key in values))
    tables = {"domains": {key: {name: values.get(key, "") for name, values in by_domain.items()} for key in keys}}
    for name, values in [*plain.pop("methods").items(), *plain.items()]:
        flat = _flatten(values) if isinstance(values, dict) else {name: values}
        tables[name] = {key: {"value": value} for key, value in flat.items()}
    return tables


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _machine() -> str:
    try:
        torch = f"torch {version('torch')}"
    except PackageNotFoundError:
        torch = "no torch"
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {torch}"
