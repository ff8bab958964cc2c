"""Score a method on the held-out pairs of every domain under named protocols, beside baselines that need no training.

Intervals are drawn over persons, or over target pictures where there are only a few persons. Where the truth is known,
that is for rendered people, the extraction of key points and label maps is scored too.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

from models.data import Draw, Pairs, to_batch, to_levels
from models.method import Method, load, method_class
from models.metrics.intervals import bootstrap_mean, choose_groups
from models.metrics.pictures import Scores
from models.metrics.protocols import PROTOCOLS, Protocol
from models.metrics.sets import ENOUGH_PICTURES
from pipeline.packed import Pack
from pipeline.pictures import encode_png
from pipeline.run import Job
from pipeline.shards import write_shards
from stages import framed, sheets
from stages.artifacts import artifact, pack, write_table
from stages.baselines import BASELINES
from stages.drawing import Bytes
from stages.exchanges import choose_figures, make_sections
from stages.extraction import score_extraction
from stages.failures import ORDER, pair_tile, write_failures
from stages.measuring import Sight, compare, look, score_set, score_sights, targets_of

BATCH = 8
SHARDS = 4

# Whom a system is compared with, pair by pair, and what the comparison is called.
COPY_SOURCE = "copy_source"
SCRATCH = "scratch"

Row = dict[str, Any]
Rows = NDArray[np.int32]


@dataclass(frozen=True)
class Trial:
    """The held-out pairs of one domain: rows of its pack, and what baselines and systems made of them."""

    domain: str
    packed: Pack
    rows: Rows
    pictures: dict[str, list[Bytes]]

    @property
    def groups(self) -> tuple[str, Sequence[str]]:
        """What is drawn, and the group of every pair."""
        names, persons = self.packed.names, self.packed.persons
        return choose_groups([persons[row] for _, row in self.rows], [names[row] for _, row in self.rows])

    @property
    def named(self) -> list[tuple[str, str]]:
        """The names of source and target of every pair."""
        names = self.packed.names
        return [(names[source], names[target]) for source, target in self.rows]

    @property
    def list_hash(self) -> str:
        """Of the names of the pairs in their order: numbers of other lists are not comparable."""
        told = "\n".join(",".join(pair) for pair in self.named)
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def run(job: Job) -> None:
    """Write scores (rows, pairs, metrics, extraction), grids, failures, exchanges and the generated pictures."""
    trials, extraction = [], {}
    for domain in job.params.domains:
        packed = Pack(pack(domain))
        trials.append(_draw(job, domain, packed))
        _write_exchanges(job, domain, packed)
        if job.params.domain(domain).ingest.source == "figures":
            extraction[domain] = score_extraction(domain, packed)
    rows, table = _measure(job, [trial for trial in trials if len(trial.rows)])
    for trial in trials:
        _write_failures(job, trial, table)
    artifact("evaluate", job.item, "").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(artifact("evaluate", job.item, "rows.csv"), index=False, float_format="%.6g")
    write_table(artifact("evaluate", job.item, "pairs.parquet"), table)
    _write_json(artifact("evaluate", job.item, "extraction.json"), extraction)
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        if row["protocol"] == "plain":
            summary.setdefault(row["domain"], {}).setdefault(row["method"], {})[row["metric"]] = round(row["value"], 5)
    _write_json(artifact("evaluate", job.item, "metrics.json"), summary)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def _systems(job: Job, domain: str) -> dict[str, Path]:
    """The weights that are scored on a domain: the pretrained ones, and those carried over to it."""
    pretrained = artifact("pretrain", job.item, "weights.safetensors")
    if domain == job.params.pretrain_domain:
        return {job.item: pretrained}
    carried, scratch = (artifact("finetune", job.item, f"{place}{domain}.safetensors") for place in ("", "scratch/"))
    systems = {job.item: carried, f"{job.item}_pretrained": pretrained}
    return systems | ({f"{job.item}_scratch": scratch} if scratch.is_file() else {})


def _draw(job: Job, domain: str, packed: Pack) -> Trial:
    """What is made of the domain's test pairs, nothing where there are none. Writes grid and generated pictures."""
    rows = packed.pairs("test")
    if not len(rows):
        _write_grid(job, domain, packed, rows, [])
        return Trial(domain, packed, rows, {})
    # Spread evenly over the table, so that every person keeps a part of the pairs.
    count = min(len(rows), job.params.evaluate.max_pairs)
    rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    pictures = {name: make(packed, rows) for name, make in BASELINES.items()}
    pairs = Pairs(packed, rows, method_class(job.item).reads)
    for name, path in _systems(job, domain).items():
        pictures[name] = _generate(job, load(path), pairs, f"{name} on {domain}")
    _write_grid(job, domain, packed, rows, pictures[job.item])
    _write_pictures(job, domain, packed, rows, pictures[job.item])
    return Trial(domain, packed, rows, pictures)


def _measure(job: Job, trials: Sequence[Trial]) -> tuple[list[Row], pd.DataFrame]:
    """Every system's scores under every protocol: as rows with intervals, and pair by pair."""
    made = {(trial.domain, name): pictures for trial in trials for name, pictures in trial.pictures.items()}
    sights = look(job, made)
    targets = {trial.domain: targets_of(trial.packed, trial.rows, sights[trial.domain, "oracle"]) for trial in trials}
    protocols = [PROTOCOLS[name] for name in job.params.evaluate.protocols]
    compared = {protocol.name: compare(job, made, targets, protocol) for protocol in protocols}
    found: list[Row] = []
    tables = []
    for trial in trials:
        own = {name: sights[trial.domain, name] for name in trial.pictures}
        seen = {name: score_sights(sight, targets[trial.domain]) for name, sight in own.items()}
        for protocol in protocols:
            scores = {name: compared[protocol.name][trial.domain, name] | seen[name] for name in trial.pictures}
            rows, tabled = _measure_under(job, trial, protocol, scores, own)
            found += rows
            tables += tabled
    return found, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _measure_under(
    job: Job, trial: Trial, protocol: Protocol, scores: dict[str, dict[str, Any]], sights: dict[str, Sight]
) -> tuple[list[Row], list[pd.DataFrame]]:
    """Rows and tables of every system under one protocol, with what it scores beside pairs as they are."""
    pictures, masks = trial.pictures, [trial.packed.mask(int(row)) for row in trial.rows[:, 1]]
    if job.params.evaluate.perceptual:
        seen = framed.perceptual(job, protocol, pictures, pictures[COPY_SOURCE], pictures["oracle"])
        scores = {name: scores[name] | seen[name] for name in pictures}
    measured = framed.as_measured(job, protocol, pictures, sights)
    reference = _reference(job, trial, protocol, measured["oracle"])
    hidden = framed.masked_sets(job, protocol, pictures, masks)
    found: list[Row] = []
    for name in pictures:
        found += _pair_rows(job, trial, protocol, name, scores)
        found += _set_rows(trial, protocol, name, score_set(measured[name], reference) | hidden[name])
    return found, [_table(trial, protocol, name, scores[name]) for name in pictures]


def _reference(job: Job, trial: Trial, protocol: Protocol, targets: Sight) -> Sight:
    """What sets are compared with: the targets, or all training pictures."""
    if protocol.reference == "targets":
        return targets
    known = sorted({int(row) for row in trial.packed.pairs("train").ravel()})
    return look(job, {"training": [trial.packed.image(row) for row in known]})["training"]


def _described(trial: Trial, protocol: Protocol, name: str) -> Row:
    return {
        "method": name,
        "domain": trial.domain,
        "protocol": protocol.name,
        "split": "test",
        "pairs": len(trial.rows),
        "list": trial.list_hash,
    }


def _pair_rows(job: Job, trial: Trial, protocol: Protocol, name: str, scores: dict[str, Scores]) -> list[Row]:
    """Means with their intervals, of the system and of its differences, pair by pair, to its rivals."""
    unit, groups = trial.groups
    settings = job.params.evaluate
    rivals = {} if name in BASELINES else {COPY_SOURCE: COPY_SOURCE}
    if name == job.item and f"{name}_{SCRATCH}" in scores:
        rivals[SCRATCH] = f"{name}_{SCRATCH}"
    values = dict(scores[name])
    for short, rival in rivals.items():
        values |= {f"{metric}_minus_{short}": own - scores[rival][metric] for metric, own in scores[name].items()}
    described = _described(trial, protocol, name) | {"resampled": unit}
    return [
        {**described, "metric": metric}
        | vars(bootstrap_mean(numbers, groups, draws=settings.bootstrap, seed=settings.seed))
        for metric, numbers in values.items()
    ]


def _set_rows(trial: Trial, protocol: Protocol, name: str, scores: dict[str, float]) -> list[Row]:
    """Scores of the whole set: one number each, which has no interval."""
    count = len(trial.rows)
    note = f"of {count} pictures: too few for a distance of sets" if count < ENOUGH_PICTURES else ""
    described = _described(trial, protocol, name) | {"resampled": "", "n": count, "note": note}
    return [{**described, "metric": metric, "value": value} for metric, value in scores.items()]


def _table(trial: Trial, protocol: Protocol, name: str, scores: Scores) -> pd.DataFrame:
    """Every pair's scores, with what intervals are drawn over."""
    columns = {
        "domain": trial.domain,
        "protocol": protocol.name,
        "method": name,
        "from": [source for source, _ in trial.named],
        "to": [target for _, target in trial.named],
        "group": list(trial.groups[1]),
    }
    return pd.DataFrame(columns | scores)


@torch.inference_mode()
def _generate(job: Job, method: Method, pairs: Pairs, title: str) -> list[Bytes]:
    """The generated pictures (H, W, 3) as they would be saved: 8 bits."""
    device = _device(job.params.evaluate.device)
    method = method.to(device)
    chunks = [range(start, min(start + BATCH, len(pairs))) for start in range(0, len(pairs), BATCH)]
    pictures: list[Bytes] = []
    for chunk in job.progress(chunks, title):
        batch = to_batch(default_collate([pairs[Draw(index)] for index in chunk]), device)
        pictures.extend(to_levels(method.generate(batch)).cpu().permute(0, 2, 3, 1).numpy())
    return pictures


def _device(name: str) -> torch.device:
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _write_grid(job: Job, domain: str, packed: Pack, rows: Rows, pictures: Sequence[Bytes]) -> None:
    """Source, target pose, target and generated picture of pairs spread over the table, two pairs beside each other."""
    chosen = sheets.choose(range(len(rows)), job.params.evaluate.grid_rows)
    tiles = [pair_tile(packed, rows[index], pictures[index]) for index in chosen]
    sheets.write_sheet(
        artifact("evaluate", job.item, "grids") / f"{domain}.png",
        f"{job.item} on held-out pictures of {domain}",
        [sheets.Section(tiles, ORDER, columns=2)] if tiles else [],
        subtitle=f"{len(chosen)} of {len(rows)} pairs" if tiles else "there are no test pairs",
        max_bytes=4_000_000,
    )


def _write_failures(job: Job, trial: Trial, table: pd.DataFrame) -> None:
    """The pairs that the system does worst, by the first protocol's SSIM inside the person."""
    path, title = (
        artifact("evaluate", job.item, f"failures/{trial.domain}.png"),
        f"{job.item}: failures on {trial.domain}",
    )
    if not len(trial.rows):
        write_failures(path, title, trial.packed, trial.rows, [], np.empty(0))
        return
    told = {"domain": trial.domain, "method": job.item, "protocol": job.params.evaluate.protocols[0]}
    own = table[np.logical_and.reduce([table[column] == value for column, value in told.items()])]
    write_failures(path, title, trial.packed, trial.rows, trial.pictures[job.item], own["ssim_mask"].to_numpy())


def _write_exchanges(job: Job, domain: str, packed: Pack) -> None:
    """Poses and garments exchanged between two people of the domain, and with one of the domain pretrained on."""
    weights = next(iter(_systems(job, domain).values()))
    figures = choose_figures(packed, 2)
    pairs = [(figures[0], figures[1])] if len(figures) == 2 else []
    if domain != job.params.pretrain_domain:
        others = choose_figures(Pack(pack(job.params.pretrain_domain)), 2)
        pairs += list(zip(others, figures, strict=False))
    sheets.write_sheet(
        artifact("evaluate", job.item, "exchanges") / f"{domain}.png",
        f"{job.item}: poses and garments exchanged on {domain}",
        make_sections(load(weights), pairs) if pairs else [],
        subtitle="people of the test pairs" if pairs else "there are no two people in the test pairs",
        max_bytes=4_000_000,
    )


def _write_pictures(job: Job, domain: str, packed: Pack, rows: Rows, pictures: Sequence[Bytes]) -> None:
    names = [f"{packed.names[source]}___{packed.names[target]}" for source, target in rows]
    folder = artifact("evaluate", job.item, "generated") / domain
    items = {name: encode_png(picture) for name, picture in zip(names, pictures, strict=True)}
    write_shards(folder, items, shards=SHARDS, suffix=".png")
