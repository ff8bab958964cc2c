"""Typed settings of the methods and of training, built from plain mappings with errors that name the key."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pipeline.errors import UserError

Settings = TypeVar("Settings")


class SettingsError(UserError):
    """A setting has an unknown name, a wrong type or a value out of range; the text names the key."""


def setting(default: Any, *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field with its default and what it may be."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "choices": choices})


def read_settings(kind: type[Settings], values: Mapping[str, Any], *, where: str) -> Settings:
    """An instance of the dataclass `kind`; keys not given keep their defaults. `where` names the section in errors."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in fields:
            close = get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(fields))}"
            raise SettingsError(f"unknown key '{where}.{key}'; {hint}")
    checked = {key: _checked(values[key], hints[key], fields[key].metadata, f"{where}.{key}") for key in values}
    try:
        return kind(**checked)
    except SettingsError as error:  # of keys that contradict each other
        raise SettingsError(f"{where}.{error}") from None


def _checked(value: Any, kind: type, limits: Mapping[str, Any], where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise SettingsError(f"{where}: expected {kind.__name__}, found {value!r}")
    low, high, choices = limits.get("low"), limits.get("high"), limits.get("choices")
    if choices and value not in choices:
        raise SettingsError(f"{where}: {value!r} is not one of {', '.join(choices)}")
    # Written so that NaN, which compares false with everything, is out of range too.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise SettingsError(f"{where}: {value!r} is out of range; it must be {span}")
    return value


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how large, how fast, on what."""

    steps: int = setting(2000, low=0)  # 0: the weights stay as they are
    batch: int = setting(4, low=1)  # pairs a step, over all processes
    seed: int = setting(0, low=0)
    decay_from: float = setting(0.6, low=0, high=1)  # share of the steps after which learning rates fall linearly to 0
    small_until: float = setting(0.0, low=0, high=1)  # share of the steps first done at half the system's size
    average: float = setting(0.995, low=0, high=0.99999)  # decay of the weights' moving average; 0: none
    mirror: bool = setting(True)  # mirror half of the pairs
    recolour: bool = setting(False)  # give clothes and background other colours, the same in both pictures
    rate: float = setting(1.0, low=0, high=100)  # times the system's own learning rates
    learn: str = setting("everything")  # what learns: one of the system's choices
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))
    devices: int = setting(1, low=1)  # of each machine; each has a process and an equal part of the batch
    nodes: int = setting(1, low=1)  # machines
    precision: str = setting("32-true", choices=("32-true", "bf16-mixed", "16-mixed"))
    accumulate: int = setting(1, low=1)  # parts that a process works on its batch in, one after the other
    checkpointing: bool = setting(False)  # forget what is inside the system's blocks and compute it again
    threads: int = setting(0, low=0)  # of torch on the CPU; 0: as many as there are cores
    workers: int = setting(-1, low=-1)  # processes that read pictures; 0: the training itself; -1: as suits the device
    log_every: int = setting(25, low=1)
    sample_every: int = setting(250, low=1)
    checkpoint_every: int = setting(250, low=1)
    keep_last: int = setting(2, low=1)  # checkpoints
    keep_best: bool = setting(False)  # leave the weights too that drew the held-out pairs best
    max_minutes: float = setting(0.0, low=0)  # stop after so long, resumed parts included; 0: never
    held_out: int = setting(16, low=1)  # validation pairs that are scored; the first four of them are shown
    patience: int = setting(0, low=0)  # stop when so many looks at them in a row bring no better score; 0: never
    diverged_at: float = setting(30.0, low=1)  # stop when the losses exceed this many times their first value

    def __post_init__(self) -> None:
        for name in ("sample_every", "checkpoint_every"):
            if getattr(self, name) % self.log_every:
                raise SettingsError(f"{name}: {getattr(self, name)} must be a multiple of log_every ({self.log_every})")
        parts = self.devices * self.nodes * self.accumulate
        if self.batch % parts:
            raise SettingsError(f"batch: {self.batch} must be a multiple of devices x nodes x accumulate ({parts})")


# What a training may go on with after other values: these say where and for how long, not what is learnt.
FREE = ("devices", "nodes", "workers", "keep_last", "max_minutes")
