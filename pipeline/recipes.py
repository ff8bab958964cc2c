"""Recipes: named sets of parameters, and how their values get into params.yaml with every other character left alone.

A recipe is `recipes/NAME.yaml`: what it is for, what it needs, and under `set` the values, nested as in params.yaml.
Values are handled as the text that stands in the file, so that 0.00002 stays 0.00002.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pipeline import params
from pipeline.errors import UserError
from pipeline.params import Params

FOLDER = Path("recipes")


class RecipeError(UserError):
    """A recipe does not exist or says something that params.yaml has no room for; the text names file and key."""


@dataclass(frozen=True)
class Expected:
    """What a recipe takes on one modern GPU, as `posewright use NAME --dry-run` computes it."""

    hours: float
    memory_gib: float
    disk_gib: float


@dataclass(frozen=True)
class Recipe:
    """A recipe's file, with the values of those that it builds on."""

    name: str
    description: str
    needs: str
    expected: Expected
    values: dict[str, str]  # key with dots -> text of its value
    pictures: int = 0  # of the published data set; 0: as many as there are
    asks: dict[str, str] = field(default_factory=dict)  # keys and files that only the user knows -> what they are


def names(folder: Path = FOLDER) -> list[str]:
    """Every recipe, `quick` first; RecipeError where there is no folder of them."""
    found = sorted(path.stem for path in folder.glob("*.yaml"))
    if not found:
        raise RecipeError(f"{folder}/ holds no recipes: run from the project's root, where dvc.yaml stands")
    return sorted(found, key=lambda name: name != "quick")


def read(name: str, folder: Path = FOLDER, *, within: tuple[str, ...] = ()) -> Recipe:
    """The recipe `name`; RecipeError names what is wrong with it. `within`: recipes that build on it."""
    known = names(folder)
    if name not in known:
        raise RecipeError(f"there is no recipe '{name}'{_hint(name, known)}")
    path = folder / f"{name}.yaml"
    text = _text(path)
    head = _head(text, path)
    values: dict[str, str] = {}
    for base in head.pop("builds_on", []):
        if base in (*within, name):
            raise RecipeError(f"{path}: builds on itself")
        values |= read(base, folder, within=(*within, name)).values
    own = {key: value for key, value in leaves(text, path).items() if key.startswith("set.")}
    values |= {key.removeprefix("set."): value for key, value in own.items()}
    head.pop("set")
    return Recipe(name=name, values=values, **(head | {"expected": Expected(**head["expected"])}))


def _head(text: str, path: Path) -> dict[str, Any]:
    """The file as plain values, its keys checked."""
    if not isinstance(_compose(text, path), MappingNode):
        raise RecipeError(f"{path}: expected keys such as `set:`")
    head = dict(_loaded(text, path))
    wanted = {"description": str, "needs": str, "expected": dict, "set": dict}
    optional = {"builds_on": list, "pictures": int, "asks": dict}
    for key in head:
        if key not in wanted | optional:
            raise RecipeError(f"{path}: unknown key '{key}'{_hint(str(key), [*wanted, *optional])}")
    for key, kind in (wanted | optional).items():
        if key in wanted and key not in head:
            raise RecipeError(f"{path}: '{key}' is missing")
        if key in head and not isinstance(head[key], kind):
            raise RecipeError(f"{path}: {key}: expected a {kind.__name__}, found {head[key]!r}")
    if set(head["expected"]) != {"hours", "memory_gib", "disk_gib"}:
        raise RecipeError(f"{path}: expected: give hours, memory_gib and disk_gib, and nothing else")
    return head


@dataclass(frozen=True)
class Change:
    """A value of params.yaml that a recipe makes another one."""

    key: str
    old: str
    new: str


@dataclass(frozen=True)
class Plan:
    """What recipes make of a params.yaml: its new text, the values that change, and all of it checked."""

    text: str
    changes: list[Change]
    params: Params


def plan(recipes: Sequence[Recipe], overrides: Mapping[str, str], path: Path = Path("params.yaml")) -> Plan:
    """`path` with the values of the recipes, a later one's before an earlier one's, and then `overrides`.

    RecipeError names the recipe and the key that params.yaml does not have; ParamsError a value that will not do.
    """
    text = _text(path)
    present = leaves(text, path)
    wanted: dict[str, str] = {}
    for source, values in [*((f"{FOLDER}/{recipe.name}.yaml", recipe.values) for recipe in recipes), ("-S", overrides)]:
        for key, value in values.items():
            if key not in present:
                raise RecipeError(f"{source}: '{key}' is no key of {path}{_hint(key, present)}")
            wanted[key] = value
    raw = _loaded(text, path)
    # A list in several lines, as `dvc exp run` leaves it, is none the worse for it.
    wanted = {key: value for key, value in wanted.items() if not _is_same(_found(raw, key), _loaded(value, path))}
    edited = with_values(text, wanted, path)
    source = " and ".join([f"{FOLDER}/{recipe.name}.yaml" for recipe in recipes] + ["-S"] * bool(overrides))
    checked = params.parse(_loaded(edited, path), name=f"{path} with {source}")
    changes = [Change(key, present[key], value) for key, value in wanted.items() if present[key] != value]
    return Plan(edited, changes, checked)


def overrides(words: Sequence[str]) -> dict[str, str]:
    """Values by key from `key=value` words; RecipeError where one is no such thing."""
    values = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value.strip()):
            raise RecipeError(f"-S {word}: expected key=value, such as -S pretrain.steps=1000")
        _compose(f"{key}: {value}", f"-S {word}")
        values[key] = value.strip()
    return values


def leaves(text: str, path: Path | str) -> dict[str, str]:
    """The text of every value that is no mapping, by its key with dots."""
    return {key: text[place.start : place.stop] for key, place in _places(text, path).items()}


def with_values(text: str, values: Mapping[str, str], path: Path | str) -> str:
    """`text` with other values and no other change; RecipeError where the text has no room for one."""
    edited, places = text, _places(text, path)
    for key, place in sorted(places.items(), key=lambda entry: entry[1].start, reverse=True):
        if key in values:
            edited = edited[: place.start] + place.gap + values[key] + edited[place.stop :]
    _check_edited(text, values, edited, path)
    return edited


def _check_edited(text: str, values: Mapping[str, str], edited: str, path: Path | str) -> None:
    """An alias, say, stands for a value at another place, and a `#` in a value begins a comment."""
    before = leaves(text, path)
    try:
        if leaves(edited, path) == {key: values.get(key, value) for key, value in before.items()}:
            return
    except RecipeError:
        pass
    for key, value in values.items() if len(values) > 1 else ():
        with_values(text, {key: value}, path)
    key, value = next(iter(values.items()))
    raise RecipeError(f"{path}: '{key}' cannot be changed from {before[key]!r} to {value!r}; do it by hand")


@dataclass(frozen=True)
class _Place:
    """Where a value stands, without comments and empty lines behind it."""

    start: int
    stop: int
    gap: str = ""  # what a value in one line needs before it


def _place(text: str, key: Node, value: Node) -> _Place:
    last, start = value, value.start_mark.index
    while isinstance(last, SequenceNode | MappingNode) and not last.flow_style and last.value:
        last = last.value[-1] if isinstance(last, SequenceNode) else last.value[-1][1]
    length = len(text[start : last.end_mark.index].rstrip())
    if not length:  # nothing is given: the marks are those of what follows
        colon = text.index(":", key.end_mark.index) + 1
        return _Place(colon, colon, " ")
    if value.start_mark.line == key.start_mark.line:
        return _Place(start, start + length)
    return _Place(start, start + length, " " * max(0, key.start_mark.column + 2 - value.start_mark.column))


def _places(text: str, path: Path | str) -> dict[str, _Place]:
    found: dict[str, _Place] = {}

    def walk(node: MappingNode, prefix: str) -> None:
        for key, value in node.value:
            if isinstance(value, MappingNode) and not value.flow_style:
                walk(value, f"{prefix}{key.value}.")
            else:
                found[f"{prefix}{key.value}"] = _place(text, key, value)

    root = _compose(text, path)
    if isinstance(root, MappingNode):
        walk(root, "")
    return found


def _compose(text: str, path: Path | str) -> MappingNode | ScalarNode | SequenceNode:
    try:
        return YAML().compose(text)
    except (YAMLError, RecursionError) as error:
        raise RecipeError(f"{path}: no valid YAML: {error}") from error


def _loaded(text: str, path: Path | str) -> Any:
    try:
        return YAML(typ="safe").load(text)
    except (YAMLError, RecursionError) as error:  # of keys that stand twice, tags
        raise RecipeError(f"{path}: no valid YAML: {error}") from error


def _found(raw: Any, key: str) -> Any:
    return functools.reduce(lambda node, name: node[name], key.split("."), raw)


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _text(path: Path) -> str:
    """As it is: the ends of its lines stay, too."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read ({error}); run from the project's root") from error


def _hint(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = get_close_matches(word, list(known), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}" if len(known) < 30 else ""
