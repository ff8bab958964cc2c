"""Read the raw pictures of a domain: check each, and give it an id, a person and a split."""

import json
import logging
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline import quarantine
from pipeline.content import Content
from pipeline.engine import Item, PerItem, Worker
from pipeline.errors import BadItem
from pipeline.memo import Outputs
from pipeline.people.pairs import assign_splits
from pipeline.run import Job
from pipeline.shards import write_shards
from pipeline.sources import Entry, Options, RawSource, read
from pipeline.sources.contents import find_contents
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.pictures import check_picture
from stages.artifacts import artifact, frames_folder, pictures_folder, write_keypoints, write_table

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Write `catalog.parquet`, `annotation.parquet`, `pairs.parquet`, `frames` and `quarantine.csv`."""
    settings = job.domain.ingest
    found = read(settings.source, Path(job.domain.raw), Options(domain=job.item))
    found = _cut_frames(job, found)
    raw = pictures_folder(job.item, job.domain)
    for note in found.notes:
        log.info("%s: %s", job.item, note)
    paths = [entry.path for entry in found.entries] + list(found.label_paths.values())
    contents = find_contents(raw, paths, job.memo)
    unreadable: list[tuple[str, str]] = []
    checked = job.map(
        _items(found.entries, found.label_paths, contents, unreadable),
        partial(make_worker, settings.min_size_px, settings.max_pixels, settings.vocabulary),
        settings=(settings.min_size_px, settings.max_pixels, settings.vocabulary),
        total=len(found.entries),
    )
    set_aside = found.set_aside + unreadable + checked.set_aside
    limit, key = settings.max_quarantined, f"domains.{job.item}.ingest.max_quarantined"
    quarantine.enforce(set_aside, total=len(found.entries) + len(found.set_aside), limit=limit, key=key)

    accepted = [entry for entry in found.entries if entry.id in checked.keys]
    splits = assign_splits(accepted, val=settings.val, test=settings.test)
    sizes = {name: json.loads(size) for name, size in checked.values("size").items()}
    digests = {path: content.digest.hex() for path, content in contents.items() if isinstance(content, Content)}
    rows = [
        {
            "id": entry.id,
            "person": entry.person,
            "pose": entry.pose,
            "split": splits[entry.id],
            "path": entry.path,
            "digest": digests[entry.path],
            "labels": found.label_paths.get(entry.id, ""),
            "labels_digest": digests.get(found.label_paths.get(entry.id, ""), ""),
            "width": sizes[entry.id][0],
            "height": sizes[entry.id][1],
        }
        for entry in accepted
    ]
    write_table(artifact("ingest", job.item, "catalog.parquet"), pd.DataFrame(rows))
    joints = {name: found.annotations[name] for name in checked.keys if name in found.annotations}
    write_keypoints(artifact("ingest", job.item, "annotation.parquet"), joints)
    pairs = pd.DataFrame(found.pairs, columns=["from", "to", "split"], dtype="string")
    write_table(artifact("ingest", job.item, "pairs.parquet"), pairs)
    # What is left out, and rows of a pair list, stand beside the pictures; they do not count as bad ones.
    quarantine.write(artifact("ingest", job.item, "quarantine.csv"), set_aside + found.left_out + found.pairs_set_aside)
    if found.pairs_set_aside:
        total = len(found.pairs) + len(found.pairs_set_aside)
        quarantine.enforce(found.pairs_set_aside, total=total, limit=limit, key=f"{key} (for the pair list)")
    if "test" not in splits.values():
        log.warning("%s: no picture is held out for scoring; raise domains.%s.ingest.test", job.item, job.item)
    if "train" not in splits.values():
        told = f"lists, folders or domains.{job.item}.ingest.val and test hold all of them out"
        log.warning("%s: no picture is left to train on: %s; lower the shares or add pictures", job.item, told)
    log.info("%s: %d pictures of %d persons", job.item, len(rows), len({entry.person for entry in accepted}))


def _cut_frames(job: Job, found: RawSource) -> RawSource:
    """The pictures of the clips instead of the clips; `frames` is replaced when all of it is there."""
    frames = frames_folder(job.item)
    partial = frames.with_name(f"{frames.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    if job.domain.ingest.source == "video":
        from stages import clips  # its tracker's library takes half a second to load

        found = clips.cut(job, found, partial)
    else:  # DVC warns of a folder with nothing in it
        write_shards(partial, {}, shards=1, suffix=".png")
    shutil.rmtree(frames, ignore_errors=True)
    partial.replace(frames)
    return found


def _items(
    entries: list[Entry],
    labels: dict[str, str],
    contents: dict[str, Content | BadItem],
    unreadable: list[tuple[str, str]],
) -> Iterator[Item]:
    """Every picture and, where there is one, its label map."""
    for entry in entries:
        label = labels.get(entry.id, "")
        found = [contents[entry.path], contents[label] if label else Content.of(b"")]
        good = [content for content in found if isinstance(content, Content)]
        if len(good) == len(found):
            yield Item(entry.id, (*good, label.encode()))
        else:
            unreadable.append((entry.id, next(str(content) for content in found if isinstance(content, BadItem))))


def make_worker(min_size_px: int, max_pixels: int, vocabulary: str) -> Worker:
    """A worker that gives the size of a good picture whose label map, if any, fits it."""

    def check(item: Item) -> Outputs:
        data, labels, name = item.inputs
        picture = check_picture(data, min_size_px=min_size_px, max_pixels=max_pixels)
        size = (picture.shape[1], picture.shape[0])
        if name:
            decode_labels(labels, name.decode(), vocabulary=vocabulary, size=size)
        return {"size": json.dumps(size).encode()}

    return PerItem(check)
