"""Bring every picture to the network's size; its annotation and its label map move along."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import quarantine
from pipeline.crops import Move, find_move
from pipeline.engine import Item, PerItem, Results, Worker
from pipeline.memo import Memo, Outputs
from pipeline.people.labels import to_png
from pipeline.people.skeleton import Joints
from pipeline.pictures import Bytes, decode, encode_png
from pipeline.run import Job
from pipeline.shards import write_shards
from pipeline.sources.contents import pinned_contents
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.pictures import check_picture
from stages import sheets
from stages.artifacts import (
    artifact,
    pictures_folder,
    read_keypoints,
    sheet,
    weights_file,
    write_keypoints,
    write_table,
)
from stages.finding import Finding, Found

# A person is looked for on the whole picture, scaled to these longer sides: people who fill it are seen at the second.
SEARCH_EDGES_PX = (512, 256)


@dataclasses.dataclass(frozen=True)
class Cut:
    """What decides how a picture is cut."""

    mode: str
    size: tuple[int, int]
    min_size_px: int
    max_pixels: int
    vocabulary: str
    person: str = "main"


def run(job: Job) -> None:
    """Write the shards of pictures and label maps, the moved annotation, the moves, `quarantine.csv` and the sheet."""
    settings, ingest, keypoints = job.domain.crop, job.domain.ingest, job.domain.keypoints
    raw = pictures_folder(job.item, job.domain)
    catalog = pd.read_parquet(artifact("ingest", job.item, "catalog.parquet"))
    size = (settings.width, settings.height)
    cut = Cut(settings.mode, size, ingest.min_size_px, ingest.max_pixels, ingest.vocabulary)
    # Only `person` looks at the picture; the other modes do not depend on the network.
    weights = None
    if settings.mode == "person":
        cut = dataclasses.replace(cut, person=keypoints.person)
        weights = weights_file(keypoints.weights, f"domains.{job.item}.keypoints.weights")
    cropped = job.map(
        _items(raw, catalog, job.memo),
        partial(make_worker, cut, weights, keypoints.trusted),
        settings=(cut, SEARCH_EDGES_PX),
        weights=weights,
        total=len(catalog),
    )
    limit, key = settings.max_quarantined, f"domains.{job.item}.crop.max_quarantined"
    quarantine.enforce(cropped.set_aside, total=len(catalog), limit=limit, key=key)
    quarantine.write(artifact("crop", job.item, "quarantine.csv"), cropped.set_aside)
    _write(job, cropped)
    _draw(job, cropped)


def _items(raw: Path, catalog: pd.DataFrame, memo: Memo) -> Iterator[Item]:
    """What `ingest` accepted, byte for byte: the catalog holds the digests."""
    pictures = pinned_contents(raw, _columns(catalog, "path", "digest"), memo)
    labels = pinned_contents(raw, _columns(catalog[catalog["labels"] != ""], "labels", "labels_digest"), memo)
    for name, path, label in zip(*(catalog[column].tolist() for column in ("id", "path", "labels")), strict=True):
        yield Item(name, (pictures[path], labels.get(label, b""), label.encode()))


def _columns(table: pd.DataFrame, key: str, value: str) -> dict[str, str]:
    return dict(zip(table[key].tolist(), table[value].tolist(), strict=True))


def make_worker(cut: Cut, weights: Path | None, trusted: str = "") -> Worker:
    """A worker that gives picture, label map (where there is one) and move."""
    find_person = person_finder(weights, cut.person, trusted) if weights else None

    def crop(item: Item) -> Outputs:
        data, labels, name = item.inputs
        picture = check_picture(data, min_size_px=cut.min_size_px, max_pixels=cut.max_pixels)
        original = (picture.shape[1], picture.shape[0])
        person = find_person(picture)[0] if find_person else None
        move = find_move(cut.mode, original, cut.size, box=person.box if person else None)
        out = {"image": encode_png(move.picture(picture)), "move": json.dumps(dataclasses.asdict(move)).encode()}
        if name:
            found = decode_labels(labels, name.decode(), vocabulary=cut.vocabulary, size=original)
            out["labels"] = to_png(move.labels(found))
        return out

    return PerItem(crop)


def person_finder(weights: Path, rule: str = "main", trusted: str = "") -> Callable[[Bytes], Found]:
    """A function that gives the person of a picture (H, W, 3), and how many others are of comparable size."""
    from models.detectors.pose import PoseDetector

    # One at a time: each size of picture is a batch of its own, and empty places would cost as much as pictures.
    detectors = [PoseDetector(weights, edges_px=[edge], batch=1, trusted=[trusted]) for edge in SEARCH_EDGES_PX]
    finding = Finding(person=rule)

    def find(picture: Bytes) -> Found:
        for detector in detectors:
            person, others = finding.choose(detector.detect([picture])[0], picture)
            if person is not None:
                return person, others
        return None, 0

    return find


def _write(job: Job, cropped: Results) -> None:
    shards = job.domain.crop.shards
    annotation = read_keypoints(artifact("ingest", job.item, "annotation.parquet"))
    told = cropped.values("move")
    moves = {text: _move(text) for text in set(told.values())}  # pictures of one size are moved alike
    moved = {name: moves[text] for name, text in told.items()}
    joints = _moved(annotation, moved)
    for kind, output in (("images", "image"), ("labels", "labels")):
        folder = artifact("crop", job.item, kind)
        write_shards(folder, cropped.contents(output), shards=shards, suffix=".png", memo=job.memo)
    write_keypoints(artifact("crop", job.item, "annotation.parquet"), joints)
    rows = [{"id": name, "offset": list(move.offset), "scale": list(move.scale)} for name, move in moved.items()]
    write_table(artifact("crop", job.item, "moves.parquet"), pd.DataFrame(rows))


def _move(text: bytes) -> Move:
    return Move(**{key: tuple(value) for key, value in json.loads(text).items()})


def _moved(annotation: dict[str, Joints], moved: dict[str, Move]) -> dict[str, Joints]:
    """The joints of the annotated pictures in pixels of the new ones."""
    alike = defaultdict(list)
    for name, move in moved.items():
        if name in annotation:
            alike[move].append(name)
    return {
        name: joints
        for move, names in alike.items()
        for name, joints in zip(names, move.joints(np.stack([annotation[name] for name in names])), strict=True)
    }


def _draw(job: Job, cropped: Results) -> None:
    shown = {name: decode(cropped[name]["image"]) for name in sheets.choose(cropped.keys)}
    sheets.write_sheet(
        sheet("crop", job.item),
        f"Crop · {job.item}",
        [sheets.pictures(shown)],
        subtitle=f"{len(shown)} of {len(cropped)} pictures, crop.mode {job.domain.crop.mode}",
    )
