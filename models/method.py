"""What every system offers the trainer and the commands: networks, phases, one training step, pictures, edits.

A system is one `Method`: it owns its networks, its settings say all about them, and its state dict is what is saved.
"""

import contextlib
import dataclasses
import functools
import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from models.data import Batch
from models.settings import SettingsError, read_settings

# Name of a system -> its class, imported when it is asked for.
METHODS = {
    "adgan": "models.adgan:Adgan",
    "pg2": "models.pg2:Pg2",
    "spt": "models.spt:Spt",
    "dpig": "models.dpig:Dpig",
    "scagan": "models.scagan:Scagan",
}


@dataclass(frozen=True)
class Phase:
    """A stretch of the training with its own optimisers; `share` of the step budget."""

    name: str
    share: float = 1.0


@dataclass(frozen=True)
class Moment:
    """Where in a training a step is: counted from the beginning of its phase."""

    phase: str
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """0 at the beginning of the phase, below 1."""
        return self.step / self.steps


class Update(Protocol):
    """One optimiser step: the gradient of `loss` goes to the parameters of that optimiser and to no others.

    At most once for each optimiser in a `train_step`; of a batch in parts the last one's call moves the weights.
    """

    def __call__(self, name: str, loss: Tensor) -> None:
        """Do it."""


class Method(nn.Module, ABC):
    """A published system.

    Subclasses set `name`, `Settings` (a dataclass of `models.settings.setting` fields; it has `scale`), and, where they
    have more than one phase or finer choices of what learns, `phases` and `trainable`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type]
    phases: tuple[Phase, ...] = (Phase("train"),)  # one whose settings decide sets its own
    # Name of a choice -> beginnings of the names of the parameters that learn.
    trainable: ClassVar[dict[str, tuple[str, ...]]] = {"everything": ("",)}
    # Settings that weights are bound to though their shapes do not show it.
    bound: ClassVar[tuple[str, ...]] = ()
    # Blocks that a training with `checkpointing` computes twice instead of keeping what is inside. No running means.
    checkpointed: ClassVar[tuple[type[nn.Module], ...]] = ()
    # What is read of a pack beside pictures, label maps and joints: of `models.data.EXTRAS`.
    reads: frozenset[str] = frozenset()
    # What a command can ask for beside `generate`.
    edits: frozenset[str] = frozenset()

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def read_frozen(self) -> None:
        """Read the weights that never learn from their own files; a saved system brings them along."""

    @abstractmethod
    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """The optimisers of a phase by the name that `update` knows them under."""

    @abstractmethod
    def train_step(self, batch: Batch, update: Update, at: Moment) -> dict[str, Tensor]:
        """One step on a batch of the network's size: calls `update` as often as the system wants.

        Gives the detached terms of the losses, for the curves.
        """

    @abstractmethod
    def draw(self, batch: Batch) -> Tensor:
        """(B, 3, h, w) in [-1, 1] for a batch of the network's size: the source person in the target pose."""

    def encode(self, batch: Batch) -> Tensor:
        """(B, K, S) codes of the source persons' eight parts, for a batch of the network's size."""
        raise SettingsError(f"{self.name} has no codes of a person's parts to edit")

    def decode(self, batch: Batch, codes_BKS: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1]: persons of these codes in the target poses, for a batch of the network's size."""
        raise SettingsError(f"{self.name} has no codes of a person's parts to edit")

    @torch.no_grad()
    def part_codes(self, batch: Batch) -> Tensor:
        """(B, K, S) codes of the source persons' eight parts, in eval mode, for `generate`."""
        with _evaluating(self):
            return self.encode(batch.scaled(self.settings.scale)).float()

    @torch.no_grad()
    def generate(self, batch: Batch, codes_BKS: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [-1, 1] at the batch's own size, in eval mode; the target's picture and mask are not read.

        With `codes_BKS` these are drawn instead of the source persons.
        """
        small = batch.scaled(self.settings.scale)
        with _evaluating(self):
            image = (self.draw(small) if codes_BKS is None else self.decode(small, codes_BKS)).float()
        return enlarged(image, batch.size)

    def forget_inside_blocks(self) -> None:
        """Keep of the `checkpointed` blocks only what goes in, and compute the rest again for the gradient."""
        for block in _outermost(self, self.checkpointed):
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]

    def learning_parameters(self, network: nn.Module) -> list[nn.Parameter]:
        """The parameters of `network` that are not frozen."""
        return [parameter for parameter in network.parameters() if parameter.requires_grad]

    def let_learn(self, choice: str) -> None:
        """Freeze what `trainable[choice]` does not name; a phase in which nothing is left to learn takes no steps."""
        if choice not in self.trainable:
            raise SettingsError(f"learn: {choice!r} is not one of {', '.join(self.trainable)} ({self.name})")
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name.startswith(self.trainable[choice]))
        self.phases = tuple(phase for phase in self.phases if self.optimisers(phase.name))


def _outermost(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[nn.Module]:
    """The modules of these kinds that are in no other one of them."""
    for child in module.children():
        if isinstance(child, kinds):
            yield child
        else:
            yield from _outermost(child, kinds)


def enlarged(image_B3HW: Tensor, size: tuple[int, int]) -> Tensor:
    """The pictures in [-1, 1] at `size` (H, W); themselves where they have it."""
    if image_B3HW.shape[-2:] == size:
        return image_B3HW
    return F.interpolate(image_B3HW, size, mode="bicubic", align_corners=False).clamp(-1, 1)


@contextlib.contextmanager
def _evaluating(method: Method) -> Iterator[None]:
    was_training = method.training
    method.eval()
    try:
        yield
    finally:
        method.train(was_training)


def method_class(name: str) -> type[Method]:
    """The class of the system `name`."""
    if name not in METHODS:
        raise SettingsError(f"methods: '{name}' is not one of {', '.join(METHODS)}")
    module, _, attribute = METHODS[name].partition(":")
    kind: type[Method] = getattr(importlib.import_module(module), attribute)
    return kind


def build(name: str, settings: Mapping[str, Any], *, seed: int = 0, start: Path | None = None) -> Method:
    """The system `name` with the weights of `start`, or with fresh ones, a function of `seed`.

    SettingsError names a wrong key, or what of `start` does not fit these settings.
    """
    kind = method_class(name)
    checked: Any = read_settings(kind.Settings, settings, where=name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method = kind(checked)
    if start is None:
        method.read_frozen()
    else:
        _start_from(method, start)
    return method


def save(path: Path, method: Method) -> None:
    """Write the weights as safetensors; the metadata `system` is JSON of the method's name and settings.

    One entry, because safetensors writes several in a random order, and the same weights shall be the same bytes.
    """
    system = {"method": method.name, "settings": dataclasses.asdict(method.settings)}
    state = {key: value.detach().cpu().contiguous() for key, value in method.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    save_file(state, partial, {"system": json.dumps(system, sort_keys=True)})
    partial.replace(path)


def load(path: Path) -> Method:
    """The system that `save` wrote, ready to generate; SettingsError names the file where it is none of ours."""
    system, state = _read(path)
    try:
        kind = method_class(system["method"])
        method = kind(read_settings(kind.Settings, system["settings"], where=system["method"]))
        method.load_state_dict(state)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    except RuntimeError as error:
        first = str(error).strip().splitlines()[0]
        raise SettingsError(
            f"{path}: the weights do not fit the settings beside them ({first}); train again"
        ) from error
    return method.eval()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Method and settings, and the weights, of a file that `save` wrote."""
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; `dvc repro` trains and writes one")
    try:
        with safe_open(path, "pt") as file:
            system = json.loads((file.metadata() or {})["system"])
        if not isinstance(system["method"], str) or not isinstance(system["settings"], dict):
            raise TypeError("method and settings")
        return system, load_file(path)
    except SafetensorError as error:
        raise SettingsError(f"{path}: no safetensors file, or a damaged one ({error}); take another") from error
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{path}: no method and settings in its metadata; expected a file written by this project"
        ) from error


def _start_from(method: Method, path: Path) -> None:
    """Give `method` the weights of a file; SettingsError names what does not fit."""
    system, state = _read(path)
    if system["method"] != method.name:
        raise SettingsError(f"{path}: weights of '{system['method']}', not of '{method.name}'")
    own = method.state_dict()
    if odd := sorted(own.keys() ^ state.keys()):
        raise SettingsError(f"{path}: entry '{odd[0]}' does not fit these settings; pretrain with the same ones")
    for key, value in own.items():
        if value.shape != state[key].shape:
            shapes = f"{tuple(state[key].shape)}, here {tuple(value.shape)}"
            raise SettingsError(f"{path}: '{key}' has shape {shapes}; pretrain with the same {method.name}.width")
    for key in method.bound:
        theirs, ours = system["settings"].get(key), getattr(method.settings, key)
        if theirs != ours:
            raise SettingsError(f"{path}: trained with {method.name}.{key} {theirs}, here {ours}; use the same")
    method.load_state_dict(state)
