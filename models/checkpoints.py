"""The checkpoints of a training: a folder of `step-NNNNNN.pt`, each written at once or not at all, the newest kept."""

import dataclasses
import hashlib
import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import torch

from models.data import Pairs
from models.method import Method
from models.settings import FREE, TrainingSettings
from pipeline.errors import UserError

log = logging.getLogger(__name__)

State = dict[str, Any]  # it has `recipe`, which says what it belongs to, and `step`


def recipe_of(method: Method, settings: TrainingSettings, pairs: Pairs) -> str:
    """What a checkpoint must agree with to be taken up: settings, data, and where the weights started."""
    binding = {name: value for name, value in dataclasses.asdict(settings).items() if name not in FREE}
    told = json.dumps([method.name, dataclasses.asdict(method.settings), binding], sort_keys=True)
    digest = hashlib.sha256(told.encode() + pairs.rows.tobytes() + pairs.pictures.keypoints.tobytes())
    for tensor in method.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write(folder: Path, state: State, *, keep: int) -> None:
    """Add a checkpoint, and remove the oldest beyond `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{state['step']:06}.pt"
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)
    for old in _newest_first(folder)[keep:]:
        old.unlink()


def newest(folder: Path, recipe: str) -> State | None:
    """The newest readable checkpoint of this recipe; damaged ones are named and passed over.

    UserError where one is damaged and none is left to go on from.
    """
    damaged = []
    for path in _newest_first(folder):
        try:
            _check_sums(path)
            state: State = torch.load(path, map_location="cpu", weights_only=True)
            is_ours = state["recipe"] == recipe
        # Bytes that are no checkpoint can end in any error; code that they may carry is not run.
        except Exception as error:
            log.warning("%s is damaged (%s); looking for an older one", path, type(error).__name__)
            damaged.append(f"{path}: not a checkpoint that can be read ({type(error).__name__})")
            continue
        if is_ours:
            return state
    if damaged:
        raise UserError(f"{damaged[0]}; delete it to begin anew")
    return None


def _check_sums(path: Path) -> None:
    """BadZipFile where a byte is not as it was written: torch.load takes what it finds."""
    with zipfile.ZipFile(path) as file:
        if (entry := file.testzip()) is not None:
            raise zipfile.BadZipFile(entry)


def _newest_first(folder: Path) -> list[Path]:
    """By the time of writing: a folder may hold those of other settings, of whatever step."""
    return sorted(folder.glob("step-*.pt"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
