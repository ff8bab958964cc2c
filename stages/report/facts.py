"""What the report says, gathered from the artifacts; what is not there is left empty, and the page says so."""

import csv
import json
import math
import os
import platform
import subprocess
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from markupsafe import Markup
from ruamel.yaml import YAML

from pipeline import quarantine
from pipeline.params import Params
from stages import artifacts
from stages.report import charts

DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack")
BASELINES = ("copy_source", "nearest_pose", "mean_person", "oracle")
SMALLER_IS_BETTER = (
    *("l1", "l1_mask", "joint_error_px", "lpips", "lpips_hed", "cx_gs", "cx_gt"),
    *("fid", "kid", "fd_lite0", "kd_lite0"),
)
# What a reader looks at first; the rest follows in its own order.
FIRST = ("ssim_mask", "joint_error_px", "pckh", "likeness_lite0", "ssim", "parsing_miou")
LIBRARIES = ("torch", "torchvision", "openpifpaf", "segmentation-models-pytorch", "numpy", "pillow", "h5py", "dvc")
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
    notes: list[str]


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
    versions: dict[str, str]
    commit: str
    packs: dict[str, str]
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
        versions=_versions(),
        commit=_commit(),
        packs=_packs(params),
        made=datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
    )


def _domain(name: str, params: Params, counts: dict[str, Any]) -> DomainFacts:
    set_aside = []
    for stage in DATA_STAGES:
        path = artifacts.artifact(stage, name, "quarantine.csv")
        set_aside += [(stage, item, reason) for item, reason in (quarantine.read(path) if path.is_file() else ())]
    reasons = Counter(f"{stage}: {reason}" for stage, _, reason in set_aside).most_common(8)
    sheets = [(stage, path) for stage in DATA_STAGES if (path := artifacts.sheet(stage, name)).is_file()]
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
        if _is_number(row["value"]):
            groups[row["domain"], row["protocol"], row["split"]].append(row)
    return [_table(key, group) for key, group in groups.items()]


def _table(key: tuple[str, str, str], rows: list[dict[str, Any]]) -> ScoreTable:
    gains: dict[tuple[str, str], list[Gain]] = defaultdict(list)
    for row in rows:
        metric, minus, rival = row["metric"].partition(_MINUS)
        if minus:
            gains[row["method"], metric].append(Gain(rival, row, _verdict(row, metric)))
    plain = [row for row in rows if _MINUS not in row["metric"]]
    metrics = sorted(dict.fromkeys(row["metric"] for row in plain), key=_place)
    methods = sorted(dict.fromkeys(row["method"] for row in plain), key=lambda method: method in BASELINES)
    columns = {metric: _column([row for row in plain if row["metric"] == metric], gains) for metric in metrics}
    cells = [(name, {key: column[name] for key, column in columns.items() if name in column}) for name in methods]
    unit = next((row["resampled"] for row in rows if row.get("resampled")), "persons")
    notes = list(dict.fromkeys(row["note"] for row in plain if row.get("note")))
    return ScoreTable(*key, max(row["pairs"] for row in rows), unit, metrics, cells, notes)


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
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _versions() -> dict[str, str]:
    """The libraries that results depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _commit() -> str:
    """The commit that the project stands at, and whether files differ from it; empty outside of git."""
    try:
        told = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _packs(params: Params) -> dict[str, str]:
    """The hash that dvc.lock has for the pack of every domain."""
    path = Path("dvc.lock")
    stages = YAML(typ="safe").load(path.read_text()).get("stages", {}) if path.is_file() else {}
    outs = {out["path"]: out.get("md5", "") for stage in stages.values() for out in stage.get("outs", ())}
    named = {name: outs.get(artifacts.pack(name).as_posix(), "") for name in params.domains}
    return {name: value for name, value in named.items() if value}
