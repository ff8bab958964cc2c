"""The scores of `posewright score`: every number with its interval, its protocol and what else it depends on."""

import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.features import Trunk
from models.metrics.intervals import bootstrap_mean, choose_groups
from models.metrics.networks import Inception, Lite0, Perceptual, SetFeatures
from models.metrics.pictures import Scores, contextual_distances, perceptual_distances, score_pictures
from models.metrics.protocols import PROTOCOLS, Protocol
from models.metrics.sets import ENOUGH_PICTURES, frechet_distance, inception_score, kernel_distance, look
from pipeline.errors import UserError
from pipeline.people.masks import body_mask
from pipeline.pictures import Bytes
from pipeline.sources.names import person_and_pose
from stages.measuring import Targets, look_here, score_pairs
from stages.trials import Trial, find_pictures, read_folders, read_picture, read_strips

LIBRARIES = ("scikit-image", "torch", "torchvision", "torchmetrics", "torch-fidelity", "lpips", "timm", "pillow")


@dataclass(frozen=True)
class Request:
    """What is asked for: the options of the command."""

    protocol: str
    generated: Path | None = None
    targets: Path | None = None
    pairs: Path | None = None
    strips: Path | None = None
    layout: str | None = None
    baseline: str | None = None
    training: Path | None = None
    inception: Path | None = None
    alexnet: Path | None = None
    people: bool = True
    perceptual: bool = False


@dataclass(frozen=True)
class Result:
    """Rows metric, value, low, high, n, note; and what they depend on."""

    rows: list[dict[str, Any]]
    provenance: dict[str, Any]
    left_out: list[str]


def score(request: Request) -> Result:
    """The scores of everything that was asked for; UserError names what is missing."""
    protocol = PROTOCOLS[request.protocol]
    trials, left_out = _read(request)
    if not trials:
        raise UserError(f"no picture was matched with a target; the first: {(left_out or ['none'])[0]}")
    generated, targets = [trial.generated for trial in trials], [trial.target for trial in trials]
    scores, networks = _score_pairs(request, protocol, trials)
    network: SetFeatures = Inception(request.inception) if request.inception else Lite0()
    networks[network.names["frechet"]] = network.sha256
    rows = [*_rows(trials, scores), *_set_rows(network, _prepared(protocol, generated), _reference(request, targets))]
    return Result(rows, _provenance(protocol, trials, networks, left_out), left_out)


def _read(request: Request) -> tuple[list[Trial], list[str]]:
    if request.strips:
        return read_strips(request.strips, request.layout), []
    if request.targets is None or (request.generated is None) == (request.baseline is None):
        raise UserError("give --strips DIR, or --targets DIR with either --generated DIR or --baseline")
    return read_folders(request.generated, request.targets, request.pairs, request.baseline)


def _score_pairs(request: Request, protocol: Protocol, trials: list[Trial]) -> tuple[Scores, dict[str, str]]:
    """Every pair's scores, and the networks that gave some of them by their hash."""
    generated, targets = [trial.generated for trial in trials], [trial.target for trial in trials]
    networks: dict[str, str] = {}
    if request.people:
        seen, real = look_here(generated), look_here(targets)
        pairs = [(name[0], name[2]) for name in (trial.name.rpartition("___") for trial in trials)]
        reference = Targets(targets, real.joints, real.maps, real, pairs, _persons(trials))
        scores = score_pairs(generated, seen, reference, protocol)
        if protocol.masked:
            scores["ssim_masked"] = _masked(protocol, trials, real.joints)
    else:
        scores = score_pictures(generated, targets, protocol=protocol)
    if request.perceptual:
        perceptual, trunk = Perceptual(request.alexnet), Trunk("vgg16").load()
        networks[perceptual.name] = perceptual.sha256
        prepared = [_prepared(protocol, pictures) for pictures in (generated, targets)]
        scores |= perceptual_distances(perceptual, *prepared)
        scores["cx_gt"] = contextual_distances(trunk, generated, targets)
        sources = [trial.source for trial in trials if trial.source is not None]
        if len(sources) == len(trials):
            scores["cx_gs"] = contextual_distances(trunk, generated, sources)
    return scores, networks


def _masked(protocol: Protocol, trials: list[Trial], joints: np.ndarray) -> np.ndarray:
    """SSIM of pictures multiplied by the target's pose mask, as PG2 has it."""
    found = []
    for trial, pose in zip(trials, joints, strict=True):
        height, width = trial.target.shape[:2]
        mask = body_mask(pose, width=width, height=height)[..., None]
        found.append(protocol.ssim["ssim"](trial.generated * mask, trial.target * mask))
    return np.array(found)


def _prepared(protocol: Protocol, pictures: list[Bytes]) -> list[Bytes]:
    return [protocol.prepared(picture) for picture in pictures]


def _reference(request: Request, targets: list[Bytes]) -> list[Bytes]:
    """What the set is compared with."""
    protocol = PROTOCOLS[request.protocol]
    if protocol.reference == "targets":
        return _prepared(protocol, targets)
    if request.training is None:
        return []
    return [protocol.prepared(read_picture(path)) for path in find_pictures(request.training).values()]


def _persons(trials: list[Trial]) -> list[str]:
    return [person_and_pose(trial.name.rpartition("___")[2])[0] for trial in trials]


def _rows(trials: list[Trial], scores: Scores) -> list[dict[str, Any]]:
    unit, groups = choose_groups(_persons(trials), [trial.name for trial in trials])
    return [
        {"metric": metric, **vars(bootstrap_mean(values, groups)), "over": unit} for metric, values in scores.items()
    ]


def _set_rows(network: SetFeatures, generated: list[Bytes], reference: list[Bytes]) -> list[dict[str, Any]]:
    seen = look(network, generated)
    found = {network.names["inception"]: inception_score(seen)}
    if reference:
        real = look(network, reference)
        found |= {
            network.names["frechet"]: frechet_distance(seen, real),
            network.names["kernel"]: kernel_distance(seen, real),
        }
    fewest = min(len(generated), len(reference) or len(generated))
    note = f"{fewest} pictures are too few: it says more of their number" if fewest < ENOUGH_PICTURES else ""
    return [{"metric": name, "value": value, "n": len(generated), "note": note} for name, value in found.items()]


def _provenance(
    protocol: Protocol, trials: list[Trial], networks: dict[str, str], left_out: list[str]
) -> dict[str, Any]:
    names = "\n".join(trial.name for trial in trials)
    height, width = trials[0].target.shape[:2]
    rows, columns = protocol.prepared(trials[0].target).shape[:2]
    return {
        "protocol": protocol.told(),
        "pictures": len(trials),
        "left_out": len(left_out),
        "size": f"{width}x{height}",
        "measured_size": f"{columns}x{rows}",
        "list_sha256": hashlib.sha256(names.encode()).hexdigest(),
        "networks_sha256": networks,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def print_table(result: Result) -> None:
    """Write the scores to stdout, what was left out to stderr."""
    told = result.provenance
    framed = "" if told["measured_size"] == told["size"] else f", measured as {told['measured_size']}"
    print(f"protocol {told['protocol']['name']}, {told['pictures']} pictures of {told['size']}{framed}")
    for row in result.rows:
        low, high = row.get("low"), row.get("high")
        interval = f"{low:10.4f} .. {high:.4f}" if low is not None and np.isfinite(low) else ""
        note = f"  ({row['note']})" if row.get("note") else ""
        print(f"  {row['metric']:<16}{row['value']:10.4f}{interval:>24}{note}")
    for line in result.left_out[:5]:
        print(f"left out: {line}", file=sys.stderr)
    if len(result.left_out) > 5:
        print(f"left out: {len(result.left_out) - 5} more", file=sys.stderr)


def write_json(path: Path, result: Result) -> None:
    """Write rows and provenance."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in result.rows]
    text = json.dumps({"provenance": result.provenance, "scores": rows, "left_out": result.left_out}, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text + "\n")
    partial.replace(path)


def _plain(value: Any) -> Any:
    """NaN is no JSON."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
