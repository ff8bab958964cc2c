"""Typed settings of the methods and of training, built from plain mappings with errors that name the key."""

import dataclasses
import typing
from collections.abc import Mapping
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
