"""Score a method on the held-out pairs of every domain, beside the baseline that copies the source picture.

Protocol `plain` (models/metrics/pictures.py). Intervals are drawn over persons, or over target pictures where there are
only a few persons. Where the truth is known, that is for
rendered people, the extraction of key points and label maps is scored too.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from models.data import Batch, Draw, Pairs, to_batch, to_levels
from models.method import Method, load, method_class
from models.metrics.extraction import score_joints, score_labels
from models.metrics.intervals import bootstrap_mean, choose_groups
from models.metrics.pictures import LARGER_IS_BETTER, METRICS, PROTOCOL, score_pictures
from pipeline.packed import Pack
from pipeline.people import labels, skeleton
from pipeline.pictures import encode_png
from pipeline.run import Job
from pipeline.shards import ShardReader, write_shards
from stages import sheets
from stages.artifacts import artifact, pack, read_keypoints
from stages.drawing import beside, draw_skeleton
from stages.exchanges import choose_figures, make_sections
from stages.failures import choose_failures

COPY_SOURCE = "copy_source"
BATCH = 8
SHARDS = 4

Row = dict[str, Any]
Scores = dict[str, NDArray[np.float64]]


def run(job: Job) -> None:
    """Write `rows.csv`, `metrics.json`, `extraction.json`, grids, failures, exchanges and the generated pictures."""
    rows, extraction = [], {}
    for domain in job.params.domains:
        packed = Pack(pack(domain))
        rows += _score_domain(job, domain, packed)
        _write_exchanges(job, domain, packed)
        if job.params.domain(domain).ingest.source == "figures":
            extraction[domain] = _score_extraction(domain, packed)
    table = pd.DataFrame(rows)
    artifact("evaluate", job.item, "").mkdir(parents=True, exist_ok=True)
    table.to_csv(artifact("evaluate", job.item, "rows.csv"), index=False, float_format="%.6g")
    _write_json(artifact("evaluate", job.item, "extraction.json"), extraction)
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
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


def _score_domain(job: Job, domain: str, packed: Pack) -> list[Row]:
    """Result rows of one domain; none where it has no test pairs. Writes its grid and its generated pictures."""
    settings = job.params.evaluate
    rows = packed.pairs("test")
    if not len(rows):
        _write_grid(job, domain, packed, rows, np.empty((0, 0, 0, 3), np.uint8))
        _write_failures(job, domain, packed, rows, np.empty((0, 0, 0, 3), np.uint8), np.empty(0))
        return []
    # Spread evenly over the table, so that every person keeps a part of the pairs.
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), settings.max_pairs)).round().astype(int)]
    pairs, scores, pictures = Pairs(packed, rows, method_class(job.item).reads), {}, {}
    for name, path in _systems(job, domain).items():
        scores[name], pictures[name] = _generate(job, load(path), pairs, f"{name} on {domain}")
    scores[COPY_SOURCE] = _copy_source(pairs)
    _write_grid(job, domain, packed, rows, pictures[job.item])
    _write_failures(job, domain, packed, rows, pictures[job.item], scores[job.item]["ssim_mask"])
    _write_pictures(job, domain, packed, rows, pictures[job.item])
    unit, groups = choose_groups([packed.persons[row] for _, row in rows], [packed.names[row] for _, row in rows])
    described = {"domain": domain, "protocol": PROTOCOL, "split": "test", "pairs": len(rows), "resampled": unit}
    return [
        {"method": name, **described, "metric": metric} | _interval(job, values, groups)
        for name in scores
        for metric, values in _compared(job.item, name, scores).items()
    ]


def _compared(method: str, name: str, scores: dict[str, Scores]) -> Scores:
    """The scores of one system, and their differences, pair by pair, to the rivals that it is measured against."""
    rivals = [] if name == COPY_SOURCE else [COPY_SOURCE]
    rivals += [f"{method}_scratch"] if name == method and f"{method}_scratch" in scores else []
    found = dict(scores[name])
    for metric in LARGER_IS_BETTER:
        for rival in rivals:
            short = "scratch" if rival.endswith("_scratch") else rival
            found[f"{metric}_minus_{short}"] = scores[name][metric] - scores[rival][metric]
    return found


def _interval(job: Job, values: NDArray[np.float64], groups: Sequence[str]) -> Row:
    settings = job.params.evaluate
    return vars(bootstrap_mean(values, groups, draws=settings.bootstrap, seed=settings.seed))


@torch.inference_mode()
def _generate(job: Job, method: Method, pairs: Pairs, title: str) -> tuple[Scores, NDArray[np.uint8]]:
    """Scores of every pair, and the generated pictures (M, H, W, 3) as they would be saved: 8 bits."""
    device = _device(job.params.evaluate.device)
    method = method.to(device)
    scores, pictures = [], []
    for chosen in job.progress(_chunks(pairs), title):
        batch = _read(pairs, chosen, device)
        levels = to_levels(method.generate(batch)).cpu()
        scores.append(_score(levels, batch, pairs, chosen))
        pictures.append(levels.permute(0, 2, 3, 1).numpy())
    return _joined(scores), np.concatenate(pictures)


def _copy_source(pairs: Pairs) -> Scores:
    scores = []
    for chosen in _chunks(pairs):
        batch = _read(pairs, chosen, torch.device("cpu"))
        scores.append(_score(to_levels(batch.source), batch, pairs, chosen))
    return _joined(scores)


def _chunks(pairs: Pairs) -> list[list[int]]:
    return [list(range(start, min(start + BATCH, len(pairs)))) for start in range(0, len(pairs), BATCH)]


def _read(pairs: Pairs, chosen: list[int], device: torch.device) -> Batch:
    return to_batch(default_collate([pairs[Draw(index)] for index in chosen]), device)


def _score(levels_BCHW: Tensor, batch: Batch, pairs: Pairs, chosen: list[int]) -> dict[str, Tensor]:
    maps = np.stack([pairs.pictures.parsing(int(pairs.rows[index, 1])) for index in chosen])
    target = to_levels(batch.target).cpu()
    return score_pictures(levels_BCHW / 255, target / 255, torch.from_numpy(maps) > labels.BACKGROUND)


def _joined(scores: list[dict[str, Tensor]]) -> Scores:
    return {metric: torch.cat([part[metric] for part in scores]).numpy() for metric in METRICS}


def _device(name: str) -> torch.device:
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _write_grid(job: Job, domain: str, packed: Pack, rows: NDArray[np.int32], pictures: NDArray[np.uint8]) -> None:
    """Source, target pose, target and generated picture of pairs spread over the table, two pairs beside each other."""
    chosen = sheets.choose(range(len(rows)), job.params.evaluate.grid_rows)
    tiles = [_tile(packed, rows[index], pictures[index]) for index in chosen]
    heading = "source · target pose · target · generated"
    sheets.write_sheet(
        artifact("evaluate", job.item, "grids") / f"{domain}.png",
        f"{job.item} on held-out pictures of {domain}",
        [sheets.Section(tiles, heading, columns=2)] if tiles else [],
        subtitle=f"{len(chosen)} of {len(rows)} pairs" if tiles else "there are no test pairs",
        max_bytes=4_000_000,
    )


def _write_failures(
    job: Job,
    domain: str,
    packed: Pack,
    rows: NDArray[np.int32],
    pictures: NDArray[np.uint8],
    scores: NDArray[np.float64],
) -> None:
    """What went worst, as `stages.failures` chooses it, laid out as the grid."""
    sections = [
        sheets.Section([_tile(packed, rows[index], pictures[index]) for index in chosen], kind, columns=2)
        for kind, chosen in choose_failures(packed, rows, scores).items()
        if chosen
    ]
    sheets.write_sheet(
        artifact("evaluate", job.item, "failures") / f"{domain}.png",
        f"{job.item}: what went wrong on {domain}",
        sections,
        subtitle="source · target pose · target · generated" if sections else "there are no test pairs",
        max_bytes=4_000_000,
    )


def _tile(packed: Pack, pair: NDArray[np.int32], generated: NDArray[np.uint8]) -> sheets.Tile:
    """Source, target pose, target and generated picture beside each other."""
    source, target = (int(row) for row in pair)
    pose = draw_skeleton(np.full_like(packed.image(target), 24), packed.keypoints[target])
    tile = beside(packed.image(source), pose, packed.image(target), generated)
    return sheets.Tile(tile, f"{packed.names[source]} → {packed.names[target]}")


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


def _write_pictures(job: Job, domain: str, packed: Pack, rows: NDArray[np.int32], pictures: NDArray[np.uint8]) -> None:
    names = [f"{packed.names[source]}___{packed.names[target]}" for source, target in rows]
    folder = artifact("evaluate", job.item, "generated") / domain
    items = {name: encode_png(picture) for name, picture in zip(names, pictures, strict=True)}
    write_shards(folder, items, shards=SHARDS, suffix=".png")


def _score_extraction(domain: str, packed: Pack) -> dict[str, dict[str, float]]:
    """PCKh and mean IoU of the packed joints and label maps against what was rendered."""
    truth = read_keypoints(artifact("figures", domain, "truth.parquet"))
    moves = pd.read_parquet(artifact("crop", domain, "moves.parquet")).set_index("id")
    true_joints = np.stack(list(_moved(truth, moves, packed)))
    found = [packed.parsing(row) for row in range(len(packed))]
    drawn = ShardReader(artifact("figures", domain, "labels"))
    true_maps = [labels.from_png(drawn[name]) for name in packed.names]
    scores = {"pckh": score_joints(packed.keypoints, true_joints, packed.persons)}
    if all(ours.shape == theirs.shape for ours, theirs in zip(found, true_maps, strict=True)):
        scores["miou"] = score_labels(found, true_maps, packed.persons)
    return scores


def _moved(truth: dict[str, skeleton.Joints], moves: pd.DataFrame, packed: Pack) -> Iterator[skeleton.Joints]:
    for name in packed.names:
        move = moves.loc[name]
        yield skeleton.move(truth[name], offset=tuple(move["offset"]), scale=tuple(move["scale"]), size=packed.size)
