"""Pictures from clips, for `ingest`: people are found in every n-th frame, followed, and cut out.

A clip is one item: a new one costs that one. Its pictures go to a shard of its own, `frames/<clip>/00.tar`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import quarantine
from pipeline.clips import Clip, Picture, Sight, choose, cut_out, glance, sharpness, steady
from pipeline.content import Content
from pipeline.engine import Item, PerItem, Results, Worker
from pipeline.errors import BadItem
from pipeline.memo import Outputs
from pipeline.params import Video
from pipeline.people import tracks
from pipeline.pictures import encode_png
from pipeline.run import Job
from pipeline.shards import write_shards
from pipeline.sources import Entry, RawSource
from pipeline.sources.contents import find_contents
from pipeline.sources.video import hold_out_ends
from stages.artifacts import weights_file

if TYPE_CHECKING:
    from models.detectors.pose import PoseDetector

# People are looked for in frames of these longer sides: far away at the first, close by at the last.
SEARCH_EDGES_PX = (1024, 512, 256)
MIN_SCORE = 0.25
# Boxes are all that is wanted, so the last bits of the joints do not count; twice as fast.
PRECISION = "fused"


@dataclass(frozen=True)
class Look:
    """What decides which pictures a clip gives."""

    video: Video
    min_size_px: int
    max_pixels: int


def cut(job: Job, found: RawSource, frames: Path) -> RawSource:
    """The pictures of all clips, which it writes to the folder `frames`, instead of the clips."""
    settings, home = job.domain.ingest, Path(job.domain.raw)
    home = home.parent if home.is_file() else home
    contents = find_contents(home, [clip.path for clip in found.entries], job.memo)
    unreadable = [(path, str(content)) for path, content in contents.items() if isinstance(content, BadItem)]
    weights = weights_file(job.domain.keypoints.weights, f"domains.{job.item}.keypoints.weights")
    look = Look(job.domain.video, settings.min_size_px, settings.max_pixels)
    seen = job.map(
        _items(found.entries, contents),
        partial(make_worker, look, weights, job.domain.keypoints.trusted),
        settings=(look, SEARCH_EDGES_PX, MIN_SCORE),
        weights=weights,
        total=len(found.entries),
    )
    bad = found.set_aside + unreadable + seen.set_aside
    limit, key = settings.max_quarantined, f"domains.{job.item}.ingest.max_quarantined"
    quarantine.enforce(bad, total=len(found.entries) + len(found.set_aside), limit=limit, key=f"{key} (for the clips)")
    return _write(job, replace(found, left_out=found.left_out + bad, set_aside=[]), seen, frames)


def _items(clips: list[Entry], contents: dict[str, Content | BadItem]) -> Iterator[Item]:
    for clip in clips:
        content = contents[clip.path]
        if isinstance(content, Content):
            yield Item(clip.id, (content, b"one" if clip.person else b""))


def _write(job: Job, found: RawSource, seen: Results, frames: Path) -> RawSource:
    """One shard for each clip; entries, reasons and notes of all."""
    entries, left_out, notes = [], list(found.left_out), list(found.notes)
    for clip in found.entries:
        if clip.id not in seen.keys:
            continue
        pictures = seen[clip.id]
        told = json.loads(pictures.pop("told"))
        left_out += [(f"{clip.id}/{name}", reason) for name, reason in told["left_out"]]
        notes += [f"{clip.path}: {note}" for note in told["notes"]]
        write_shards(
            frames / clip.id, {f"{clip.id}/{name}": data for name, data in pictures.items()},
            shards=1, suffix=".png", memo=job.memo,
        )  # fmt: skip
        entries += [_entry(clip, name) for name in sorted(pictures)]
    settings = job.domain.ingest
    return replace(
        found,
        entries=sorted(hold_out_ends(entries, val=settings.val, test=settings.test), key=lambda entry: entry.id),
        left_out=left_out,
        notes=notes,
    )


def _entry(clip: Entry, name: str) -> Entry:
    """The picture `name`, such as `p1/000120`: of the clip's first person, frame 120."""
    item_id, track = f"{clip.id}/{name}", name.rpartition("/")[0]
    person = clip.person or f"{clip.id}_{track}"
    return Entry(item_id, f"{clip.id}/00.tar/{item_id}.png", person, item_id.replace("/", "_"), clip.split)


def make_worker(look: Look, weights: Path, trusted: str = "") -> Worker:
    """A worker that gives the pictures of a clip, as PNG by name, and `told`: what was left out and why, and notes."""
    from models.detectors.pose import PoseDetector

    detectors = [
        PoseDetector(weights, edges_px=[edge], batch=1, precision=PRECISION, trusted=[trusted])
        for edge in SEARCH_EDGES_PX
    ]

    def work(item: Item) -> Outputs:
        data, is_one = item.inputs
        clip = Clip(data, look.max_pixels)
        people, numbers = _follow(clip, look, detectors)
        if not people:
            raise BadItem(f"no person was found in {numbers} frames (each {look.video.every}th)")
        people, others = _one(people) if is_one else (people, [])
        chosen, left_out = _choose(people, look.video)
        if not chosen:
            raise BadItem(f"nobody is seen in {look.video.min_pictures} pictures (video.min_pictures)")
        told = {"left_out": left_out + others, "notes": [clip.note] if clip.note else []}
        return {"told": json.dumps(told).encode()} | _pictures(clip, look.video.every, chosen)

    return PerItem(work)


def _follow(clip: Clip, look: Look, detectors: "list[PoseDetector]") -> tuple[list[list[Sight]], int]:
    """(the sights of each person, in time, persons in order of appearance; how many frames were looked at)."""
    frames: list[list[Sight]] = []
    small = 0
    for number, picture in clip.frames(look.video.every):
        sights = []
        for box in find_people(picture, detectors):
            part = cut_out(picture, box)
            if min(part.shape[:2]) >= look.min_size_px:
                sights.append(Sight(number, box, sharpness(part), glance(part)))
            else:
                small += 1
        frames.append(sights)
    if small:
        told = f"{small} times a person was smaller than min_size_px ({look.min_size_px})"
        clip.note = "; ".join(filter(None, (clip.note, told)))
    numbers = tracks.follow([np.array([sight.box for sight in sights]).reshape(-1, 4) for sights in frames])
    people: dict[int, list[Sight]] = {}
    for sights, of_frame in zip(frames, numbers, strict=True):
        for sight, number in zip(sights, of_frame, strict=True):
            people.setdefault(number, []).append(sight)
    return [steady(people[number]) for number in sorted(people)], len(frames)


def find_people(picture: Picture, detectors: "list[PoseDetector]") -> list[tuple[float, float, float, float]]:
    """The box of everybody in the picture, each once."""
    # Enlarging a frame more than twice shows nothing new.
    fitting = [detector for detector in detectors if detector.edges_px[0] <= 2 * max(picture.shape)] or detectors[-1:]
    people = [person for detector in fitting for person in detector.detect([picture])[0] if person.score >= MIN_SCORE]
    boxes = np.array([person.box for person in people]).reshape(-1, 4)
    return [people[index].box for index in tracks.without_doubles(boxes, [person.score for person in people])]


def _one(people: list[list[Sight]]) -> tuple[list[list[Sight]], list[tuple[str, str]]]:
    """(the main person's sights, where the clip is known to show one; names and reasons of the others).

    The main person is the largest track, and those before and after it: a track ends when its person is hidden. Two
    that overlap in time are not of one.
    """

    def size(sights: list[Sight]) -> float:
        return sum((right - left) * (bottom - top) for left, top, right, bottom in (sight.box for sight in sights))

    main: list[Sight] = []
    others = []
    for sights in sorted(people, key=size, reverse=True):
        if {sight.frame for sight in main} & {sight.frame for sight in sights}:
            others.append(
                (f"others/{sights[0].frame:06d}", f"{len(sights)} pictures of others than the folder's person")
            )
        else:
            main += sights
    return [sorted(main, key=lambda sight: sight.frame)], others


def _choose(people: list[list[Sight]], video: Video) -> tuple[dict[int, list[tuple[str, Sight]]], list[Any]]:
    """(by frame the names and sights to cut out; names and reasons of what is left out)."""
    chosen: dict[int, list[tuple[str, Sight]]] = {}
    left_out = []
    for number, sights in enumerate(people, start=1):
        kept, dropped = choose(sights, min_sharpness=video.min_sharpness, min_change=video.min_change)
        if len(kept) < video.min_pictures:
            reason = f"a person of {len(kept)} different pictures (video.min_pictures: {video.min_pictures})"
            left_out.append((f"p{number}/{sights[0].frame:06d}", reason))
            continue
        left_out += [(f"p{number}/{sight.frame:06d}", reason) for sight, reason in dropped]
        for sight in kept:
            chosen.setdefault(sight.frame, []).append((f"p{number}/{sight.frame:06d}", sight))
    return chosen, left_out


def _pictures(clip: Clip, every: int, chosen: dict[int, list[tuple[str, Sight]]]) -> Outputs:
    """The PNG of every chosen sight; the clip is read once more rather than kept in memory."""
    return {
        name: encode_png(cut_out(picture, sight.box))
        for number, picture in clip.frames(every)
        for name, sight in chosen.get(number, ())
    }
