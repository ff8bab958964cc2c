"""Gather what the listed methods and domains gave, nothing else: for the report, for people and for DVC."""

import json
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pandas as pd

from models.metrics.intervals import bootstrap_mean
from models.metrics.protocols import PROTOCOLS, Protocol
from pipeline import quarantine
from pipeline.packed import SPLITS, Pack
from pipeline.run import Job
from stages.artifacts import DATA, artifact, pack
from stages.provenance import hash_names, instruments, libraries

# Data stages in order, and the table that says how many pictures left each.
STAGES = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs")

# In what methods are compared with each other, pair by pair.
COMPARED = ("ssim_mask", "joint_error_px", "pckh", "likeness_lite0")

# Distances of sets, which one protocol measures to the training pictures.
DISTANCES = ("fd_lite0", "kd_lite0")


def run(job: Job) -> None:
    """Write `data/results/results.json`, `results.csv` and `metrics.json`."""
    methods, domains = list(job.params.methods), list(job.params.domains)
    table = pd.concat([pd.read_csv(artifact("evaluate", method, "rows.csv")) for method in methods])
    # The baselines are the same beside every method.
    table = pd.concat([table, pd.DataFrame(compare(methods, table))])
    table = table.drop_duplicates(["method", "domain", "protocol", "metric"]).query("domain in @domains")
    extraction = json.loads(artifact("evaluate", methods[0], "extraction.json").read_text())
    described = {domain: _describe(domain) | {"preprocessing": extraction.get(domain)} for domain in domains}
    folder = DATA / "results"
    folder.mkdir(parents=True, exist_ok=True)
    carried = _carried(table)
    carried.to_csv(folder / "results.csv", index=False, float_format="%.6g")
    rows = json.loads(table.to_json(orient="records", double_precision=6))
    depends: dict[str, Any] = {"protocols": {name: PROTOCOLS[name].told() for name in table["protocol"].unique()}}
    depends |= {"libraries": libraries(), "networks": instruments(set(table["metric"]))}
    _write(folder / "results.json", {"domains": described, "depends": depends, "rows": rows})
    metrics: dict[str, Any] = {}
    for row in rows:
        place = row["domain"] if row["protocol"] == "plain" else f"{row['domain']}, {row['protocol']}"
        metrics.setdefault(place, {}).setdefault(row["method"], {})[row["metric"]] = row["value"]
    for domain, scores in extraction.items():
        metrics.setdefault(domain, {})["extraction"] = {name: score["value"] for name, score in scores.items()}
    _write(folder / "metrics.json", metrics)


def _carried(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what each row's number depends on, so that a row can be read alone."""
    plain = table["metric"].str.partition("_minus_")[0]
    networks = instruments(set(plain))
    lists = {domain: _training_list(domain) for domain in table["domain"].unique()}
    training = table["protocol"].map(lambda name: PROTOCOLS[name].reference == "training") & plain.isin(DISTANCES)
    return table.assign(
        settings=table["protocol"].map({name: _settings(PROTOCOLS[name]) for name in table["protocol"].unique()}),
        reference_list=table["list"].where(~training, table["domain"].map(lists)),
        network=plain.map({metric: name for metric, (name, _) in networks.items()}),
        network_sha256=plain.map({metric: digest[:12] for metric, (_, digest) in networks.items()}),
        libraries=" ".join(f"{name}={number}" for name, number in libraries().items()),
    )


def _settings(protocol: Protocol) -> str:
    """The settings of a protocol in a cell."""
    ssim = "; ".join(
        f"{name}: {f'Gaussian sigma {one.sigma}' if one.sigma else f'uniform {one.window_px} px'}, range {one.range_of}"
        for name, one in protocol.ssim.items()
    )
    return f"{ssim}; white columns {protocol.pad_px}; sets against {protocol.reference}"


def _training_list(domain: str) -> str:
    """Of the names of all training pictures, which `train_fid` compares sets with."""
    packed = Pack(pack(domain))
    known = sorted({int(row) for row in packed.pairs("train").ravel()})
    return hash_names(packed.names[row] for row in known)[:12]


def compare(methods: list[str], rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows `<metric>_minus_<other method>`: mean differences of two methods over the pairs both were scored on."""
    if len(methods) < 2:
        return
    scores = pd.concat([pd.read_parquet(artifact("evaluate", method, "pairs.parquet")) for method in methods])
    key = ["domain", "protocol", "from", "to"]
    for one, other in permutations(methods, 2):
        ours, theirs = (scores[scores["method"] == method] for method in (one, other))
        both = ours.merge(theirs, on=key, suffixes=("", "_theirs"))
        for (domain, protocol), pairs in both.groupby(["domain", "protocol"]):
            mine = (rows["method"] == one) & (rows["domain"] == domain) & (rows["protocol"] == protocol)
            like = rows[mine & rows["resampled"].notna()].iloc[0]
            described = like.drop(["metric", "value", "low", "high", "n", "groups"]).to_dict()
            for metric in COMPARED:
                gain = (pairs[metric] - pairs[f"{metric}_theirs"]).to_numpy()
                interval = vars(bootstrap_mean(gain, pairs["group"].tolist()))
                yield described | {"metric": f"{metric}_minus_{other}"} | interval


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
