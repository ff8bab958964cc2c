"""Search, for each training picture, the label map of another pose that could be its own: SPT learns layouts from it.

What single systems read of a domain beside its pack lies in `data/extras/<method>/<domain>`, so that a training depends
on its own alone. Nothing is searched where `methods` does not list a system that reads pseudo labels.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline import quarantine
from pipeline.content import Content
from pipeline.engine import Item, PerItem, Worker
from pipeline.params import KNOWN_METHODS
from pipeline.people import labels
from pipeline.people.pseudo_labels import HEIGHT, Gallery, costs, is_usable, shortlists, shrink
from pipeline.people.skeleton import JOINTS, Joints
from pipeline.pictures import decode
from pipeline.run import Job
from pipeline.shards import ShardReader
from stages import sheets
from stages.artifacts import EXTRAS, artifact, pseudo_labels, read_keypoints, sheet, write_table
from stages.drawing import beside, blank, draw_labels, draw_skeleton

READERS = ("spt",)

_JOINTS_BYTES = len(JOINTS) * 3 * 4
_CHOICE = struct.Struct("<iq")  # place in the list of candidates, cost
_QUERIES = 8  # that a worker gets at once


def run(job: Job) -> None:
    """Write `data/extras/<method>/<domain>/` (pseudo_labels.parquet: from, to, cost), `quarantine.csv`, the sheet."""
    for method in KNOWN_METHODS:
        (EXTRAS / method / job.item).mkdir(parents=True, exist_ok=True)
    is_read = any(method in job.params.methods for method in READERS)
    table, set_aside = _search(job) if is_read else (_table([]), [])
    write_table(pseudo_labels(job.item), table)
    quarantine.write(artifact("pseudo_labels", job.item, "quarantine.csv"), set_aside)
    _draw(job, table)


def _table(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["from", "to", "cost"]).astype(
        {"from": "string", "to": "string", "cost": "int64"}
    )


def _search(job: Job) -> tuple[pd.DataFrame, quarantine.Rows]:
    """The table, and the training pictures that were set aside."""
    settings = job.domain.pseudo_labels
    joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
    ids = _training_pictures(job)
    set_aside = [(name, "not found: both shoulders and hips") for name in ids if not is_usable(joints[name])]
    usable = [name for name in ids if is_usable(joints[name])]
    limit, key = settings.max_quarantined, f"domains.{job.item}.pseudo_labels.max_quarantined"
    quarantine.enforce(set_aside, total=len(ids), limit=limit, key=key)
    tiles = _shrink(job, usable, joints)
    chosen = shortlists(
        _gallery(tiles), nearest=settings.nearest, likely=settings.likely, min_change=settings.min_change
    )
    lists = dict(zip(usable, chosen, strict=True))
    set_aside += [(name, "no other picture shows another pose") for name, found in lists.items() if not len(found)]
    quarantine.enforce(set_aside, total=len(ids), limit=limit, key=key)

    contents = [Content.of(tile) for tile in tiles]
    asked = {name: row for row, name in enumerate(usable) if len(lists[name])}
    answers = job.map(
        (Item(name, (contents[row], *(contents[other] for other in lists[name]))) for name, row in asked.items()),
        make_chooser,
        settings="choice",
        batch=_QUERIES,
        total=len(asked),
    ).values("choice")
    found = {name: _CHOICE.unpack(answers[name]) for name in asked}
    return _table([(name, usable[lists[name][place]], cost) for name, (place, cost) in found.items()]), set_aside


def _training_pictures(job: Job) -> list[str]:
    """Accepted pictures of the split `train`, whether or not a pair names them, that no held-out pair leads to."""
    catalog = pd.read_parquet(artifact("ingest", job.item, "catalog.parquet"))
    accepted = set(pd.read_parquet(artifact("pairs", job.item, "accepted.parquet"))["id"])
    pairs = pd.read_parquet(artifact("pairs", job.item, "pairs.parquet"))
    held_out = set(pairs.loc[pairs["split"] != "train", "to"])
    names = catalog.loc[catalog["split"] == "train", "id"].astype(str)
    return sorted(name for name in names if name in accepted and name not in held_out)


def _shrink(job: Job, ids: list[str], joints: Mapping[str, Joints]) -> list[bytes]:
    """The small map and its joints of each picture, as `_gallery` reads them."""
    maps = ShardReader(artifact("parsing", job.item, "labels"), job.memo).contents
    small = job.map(
        (Item(name, (maps[name], joints[name].tobytes())) for name in ids),
        make_shrinker,
        settings="small",
        batch=32,
        total=len(ids),
    )
    tiles = small.values("small")
    return [tiles[name] for name in ids]


def make_shrinker() -> Worker:
    """A worker that gives the small map of SPT's labels, and the joints in it, as bytes."""
    return PerItem(_shrink_one)


def _shrink_one(item: Item) -> dict[str, bytes]:
    parsing, joints = item.inputs
    small, moved = shrink(labels.from_png(parsing), np.frombuffer(joints, np.float32).reshape(len(JOINTS), 3))
    return {"small": moved.tobytes() + small.tobytes()}


def make_chooser() -> Worker:
    """A worker that gives the place of the first picture's best match among the others, and its cost."""
    return PerItem(_choose)


def _choose(item: Item) -> dict[str, bytes]:
    gallery = _gallery(item.inputs)
    found = costs(gallery[:1], gallery[1:])
    place = int(found.argmin())
    return {"choice": _CHOICE.pack(place, int(found[place]))}


def _gallery(tiles: Sequence[bytes]) -> Gallery:
    maps = [np.frombuffer(tile, np.uint8, offset=_JOINTS_BYTES).reshape(HEIGHT, -1) for tile in tiles]
    joints = [np.frombuffer(tile[:_JOINTS_BYTES], np.float32).reshape(len(JOINTS), 3) for tile in tiles]
    return Gallery(np.stack(maps), np.stack(joints))


def _draw(job: Job, table: pd.DataFrame) -> None:
    images = ShardReader(artifact("crop", job.item, "images"), job.memo)
    maps = ShardReader(artifact("parsing", job.item, "labels"), job.memo)
    joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
    found = {str(name): (str(other), int(cost)) for name, other, cost in table.itertuples(index=False, name=None)}
    tiles = []
    for name in sheets.choose(found, 12):
        other, cost = found[name]
        image, theirs = decode(images[name]), labels.from_png(maps[other])
        pose = draw_skeleton(blank(*theirs.shape[::-1]), joints[other])
        tile = beside(image, draw_labels(labels.from_png(maps[name])), pose, draw_labels(theirs), decode(images[other]))
        tiles.append(sheets.Tile(tile, f"{name} as {other} (cost {cost})"))
    heading = "picture · its labels · another pose · the labels found for it · the picture that they are from"
    sheets.write_sheet(
        sheet("pseudo_labels", job.item),
        f"Pseudo labels · {job.item}",
        [sheets.Section(tiles, heading, columns=2, legend=sheets.CLASSES)] if tiles else [],
        subtitle=f"{len(tiles)} of {len(table)} pictures" if tiles else "no listed method reads pseudo labels",
    )
