"""Typed view of this project's params.yaml: an unknown or missing key is an error that names it."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

from pipeline import params
from pipeline.errors import UserError
from pipeline.params import Params

HERE = Path(__file__).parent
ROOT = HERE.parent

# The two groups of trainings: those that may begin with the pretrained weights, and those from random ones.
GROUPS = ("carried", "trained")
T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """A budget: shares of the steps that the root's params.yaml gives a training, by system; and test pairs scored."""

    pairs: int
    people: int  # of the set for re-identification
    share: dict[str, float]


@dataclass(frozen=True)
class Row:
    """One training: what differs from the root's params.yaml."""

    table: str  # the question or table that it belongs to
    title: str
    method: str
    domain: str = "source"
    begins: str = "random"  # random | pretrained
    pictures: int = 0  # of the domain that it may see; 0: all that there are to train on
    share: float = 1.0  # of the steps of this size
    set: dict[str, Any] = field(default_factory=dict)  # root parameters by dotted key


@dataclass(frozen=True)
class Settings:
    """What params.yaml says."""

    size: Size
    seed: int
    bootstrap: int
    pictures: dict[str, Path]
    rows: dict[str, dict[str, Row]]
    unseen: dict[str, int]  # people, poses, seed
    draws: int  # of a permutation baseline
    timed_steps: int

    def of(self, table: str) -> dict[str, Row]:
        """The rows of a table, in the order of the file."""
        return {name: row for group in GROUPS for name, row in self.rows[group].items() if row.table == table}


def read(path: Path = HERE / "params.yaml") -> Settings:
    """The parameters of a file; UserError names the key that is unknown, missing or of the wrong type."""
    values: dict[str, Any] = YAML(typ="safe").load(path)
    if values["size"] not in values["sizes"]:
        raise UserError(f"{path}: size: {values['size']!r} is not one of {', '.join(values['sizes'])}")
    return Settings(
        size=_make(Size, values["sizes"][values["size"]], f"sizes.{values['size']}"),
        seed=int(values["seed"]),
        bootstrap=int(values["bootstrap"]),
        pictures={name: HERE / folder for name, folder in (values["pictures"] or {}).items()},
        rows={group: _rows(group, values[group]) for group in GROUPS},
        unseen={key: int(values["unseen"][key]) for key in ("people", "poses", "seed")},
        draws=int(values["draws"]),
        timed_steps=int(values["timed_steps"]),
    )


def _rows(group: str, values: dict[str, Any]) -> dict[str, Row]:
    return {name: _make(Row, row, f"{group}.{name}") for name, row in values.items()}


def _make(kind: type[T], values: dict[str, Any], name: str) -> T:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    if stray := sorted(set(values) - known):
        raise UserError(f"experiments/params.yaml: unknown key '{name}.{stray[0]}'; known: {', '.join(sorted(known))}")
    try:
        return kind(**values)
    except TypeError as error:
        raise UserError(f"experiments/params.yaml, {name}: {error}") from error


def trained_folder(group: str, name: str) -> Path:
    """Where a row's `weights.safetensors` and `curves.json` lie."""
    return HERE / "data" / group / name


def scored_folder(group: str, name: str) -> Path:
    """Where the scores of a row lie, beside pictures of it; the group of what needs no training is its domain."""
    return HERE / "data" / "scores" / group / name


def root_params(row: Row | None = None) -> Params:
    """The root's parameters, with the row's values in the place of theirs."""
    changes = {"methods": [row.method], **row.set} if row else {}
    return params.load(ROOT / "params.yaml", changes)
