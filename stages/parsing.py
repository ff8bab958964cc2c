"""An eight-label map of every cropped picture: the user's map where there is one, else the parsing network's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import quarantine
from pipeline.engine import Item, PerItem, Result, Worker
from pipeline.errors import BadItem
from pipeline.memo import Outputs
from pipeline.params import Parsing
from pipeline.people import labels
from pipeline.pictures import decode
from pipeline.run import Job
from pipeline.shards import ShardReader, write_shards
from stages import sheets
from stages.artifacts import artifact, sheet, weights_file

if TYPE_CHECKING:
    from models.detectors.parsing import Parser

# Pictures are parsed this many at a time, the last batch padded: part of the result, so it is no parameter.
BATCH = 8


@dataclass(frozen=True)
class Labelling:
    """What decides which labels the network gives; the defaults are those of params.yaml."""

    vocabulary: str = "ours"
    precision: str = "float32"
    edges_px: tuple[int, ...] = (256,)
    flip_test: bool = True

    @classmethod
    def of(cls, settings: Parsing) -> "Labelling":
        """The choices of a domain."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    def parser(self, weights: Path) -> "Parser":
        """The network of `weights`."""
        from models.detectors.parsing import Parser

        return Parser(weights, **asdict(self))


class Parse:
    """A worker: pictures in, indexed PNG out. The network is loaded once."""

    def __init__(self, weights: Path, labelling: Labelling, min_person: float) -> None:
        self.parser = labelling.parser(weights)
        self.min_person = min_person

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """`{"labels": PNG}` for each picture."""
        maps = self.parser.parse([decode(item.inputs[0]) for item in items])
        return [_accepted(found, self.min_person) for found in maps]


def make_worker(weights: Path, labelling: Labelling, min_person: float) -> Worker:
    """The worker, built in the process that uses it."""
    return Parse(weights, labelling, min_person)


def _accepted(found: labels.LabelMap, min_person: float) -> Result:
    share = float((found != labels.BACKGROUND).mean())
    if share < min_person:
        return BadItem(f"the person fills {share:.1%} of the picture (parsing.min_person: {min_person})")
    return {"labels": labels.to_png(found)}


def accept_given(min_person: float) -> Worker:
    """A worker that takes the user's map as it is, or says why not."""

    def accept(item: Item) -> Outputs:
        outcome = _accepted(labels.from_png(item.inputs[0]), min_person)
        if isinstance(outcome, BadItem):
            raise BadItem(f"label map: {outcome}")
        return outcome

    return PerItem(accept)


def run(job: Job) -> None:
    """Write the shards of label maps, `quarantine.csv` and the sheet."""
    settings = job.domain.parsing
    images = ShardReader(artifact("crop", job.item, "images"), job.memo)
    maps_given = ShardReader(artifact("crop", job.item, "labels"), job.memo).contents if settings.use_labels else {}
    given = job.map(
        (Item(name, (content,)) for name, content in maps_given.items()),
        partial(accept_given, settings.min_person),
        settings=("given", settings.min_person),
        total=len(maps_given),
    )
    left = {name: content for name, content in images.contents.items() if name not in maps_given}
    labelling = Labelling.of(settings)
    weights = weights_file(settings.weights, f"domains.{job.item}.parsing.weights")
    found = job.map(
        (Item(name, (content,)) for name, content in left.items()),
        partial(make_worker, weights, labelling, settings.min_person),
        settings=(BATCH, labelling, settings.min_person),
        weights=weights,
        batch=BATCH,
        total=len(left),
    )
    maps = given.contents("labels") | found.contents("labels")
    set_aside = given.set_aside + found.set_aside
    limit, key = settings.max_quarantined, f"domains.{job.item}.parsing.max_quarantined"
    quarantine.enforce(set_aside, total=len(images), limit=limit, key=key)
    quarantine.write(artifact("parsing", job.item, "quarantine.csv"), set_aside)
    write_shards(artifact("parsing", job.item, "labels"), maps, shards=settings.shards, suffix=".png", memo=job.memo)

    ids = sheets.choose(maps, 12)
    shown = {name: decode(images[name]) for name in ids}
    sheets.write_sheet(
        sheet("parsing", job.item),
        f"Parsing · {job.item}",
        [sheets.label_maps(shown, {name: labels.from_png(maps[name].read()) for name in ids})],
        subtitle=f"{len(ids)} of {len(maps)} pictures; {len(given)} maps came with them",
    )
