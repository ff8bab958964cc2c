"""A typed view of params.yaml: every knob with its range. The only module that opens the file.

An unknown key, a wrong type or a value out of range is a `ParamsError` that names the key, the value and what would do.
The sections of the methods (`adgan`, ...) stay plain mappings: each system checks its own; `pipeline` knows no network.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import UserError
from pipeline.people.labels import MERGE
from pipeline.sources import SOURCES


class ParamsError(UserError):
    """Something in params.yaml is not as it should be."""


def _knob(*, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(metadata={"low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Figures:
    """The embedded people of a domain; rendered only where `ingest.source` is `figures`."""

    style: str = _knob(choices=("natural", "toon"))
    people: int = _knob(low=1, high=100_000)
    poses: int = _knob(low=2, high=64)
    seed: int = _knob(low=0)
    shards: int = _knob(low=1, high=100)


@dataclass(frozen=True)
class Ingest:
    """How raw pictures are read and checked."""

    source: str = _knob(choices=tuple(SOURCES))
    vocabulary: str = _knob(choices=tuple(MERGE))
    min_size_px: int = _knob(low=1)
    max_pixels: int = _knob(low=1)
    val: float = _knob(low=0, high=1)
    test: float = _knob(low=0, high=1)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Video:
    """Which frames of clips become pictures; used only where `ingest.source` is `video`."""

    every: int = _knob(low=1, high=100_000)
    min_sharpness: float = _knob(low=0, high=1)
    min_change: float = _knob(low=0, high=1)
    min_pictures: int = _knob(low=1)


@dataclass(frozen=True)
class Crop:
    """How a picture gets the network's size."""

    mode: str = _knob(choices=("columns", "resize", "pad", "person"))
    width: int = _knob(low=32, high=2048)
    height: int = _knob(low=32, high=2048)
    shards: int = _knob(low=1, high=100)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Keypoints:
    """Where the 18 joints come from."""

    use_annotation: bool = _knob()
    weights: str = _knob()
    trusted: str = _knob()
    precision: str = _knob(choices=("float32", "fused", "bfloat16"))
    edges_px: tuple[int, ...] = _knob(low=32, high=4096)
    flip_test: bool = _knob()
    person: str = _knob(choices=("main", "largest", "central"))
    min_score: float = _knob(low=0, high=1)
    low_scores: str = _knob(choices=("drop", "keep"))
    min_joints: int = _knob(low=1, high=18)
    max_people: int = _knob(low=1)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Parsing:
    """Where the eight-label maps come from."""

    use_labels: bool = _knob()
    weights: str = _knob()
    precision: str = _knob(choices=("float32", "bfloat16"))
    edges_px: tuple[int, ...] = _knob(low=32, high=4096)
    flip_test: bool = _knob()
    vocabulary: str = _knob(choices=tuple(MERGE))
    shards: int = _knob(low=1, high=100)
    min_person: float = _knob(low=0, high=1)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Edges:
    """XDoG (Winnemoeller 2011): a soft threshold on a difference of Gaussians."""

    sigma_px: float = _knob(low=0.1, high=20)
    scale: float = _knob(low=1.01, high=10)
    sharpness: float = _knob(low=0, high=200)
    threshold: float = _knob(low=0, high=1)
    steepness: float = _knob(low=0.1, high=1000)
    shards: int = _knob(low=1, high=100)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Pairs:
    """Which pictures are trained on together."""

    use_list: bool = _knob()
    include_self: bool = _knob()
    require_torso: bool = _knob()
    single_and_complete: bool = _knob()
    different_bits: int = _knob(low=0, high=64)
    flips: bool = _knob()
    max_per_person: int = _knob(low=1)
    max_train: int = _knob(low=1)
    max_test: int = _knob(low=1)
    seed: int = _knob(low=0)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class PackSettings:
    """What the HDF5 file holds."""

    heatmaps: bool = _knob()
    sigma_px: float = _knob(low=0.5, high=50)
    codec: str = _knob(choices=("none", "gzip", "blosc"))


@dataclass(frozen=True)
class PseudoLabels:
    """Whose label map may stand for a picture's own in another pose."""

    nearest: int = _knob(low=1, high=100_000)
    likely: int = _knob(low=1, high=100_000)
    min_change: float = _knob(low=0, high=10)
    max_quarantined: float = _knob(low=0, high=1)


@dataclass(frozen=True)
class Domain:
    """One kind of pictures, from raw to packed."""

    raw: str = _knob()
    figures: Figures = _knob()
    ingest: Ingest = _knob()
    video: Video = _knob()
    crop: Crop = _knob()
    keypoints: Keypoints = _knob()
    parsing: Parsing = _knob()
    edges: Edges = _knob()
    pairs: Pairs = _knob()
    pack: PackSettings = _knob()
    pseudo_labels: PseudoLabels = _knob()


@dataclass(frozen=True)
class EngineSettings:
    """How per-picture work is spread. Never changes a result, so no stage depends on it."""

    kind: str = _knob(choices=("inline", "processes", "ray"))
    workers: int = _knob(low=0, high=4096)
    address: str = _knob()
    gpus: float = _knob(low=0, high=64)


@dataclass(frozen=True)
class Evaluate:
    """How held-out pictures are scored and shown."""

    perceptual: bool = _knob()
    protocols: tuple[str, ...] = _knob(choices=("plain", "padded", "train_fid", "pg2"))
    device: str = _knob(choices=("auto", "cpu", "cuda"))
    max_pairs: int = _knob(low=1)
    grid_rows: int = _knob(low=1, high=64)
    bootstrap: int = _knob(low=100, high=100_000)
    seed: int = _knob(low=0)


@dataclass(frozen=True)
class Params:
    """All of params.yaml; `methods` maps each listed method to its own section."""

    seed: int = _knob(low=0)
    domains: dict[str, Domain] = _knob()
    methods: dict[str, dict[str, Any]] = _knob()
    pretrain: dict[str, Any] = _knob()
    finetune: dict[str, Any] = _knob()
    evaluate: Evaluate = _knob()
    engine: EngineSettings = _knob()

    def domain(self, name: str) -> Domain:
        """The domain called `name`; ParamsError lists the known ones."""
        if name not in self.domains:
            raise ParamsError(f"params.yaml: there is no domain '{name}'; domains: has {', '.join(self.domains)}")
        return self.domains[name]

    def system(self, method: str) -> dict[str, Any]:
        """What the section of a listed method says of the system itself."""
        return {key: value for key, value in self.methods[method].items() if key not in TRAININGS}

    def training(self, stage: str, method: str) -> dict[str, Any]:
        """The section `stage` (pretrain | finetune) with what the method's own section has other values for."""
        return getattr(self, stage) | self.methods[method].get(stage, {})

    @property
    def pretrain_domain(self) -> str:
        """The name of the domain that the methods are pretrained on."""
        return str(self.pretrain["domain"])

    @property
    def other_domains(self) -> list[str]:
        """The domains that the methods are carried over to."""
        return [name for name in self.domains if name != self.pretrain_domain]


def load(path: Path = Path("params.yaml"), changes: Mapping[str, Any] | None = None) -> Params:
    """The checked parameters of the file; ParamsError names the key that is wrong.

    `changes` are other values for some keys, by dotted path, as `dvc exp run -S` takes them.
    """
    try:
        raw = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing: run from the project's root, where dvc.yaml stands") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} cannot be read ({error}): it must be a text file in UTF-8") from error
    except (YAMLError, RecursionError) as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    for key, value in (changes or {}).items():
        _change(raw, key, value, str(path))
    return parse(raw, name=str(path))


def _change(raw: Any, key: str, value: Any, name: str) -> None:
    """Put `value` at the dotted `key`, which must be there."""
    *way, last = key.split(".")
    for step in way:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    if not isinstance(raw, dict) or last not in raw:
        raise ParamsError(f"{name}: there is no key '{key}' that could get another value")
    raw[last] = value


def parse(raw: Any, *, name: str = "params.yaml") -> Params:
    """Checked parameters from the plain mapping of the file."""
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{name}: expected sections such as `domains:`, found {type(raw).__name__}")
    raw = dict(raw)
    listed = raw.get("methods")
    if not (isinstance(listed, list) and listed and all(isinstance(method, str) for method in listed)):
        raise ParamsError(f"{name}: methods: expected a list such as [adgan], found {listed!r}")
    if repeated := [method for method in listed if listed.count(method) > 1]:
        raise ParamsError(f"{name}: methods: '{repeated[0]}' is listed twice")
    sections = {field.name for field in dataclasses.fields(Params)}
    # Every section that is not ours belongs to a method; one that is not listed just waits.
    own = {key: raw.pop(key) for key in list(raw) if key not in sections and isinstance(raw[key], Mapping)}
    for method in listed:
        if method not in own:
            raise ParamsError(f"{name}: methods lists '{method}', but there is no section `{method}:`")
    raw["methods"] = {method: own[method] for method in listed}
    if stray := [key for key in own if key not in KNOWN_METHODS]:
        raise ParamsError(f"{name}: unknown key '{stray[0]}'{_hint(stray[0], sections | set(KNOWN_METHODS))}")
    params: Params = _build(Params, raw, name, "")
    _check_together(params, name)
    return params


KNOWN_METHODS = ("adgan", "pg2", "spt", "dpig", "scagan")

# Sections that a method may have for itself.
TRAININGS = ("pretrain", "finetune")


def _check_together(params: Params, name: str) -> None:
    sizes = {key: (domain.crop.width, domain.crop.height) for key, domain in params.domains.items()}
    if len(set(sizes.values())) > 1:
        raise ParamsError(f"{name}: all domains need one picture size (crop.width, crop.height), found {sizes}")
    if params.pretrain.get("domain") not in params.domains:
        found, known = params.pretrain.get("domain"), ", ".join(params.domains)
        raise ParamsError(f"{name}: pretrain.domain: {found!r} is not one of the domains {known}")
    for method, stage in ((method, stage) for method in params.methods for stage in TRAININGS):
        own = params.methods[method].get(stage, {})
        if not isinstance(own, Mapping):
            raise ParamsError(f"{name}: {method}.{stage}: expected a mapping, found {own!r}")
        if stray := sorted(set(own) & {"domain", "scratch"}):
            raise ParamsError(f"{name}: {method}.{stage}.{stray[0]}: all methods share it; set {stage}.{stray[0]}")
    for key, domain in params.domains.items():
        if not domain.raw.strip():
            raise ParamsError(f"{name}: domains.{key}.raw is empty: name a folder of pictures or an archive")
        if domain.ingest.val + domain.ingest.test >= 1:
            raise ParamsError(f"{name}: domains.{key}.ingest: val + test must leave something to train on (below 1)")
        if not key.replace("_", "").replace("-", "").isalnum():
            raise ParamsError(f"{name}: domains: '{key}' must be letters, digits, '-' and '_' (it names folders)")


def _build(kind: Any, raw: Any, name: str, where: str) -> Any:
    """An instance of the dataclass `kind` from a mapping; `where` is the key path so far."""
    if not isinstance(raw, Mapping):
        raise ParamsError(f"{name}: {where or 'the file'}: expected a mapping, found {raw!r}")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    prefix = f"{where}." if where else ""
    for key in raw:
        if key not in fields:
            raise ParamsError(f"{name}: unknown key '{prefix}{key}'{_hint(str(key), set(fields))}")
    hints = typing.get_type_hints(kind)
    values = {}
    for key, item in fields.items():
        if key not in raw:
            raise ParamsError(f"{name}: '{prefix}{key}' is missing")
        values[key] = _value(hints[key], raw[key], item.metadata, name, f"{prefix}{key}")
    return kind(**values)


def _value(hint: Any, raw: Any, limits: Mapping[str, Any], name: str, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, raw, name, where)
    if typing.get_origin(hint) is dict:
        inner = typing.get_args(hint)[1]
        if not isinstance(raw, Mapping) or (dataclasses.is_dataclass(inner) and not raw):
            raise ParamsError(f"{name}: {where}: expected a mapping, found {raw!r}")
        return {str(key): _value(inner, value, {}, name, f"{where}.{key}") for key, value in raw.items()}
    if typing.get_origin(hint) is tuple:
        if not isinstance(raw, list) or not raw:
            example = ", ".join(map(str, limits.get("choices", ())[:2])) or "256"
            raise ParamsError(f"{name}: {where}: expected a list such as [{example}], found {raw!r}")
        return tuple(_scalar(typing.get_args(hint)[0], value, limits, name, where) for value in raw)
    if hint is Any:
        return raw
    return _scalar(hint, raw, limits, name, where)


def _scalar(hint: Any, raw: Any, limits: Mapping[str, Any], name: str, where: str) -> Any:
    value = float(raw) if hint is float and isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ParamsError(f"{name}: {where}: expected {hint.__name__}, found {raw!r}")
    choices, low, high = limits.get("choices"), limits.get("low"), limits.get("high")
    if choices and value not in choices:
        raise ParamsError(f"{name}: {where}: {raw!r} is not one of {', '.join(choices)}{_hint(str(raw), set(choices))}")
    too_low, too_high = low is not None and not value >= low, high is not None and not value <= high
    if too_low or too_high:
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ParamsError(f"{name}: {where}: {raw!r} is out of range; it must be {span}")
    return value


def _hint(key: str, known: set[str]) -> str:
    close = get_close_matches(key, sorted(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(sorted(known))}"
