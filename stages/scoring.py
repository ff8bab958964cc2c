"""The scores of `posewright score`: every number with its interval, its protocol and what else it depends on."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.features import Trunk
from models.metrics.intervals import bootstrap_mean, choose_groups
from models.metrics.networks import Inception, Lite0, Perceptual, SetFeatures
from models.metrics.pictures import Scores, contextual_distances, perceptual_distances, score_pictures
from models.metrics.protocols import PROTOCOLS, Protocol
from models.metrics.sets import ENOUGH_PICTURES, Seen, frechet_distance, inception_score, kernel_distance, look
from pipeline.errors import BadItem, UserError
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import Joints
from pipeline.pictures import Bytes
from pipeline.sources.names import person_and_pose
from stages.framed import masked, prepared
from stages.measuring import Targets, look_here, score_pairs
from stages.provenance import SCALED, Network, hash_names, instruments, libraries
from stages.trials import Trial, find_pictures, has_white_columns, read_folders, read_picture, read_strips

WHITE = (
    "{} of {} pictures have 40 white columns on each side, which raise every score under {}: measure them under "
    "padded, or cut both to the middle 176 columns"
)


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
    network: SetFeatures = Inception(request.inception) if request.inception else Lite0()
    reference = _reference(request, trials, left_out)
    scores, joints, networks = _score_pairs(request, protocol, trials)
    sets = _score_set(network, prepared(protocol, [trial.generated for trial in trials]), reference)
    if protocol.masked and joints is not None:
        hidden = masked([trial.generated for trial in trials], _masks(trials, joints))
        sets[f"{network.names['inception']}_masked"] = inception_score(_look(network, hidden))
    networks |= dict.fromkeys(sets, (SCALED[network.names["frechet"]], network.sha256))
    told = _provenance(protocol, trials, reference, networks, left_out)
    rows = [*_rows(trials, scores), *_set_rows(sets, len(trials), len(reference))]
    return Result([row | _carried(row["metric"], told, networks) for row in rows], told, left_out)


def _read(request: Request) -> tuple[list[Trial], list[str]]:
    if request.strips:
        return read_strips(request.strips, request.layout)
    if request.targets is None or (request.generated is None) == (request.baseline is None):
        raise UserError("give --strips DIR, or --targets DIR with either --generated DIR or --baseline")
    return read_folders(request.generated, request.targets, request.pairs, request.baseline)


def _score_pairs(
    request: Request, protocol: Protocol, trials: list[Trial]
) -> tuple[Scores, Joints | None, dict[str, Network]]:
    """Every pair's scores; the targets' joints; and by score the network that gave it, with its hash."""
    generated, targets = [trial.generated for trial in trials], [trial.target for trial in trials]
    joints: Joints | None = None
    networks: dict[str, Network] = {}
    if request.people:
        seen, real = look_here(generated), look_here(targets)
        ends, persons = [trial.ends for trial in trials], _persons(trials)
        joints = real.joints
        reference = Targets(targets, joints, real.maps, _masks(trials, joints), real, ends, persons)
        scores = score_pairs(generated, seen, reference, protocol)
    else:
        scores = score_pictures(generated, targets, protocol=protocol)
    if request.perceptual:
        perceptual, trunk = Perceptual(request.alexnet), Trunk("vgg16").load()
        if request.alexnet:
            networks["lpips"] = ("LPIPS 0.1 on AlexNet", perceptual.sha256)
        framed = (prepared(protocol, pictures) for pictures in (generated, targets))
        scores[perceptual.name] = perceptual_distances(perceptual, *framed)
        scores["cx_gt"] = contextual_distances(trunk, generated, targets)
        sources = [trial.source for trial in trials if trial.source is not None]
        if len(sources) == len(trials):
            scores["cx_gs"] = contextual_distances(trunk, generated, sources)
    return scores, joints, instruments(scores) | networks


def _masks(trials: list[Trial], joints: Joints) -> list[Bytes]:
    """(H, W) the pose mask of each target, as PG2 has it."""
    sizes = [trial.target.shape[:2] for trial in trials]
    return [body_mask(pose, width=size[1], height=size[0]) for pose, size in zip(joints, sizes, strict=True)]


def _reference(request: Request, trials: list[Trial], left_out: list[str]) -> dict[str, Bytes]:
    """What the set is compared with, by name; nothing where these pictures are not given."""
    protocol, pictures = PROTOCOLS[request.protocol], {}
    if protocol.reference == "targets":
        return {trial.name: protocol.prepared(trial.target) for trial in trials}
    for name, path in find_pictures(request.training).items() if request.training else ():
        try:
            pictures[name] = protocol.prepared(read_picture(path))
        except BadItem as bad:
            left_out.append(f"{path}: {bad}")
    return pictures


def _persons(trials: list[Trial]) -> list[str]:
    return [person_and_pose(trial.ends[1])[0] for trial in trials]


def _rows(trials: list[Trial], scores: Scores) -> list[dict[str, Any]]:
    unit, groups = choose_groups(_persons(trials), [trial.name for trial in trials])
    return [
        {"metric": metric, **vars(bootstrap_mean(values, groups)), "over": unit} for metric, values in scores.items()
    ]


def _score_set(network: SetFeatures, generated: list[Bytes], reference: dict[str, Bytes]) -> dict[str, float]:
    """Scores of the pictures as a set."""
    seen, names = _look(network, generated), network.names
    found = {names["inception"]: inception_score(seen)}
    if reference:
        real = _look(network, list(reference.values()))
        found |= {names["frechet"]: frechet_distance(seen, real), names["kernel"]: kernel_distance(seen, real)}
    return found


def _look(network: SetFeatures, pictures: list[Bytes]) -> Seen:
    """What the network sees, size by size: pictures of several sizes are no batch."""
    sizes = dict.fromkeys(picture.shape for picture in pictures)
    seen = [look(network, [picture for picture in pictures if picture.shape == size]) for size in sizes]
    return Seen(torch.cat([one.features for one in seen]), torch.cat([one.logits for one in seen]))


def _set_rows(scores: dict[str, float], pictures: int, reference: int) -> list[dict[str, Any]]:
    fewest = min(pictures, reference or pictures)
    note = f"{fewest} pictures are too few: it says more of their number" if fewest < ENOUGH_PICTURES else ""
    return [{"metric": name, "value": value, "n": pictures, "note": note} for name, value in scores.items()]


def _provenance(
    protocol: Protocol,
    trials: list[Trial],
    reference: dict[str, Bytes],
    networks: dict[str, Network],
    left_out: list[str],
) -> dict[str, Any]:
    white = sum(map(has_white_columns, trials))
    return {
        "protocol": protocol.told(),
        "pictures": len(trials),
        "left_out": len(left_out),
        "size": _sizes(trial.target for trial in trials),
        "measured_size": _sizes(protocol.prepared(trial.target) for trial in trials),
        "cut_to_middle_columns": sum(trial.cut for trial in trials),
        "list_sha256": hash_names(trial.name for trial in trials),
        "reference": {
            "of": protocol.reference,
            "pictures": len(reference),
            "size": _sizes(reference.values()),
            "list_sha256": hash_names(reference),
        },
        "networks_sha256": dict(networks.values()),
        "libraries": libraries(),
        "warnings": [WHITE.format(white, len(trials), protocol.name)] if white and not protocol.pad_px else [],
    }


def _carried(metric: str, told: dict[str, Any], networks: dict[str, Network]) -> dict[str, Any]:
    """What a row's number depends on, so that the row can be read alone."""
    network, sha256 = networks.get(metric, ("", ""))
    is_distance = metric in ("fid", "kid", "fd_lite0", "kd_lite0")
    return {
        "protocol": told["protocol"]["name"],
        "settings": {key: value for key, value in told["protocol"].items() if key != "name"},
        "pictures": told["pictures"],
        "measured_size": told["measured_size"],
        "list_sha256": told["list_sha256"],
        "reference_list_sha256": told["reference"]["list_sha256"] if is_distance else told["list_sha256"],
        "network": network,
        "network_sha256": sha256,
        "libraries": told["libraries"],
    }


def _sizes(pictures: Iterable[Bytes]) -> str:
    """`176x256`, or several with a comma between them."""
    return ", ".join(dict.fromkeys(f"{picture.shape[1]}x{picture.shape[0]}" for picture in pictures))


def print_table(result: Result) -> None:
    """Write the scores to stdout, what was left out to stderr."""
    told = result.provenance
    framed = "" if told["measured_size"] == told["size"] else f", measured as {told['measured_size']}"
    print(f"protocol {told['protocol']['name']}, {told['pictures']} pictures of {told['size']}{framed}")
    if told["cut_to_middle_columns"]:
        print(f"of {told['cut_to_middle_columns']} pictures of 256x256 the middle 176 columns, as the others are")
    for row in result.rows:
        low, high = row.get("low"), row.get("high")
        interval = f"{low:10.4f} .. {high:.4f}" if low is not None and np.isfinite(low) else ""
        note = f"  ({row['note']})" if row.get("note") else ""
        print(f"  {row['metric']:<16}{row['value']:10.4f}{interval:>24}{note}")
    for line in result.left_out[:5]:
        print(f"left out: {line}", file=sys.stderr)
    if len(result.left_out) > 5:
        print(f"left out: {len(result.left_out) - 5} more", file=sys.stderr)
    for line in told["warnings"]:
        print(f"warning: {line}", file=sys.stderr)


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
