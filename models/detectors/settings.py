"""Typed view of this project's params.yaml: an unknown or missing key is an error that names it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

from models.detectors.augment import Strength
from models.detectors.examples import HeldOut
from models.detectors.training import Settings

HERE = Path(__file__).parent
T = TypeVar("T")


@dataclass(frozen=True)
class Cast:
    """People to render: `people` x `poses` of one `kind`, which is also the name they are reported under.

    Natural people come from the renderer's own plan; `shop` are such people framed as a shop frames them. `toon` people
    are the same drawn as cartoons, with large heads and eyes and coloured hair; `chibi` ones are half head; `figurine`
    people are put together from rounded solids, as in low-poly games; `characters` are the two of the embedded data
    set, 2 x `poses` pictures of each.
    """

    style: str
    people: int
    poses: int
    seed: int
    variety: float = 0.0


@dataclass(frozen=True)
class Params:
    """What params.yaml says."""

    photographs: list[Path]
    held_out: HeldOut
    render_workers: int
    train: dict[str, Cast]
    tests: dict[str, Cast]
    strength: dict[str, Strength]
    train_pose: Settings
    train_parsing: Settings


def read(path: Path = HERE / "params.yaml") -> Params:
    """The parameters of a file; ValueError names the key that is unknown, missing or of the wrong type."""
    values: dict[str, Any] = YAML(typ="safe").load(path)
    folders = values["photographs"] or []
    folders = [folders] if isinstance(folders, str) else folders
    rendered, drawn, photograph = (
        _make(Strength, _with_range(values["augment"][kind]), f"augment.{kind}")
        for kind in ("rendered", "drawn", "photograph")
    )
    return Params(
        photographs=[path.parent / folder for folder in folders],
        held_out=HeldOut(float(values["held_out_share"]), tuple(values["held_out_clips"])),
        render_workers=int(values["render"]["workers"]),
        train=_casts(values["render"]["train"], "render.train"),
        tests=_casts(values["render"]["held_out"], "render.held_out"),
        strength={
            "natural": rendered,
            "shop": rendered,
            "backs": rendered,
            "toon": drawn,
            "chibi": drawn,
            "figurine": drawn,
            "photograph": photograph,
        },
        train_pose=_make(Settings, values["train_pose"], "train_pose"),
        train_parsing=_make(Settings, values["train_parsing"], "train_parsing"),
    )


def _casts(values: dict[str, Any], name: str) -> dict[str, Cast]:
    return {kind: _make(Cast, value, f"{name}.{kind}") for kind, value in values.items()}


def _with_range(values: dict[str, Any]) -> dict[str, Any]:
    low, high = values["scale"]
    return values | {"scale": (float(low), float(high))}


def _make(kind: type[T], values: dict[str, Any], name: str) -> T:
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"params.yaml, {name}: {error}") from error
