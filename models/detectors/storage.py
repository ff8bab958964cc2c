"""Weight files: safetensors that say what network they are for, and pickles only when their hash is known."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as as_bytes
from torch import Tensor

from pipeline.errors import UserError


def save(path: Path, weights: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write `weights` in half precision with `description` as JSON in the file's metadata; same input, same bytes."""
    small = {name: _halve(value).contiguous() for name, value in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(small, metadata={"description": json.dumps(description, sort_keys=True)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Float32 weights and the description of a file.

    The description is the file's own, or a JSON file beside it: `<name>.json`, or `config.json` as
    segmentation_models_pytorch writes it. Files that are not safetensors may hold tensors only: code is never run.
    UserError names the file that is missing, is not a weight file or has no description.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weight file")
    try:
        weights, text = _read_safetensors(path) if path.suffix == ".safetensors" else (_read_tensors(path), None)
        weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    except Exception as error:
        raise UserError(
            f"{path}: not a file of weights ({error.__class__.__name__}): it is damaged, or holds more than tensors, "
            "which is not read; fetch it again, or save its state dict alone as .safetensors"
        ) from error
    return weights, _description(path, text)


def _description(path: Path, text: str | None) -> dict[str, Any]:
    """What the JSON `text`, or without one the JSON file beside `path`, says of the network."""
    place = path
    if text is None:
        beside = (path.with_suffix(".json"), path.parent / "config.json")
        place = next((file for file in beside if file.is_file()), path)
        if place == path:
            raise UserError(f"{path}: says nothing of its network; put a {path.stem}.json beside it")
    try:
        found = json.loads(place.read_text(encoding="utf-8") if text is None else text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: the description of the network is no JSON ({error}); write it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{place}: the description of the network is {found!r:.80}; expected names and values")
    return found


def read_pickle(path: Path, trusted: Collection[str]) -> Any:
    """What the pickle `path` holds, if its SHA-256 is one of `trusted`; loading a pickle runs what is in it.

    UserError names the file, its hash and what to do.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weight file")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest not in trusted:
        raise UserError(
            f"{path}: a pickle can run any code when it is loaded, and its SHA-256 {digest} is not listed as trusted. "
            "If its publisher gives this hash, list it (keypoints.trusted); otherwise use a .safetensors file"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise UserError(f"{path}: not a pickle that can be read ({error}); fetch it again") from error


def _halve(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("description")
        return {name: file.get_tensor(name) for name in sorted(file.keys())}, text


def _read_tensors(path: Path) -> dict[str, Tensor]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    return dict(content.get("state_dict", content))
