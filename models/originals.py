"""Checkpoints of the published programs: read strictly, and written entry for entry.

`load_original` gives a network that takes what the original took. `to_method` makes a system of this project of it,
`to_original` goes back from either. Another system joins with lines in
`models.published.ORIGINALS`.
"""

import copy
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.blocks import AdaIN, InstanceNorm
from models.method import Method, method_class
from models.published import ORIGINALS, Original
from pipeline.errors import UserError
from pipeline.people.labels import MERGE

_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", _COUNTER)
_PREFIX = "module."  # of every entry, when the original ran on several GPUs
_NAMED = 4  # entries that a message names


class OriginalMismatch(UserError):  # noqa: N818
    """Entries or settings do not fit a published network; the text names them and the remedy."""


def load_original(name: str, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """The published network `name` with these weights: float32, on the CPU, in eval mode.

    Its attribute `ignored` names the entries that nothing reads. OriginalMismatch says which do not fit.
    """
    entries = _without_prefix(name, state_dict)
    fit = _best_fit(name, entries)
    _compare_twins(name, entries)
    # `assign` puts tensors in the place of those without memory, and keeps what is frozen frozen.
    network = copy.deepcopy(fit.network)
    network.load_state_dict(fit.completed(entries), assign=True)
    network.ignored = fit.ignored
    return network.eval()


def to_original(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Every entry of the published network `name`, float32 on the CPU, from `load_original`'s or a system of ours.

    OriginalMismatch names the setting or the entries that the original cannot have.
    """
    original = _find(name)
    network = _part_of(name, module) if isinstance(module, Method) else module
    if not isinstance(module, Method | original.kind):
        raise OriginalMismatch(
            f"{name}: a {type(module).__name__} is not {original.title}; "
            f"give what load_original returned, or the whole system '{original.method}'"
        )
    entries = dict(network.state_dict())
    completed = _best_fit(name, entries).completed(entries)
    if isinstance(module, Method) and original.reads_labels:
        _reorder(completed, original.reads_labels, MERGE[original.labels])
    for twin, kept in original.twins.items():
        completed |= {
            f"{twin}{key.removeprefix(kept)}": completed[key] for key in list(completed) if key.startswith(kept)
        }
    return completed


def to_method(
    name: str, state_dict: Mapping[str, Tensor], critics: Mapping[str, Mapping[str, Tensor]] | None = None
) -> Method:
    """Our system with the released weights of `name`, in eval mode; its parsing is in our order of labels.

    `critics` are further checkpoints by their names here; a network that none is given for starts from random weights,
    the same every time. `ignored` lists what nothing reads.
    """
    original = _find(name)
    if not original.trained_with:
        raise OriginalMismatch(f"{name}: no system works with this network alone; give it as a critic of a generator")
    kind = method_class(original.method)
    told = _told(name, state_dict)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = kind(kind.Settings(**original.settings, **original.trained_with, **told))
    ignored: list[str] = []
    for key, entries in {**(critics or {}), name: state_dict}.items():
        ignored += _adopt(method, key, entries)
    method.ignored = tuple(ignored)
    return method.eval()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The entries of a .safetensors, .pth or .pt file; no code that a file may carry is run."""
    path = Path(path)
    if path.suffix.lower() not in (".safetensors", ".pth", ".pt"):
        raise UserError(f"{path}: a checkpoint ends in .safetensors, .pth or .pt")
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give the path of a checkpoint")
    try:
        is_flat = path.suffix.lower() == ".safetensors"
        state = load_file(path) if is_flat else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint can end in any of them
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise UserError(
            f"{path}: cannot be read ({reason}): it is damaged, or holds code, which is not run; "
            "save its state dict alone with torch.save"
        ) from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: holds a {type(state).__name__}; expected a state dict, saved with torch.save")
    return dict(state)


@dataclass(frozen=True)
class _Fit:
    """How entries compare with those of a network, which has no memory for its own and stays as it is."""

    network: nn.Module
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def mistakes(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    def completed(self, entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies for every entry of the network; statistics that were not given are those of a new network."""
        return {key: _copied(entries.get(key), key, like) for key, like in self.network.state_dict().items()}


def _fit(network: nn.Module, entries: Mapping[str, Tensor]) -> _Fit:
    own, unread = network.state_dict(), _unread(network)
    # Batch norms count batches since PyTorch 0.4.1; at a fixed momentum nothing reads the counters.
    is_old = not any(key.endswith(_COUNTER) for key in entries)
    optional = unread | {key for key in own if is_old and key.endswith(_COUNTER)}
    misshapen = [
        f"{key} {tuple(entries[key].shape)} instead of {tuple(like.shape)}"
        for key, like in own.items()
        if key in entries and entries[key].shape != like.shape
    ]
    return _Fit(
        network,
        missing=tuple(key for key in own if key not in entries and key not in optional),
        unexpected=tuple(key for key in entries if key not in own and key not in unread),
        misshapen=tuple(misshapen),
        ignored=tuple(key for key in entries if key in unread),
    )


def _unread(network: nn.Module) -> set[str]:
    """Statistics of norms that never read them; old versions of PyTorch wrote them for every instance norm."""
    norms = (path for path, layer in network.named_modules() if isinstance(layer, InstanceNorm | AdaIN))
    return {f"{path}.{statistic}" for path in norms for statistic in _STATISTICS}


def _copied(value: Tensor | None, key: str, like: Tensor) -> Tensor:
    if value is None:
        return (torch.ones if key.endswith("running_var") else torch.zeros)(like.shape, dtype=like.dtype)
    return value.detach().to("cpu", like.dtype, copy=True, memory_format=torch.contiguous_format)


def _best_fit(name: str, entries: Mapping[str, Tensor]) -> _Fit:
    _find(name)
    fit = _closest(name, entries)
    if not fit.mistakes:
        return fit
    mistakes = {"missing": fit.missing, "unexpected": fit.unexpected, "of another shape": fit.misshapen}
    text = "; ".join(f"{kind}: {_listed(keys)}" for kind, keys in mistakes.items() if keys)
    others = [other for other in ORIGINALS if other != name and not _closest(other, entries).mistakes]
    remedy = f"they fit '{others[0]}'" if others else "give the state dict as the original program saved it"
    raise OriginalMismatch(f"{name}: the entries do not fit {ORIGINALS[name].title}; {text}; {remedy}")


def _closest(name: str, entries: Mapping[str, Tensor]) -> _Fit:
    twins = tuple(ORIGINALS[name].twins)
    entries = {key: value for key, value in entries.items() if not key.startswith(twins)}
    return min((_fit(network, entries) for network in _variants(name)), key=lambda fit: fit.mistakes)


@functools.cache
def _variants(name: str) -> tuple[nn.Module, ...]:
    """The network in each of its variants, without memory: made once, to compare entries with."""
    with torch.device("meta"):
        return tuple(make() for make in ORIGINALS[name].variants)


def _told(name: str, state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings that the entries themselves say."""
    original = _find(name)
    if not original.tells:
        return {}
    network = _best_fit(name, _without_prefix(name, state_dict)).network
    return {key: getattr(network, key) for key in original.tells}


def _find(name: str) -> Original:
    if name not in ORIGINALS:
        raise OriginalMismatch(f"'{name}' is not a published network that is known here: {', '.join(ORIGINALS)}")
    return ORIGINALS[name]


def _without_prefix(name: str, state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """The same tensors; a prefix that only some have stays, and is found not to fit."""
    odd = [str(key) for key, value in state_dict.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise OriginalMismatch(f"{name}: no tensor: {_listed(odd)}; give the state dict of the network alone")
    prefix = _PREFIX if all(key.startswith(_PREFIX) for key in state_dict) else ""
    return {key.removeprefix(prefix): value for key, value in state_dict.items()}


def _compare_twins(name: str, entries: Mapping[str, Tensor]) -> None:
    """OriginalMismatch where an entry is not there under its second name, or is not the same there."""
    for twin, kept in _find(name).twins.items():
        for key in (key for key in entries if key.startswith(kept)):
            other = f"{twin}{key.removeprefix(kept)}"
            if other not in entries:
                raise OriginalMismatch(f"{name}: missing: {other}; the original holds {key} under this name too")
            if not torch.equal(entries[other], entries[key]):
                raise OriginalMismatch(f"{name}: {other} is not equal to {key}; give the checkpoint as it was written")


def _listed(keys: Collection[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(list(keys)[:_NAMED]) + more


def _part_of(name: str, method: Method) -> nn.Module:
    original = _find(name)
    if method.name != original.method:
        raise OriginalMismatch(f"{name}: the system is '{method.name}'; only '{original.method}' can be written so")
    for key, value in original.settings.items():
        own = getattr(method.settings, key)
        if own == "auto":  # which VGG depends on the files that are there
            own = method.settings.trunk(own)
        if own != value:
            raise OriginalMismatch(f"{name}: the original has {key} = {value}, not {own}; train with {key}: {value}")
    return method.get_submodule(original.part)


def _adopt(method: Method, name: str, state_dict: Mapping[str, Tensor]) -> list[str]:
    """Load the part `name` of our system; what was ignored."""
    original, loaded = _find(name), load_original(name, state_dict)
    part, entries = method.get_submodule(original.part), loaded.state_dict()
    if _fit(part, entries).mistakes:
        raise OriginalMismatch(f"{name}: '{method.name}' takes weights with instance norm and dropout; leave these out")
    if original.reads_labels:
        _reorder(entries, original.reads_labels, np.argsort(MERGE[original.labels]).tolist())
    part.load_state_dict(entries)
    return [f"{original.part}.{key}" for key in loaded.ignored]


def _reorder(entries: dict[str, Tensor], key: str, order: Sequence[int]) -> None:
    """Put the blocks of columns that belong to one label each into another order."""
    entries[key] = entries[key].unflatten(1, (len(order), -1))[:, list(order)].flatten(1)
