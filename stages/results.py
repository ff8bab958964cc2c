"""Gather what the listed methods and domains gave, nothing else: for the report, for people and for DVC."""

import json
from typing import Any

import pandas as pd

from pipeline import quarantine
from pipeline.packed import SPLITS, Pack
from pipeline.run import Job
from stages.artifacts import DATA, artifact, pack

# Data stages in order, and the table that says how many pictures left each.
STAGES = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs")


def run(job: Job) -> None:
    """Write `data/results/results.json`, `results.csv` and `metrics.json`."""
    methods, domains = list(job.params.methods), list(job.params.domains)
    table = pd.concat([pd.read_csv(artifact("evaluate", method, "rows.csv")) for method in methods])
    # The baselines are the same beside every method.
    table = table.drop_duplicates(["method", "domain", "metric"]).query("domain in @domains")
    extraction = json.loads(artifact("evaluate", methods[0], "extraction.json").read_text())
    described = {domain: _describe(domain) | {"preprocessing": extraction.get(domain)} for domain in domains}
    folder = DATA / "results"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "results.csv", index=False, float_format="%.6g")
    rows = json.loads(table.to_json(orient="records", double_precision=6))
    _write(folder / "results.json", {"domains": described, "rows": rows})
    metrics: dict[str, Any] = {}
    for row in rows:
        metrics.setdefault(row["domain"], {}).setdefault(row["method"], {})[row["metric"]] = row["value"]
    for domain, scores in extraction.items():
        metrics.setdefault(domain, {})["extraction"] = {name: score["value"] for name, score in scores.items()}
    _write(folder / "metrics.json", metrics)


def _write(path: Any, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def _describe(domain: str) -> dict[str, Any]:
    """Persons, pictures through each stage, pairs of each split."""
    packed = Pack(pack(domain))
    catalog = pd.read_parquet(artifact("ingest", domain, "catalog.parquet"))
    bad = {stage: quarantine.read(artifact(stage, domain, "quarantine.csv")) for stage in STAGES}
    entering = {"ingest": len(catalog) + len(bad["ingest"]), "crop": len(catalog)}
    cropped = len(catalog) - len(bad["crop"])
    entering |= dict.fromkeys(("keypoints", "parsing", "edges"), cropped)
    stages = {
        stage: {"in": count, "out": count - len(bad[stage]), "set_aside": len(bad[stage])}
        for stage, count in entering.items()
    }
    pairs = {split: len(packed.pairs(split)) for split in SPLITS}
    kept, lost = sum(pairs.values()), len(bad["pairs"])
    stages["pairs"] = {"in": kept + lost, "out": kept, "set_aside": lost}
    return {"persons": len(set(packed.persons)), "pictures": len(packed), "stages": stages, "pairs": pairs}
