"""What the report says, gathered from the artifacts; what is not there is left empty, and the page says so."""

import csv
import json
import os
import platform
import subprocess
from collections import Counter, defaultdict
from contextlib import suppress
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
from stages.report.flow import draw_flow
from stages.report.pairs import Board, read_board
from stages.report.poses import Poses, read_poses
from stages.report.published import Published, read_published
from stages.report.research import Finding, read_findings
from stages.report.scores import Contest, ScoreTable, make_contests, make_tables

DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack", "pseudo_labels")
LIBRARIES = ("torch", "torchvision", "openpifpaf", "segmentation-models-pytorch", "numpy", "pillow", "h5py", "dvc")
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
    poses: Poses | None = None

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
class Grid:
    """A sheet of generated pictures: `grids` or `failures` (source, target pose, target, generated), or `exchanges`."""

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
    boards: list[Board]
    grids: list[Grid]
    tables: list[ScoreTable]
    contests: list[Contest]
    published: list[Published]
    findings: list[Finding]
    curves: list[Curves]
    durations: list[dict[str, Any]]
    flow: Markup
    parameters: dict[str, dict[str, dict[str, Any]]]
    networks: list[tuple[str, str, str]]  # metrics, the network they are measured with, the hash of its weights
    machine: str
    versions: dict[str, str]
    commit: str
    made: str


def gather(params: Params) -> Facts:
    """The facts of the project in the current folder."""
    path = artifacts.DATA / "results" / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    rows = results.get("rows", [])
    durations = read_durations(Path("runs.jsonl"))
    boards = [read_board(domain, list(params.methods)) for domain in params.domains]
    return Facts(
        domains=[_domain(name, params, results.get("domains", {}).get(name, {})) for name in params.domains],
        methods=list(params.methods),
        boards=[board for board in boards if board],
        grids=_grids(params),
        tables=make_tables(rows),
        contests=make_contests(rows),
        published=read_published(),
        findings=read_findings(),
        curves=[
            found
            for phase in ("pretrain", "finetune")
            for method in params.methods
            if (found := read_curves(artifacts.curves(phase, method), phase, method)).charts
        ],
        durations=durations,
        flow=draw_flow(durations, without=_unused(params)),
        parameters=_parameters(params),
        networks=_networks(results.get("depends", {}).get("networks", {})),
        machine=_machine(),
        versions=_versions(),
        commit=_commit(),
        made=datetime.now().astimezone().strftime("%d %B %Y, %H:%M"),
    )


def _domain(name: str, params: Params, counts: dict[str, Any]) -> DomainFacts:
    set_aside = []
    if "stages" in counts:
        passed = counts["stages"]
        counts = counts | {"stages": {stage: passed[stage] for stage in DATA_STAGES if stage in passed}}
    stages = [stage for stage in DATA_STAGES if stage not in _unused(params)]
    for stage in stages:
        path = artifacts.artifact(stage, name, "quarantine.csv")
        set_aside += [(stage, item, reason) for item, reason in (quarantine.read(path) if path.is_file() else ())]
    reasons = Counter(f"{stage}: {reason}" for stage, _, reason in set_aside).most_common(8)
    sheets = [(stage, path) for stage in stages if (path := artifacts.sheet(stage, name)).is_file()]
    domain = params.domain(name)
    poses = read_poses(name, domain.crop.width, domain.crop.height)
    return DomainFacts(name, domain.ingest.source, domain.raw, counts, set_aside, reasons, sheets, poses)


def _unused(params: Params) -> set[str]:
    """Stages that have nothing to do: no listed method reads pseudo labels."""
    return set() if "spt" in params.methods else {"pseudo_labels"}


def _grids(params: Params) -> list[Grid]:
    grids = [
        Grid(kind, method, domain, artifacts.artifact("evaluate", method, f"{kind}/{domain}.png"))
        for domain in params.domains
        for method in params.methods
        for kind in ("grids", "failures", "exchanges")
    ]
    return [grid for grid in grids if grid.path.is_file()]


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
        with suppress(ValueError):  # a run that was killed while it wrote its line, or on a full disk
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


def _networks(by_metric: dict[str, Any]) -> list[tuple[str, str, str]]:
    metrics: dict[tuple[str, str], list[str]] = defaultdict(list)
    for metric, (name, sha256) in by_metric.items():
        metrics[name, sha256].append(metric)
    return [(", ".join(found), name, sha256) for (name, sha256), found in metrics.items()]


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
