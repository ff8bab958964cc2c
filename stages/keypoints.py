"""18 joints of the person in every picture: the annotation that came with it, or else the pose network's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import quarantine
from pipeline.engine import Item, Result, Worker
from pipeline.errors import BadItem
from pipeline.people import heatmaps, skeleton
from pipeline.pictures import decode
from pipeline.run import Job
from pipeline.shards import ShardReader
from stages import sheets
from stages.artifacts import artifact, read_keypoints, sheet, weights_file, write_keypoints
from stages.finding import Finding

# Pictures are detected this many at a time, the last batch padded: part of the result, so it is no parameter.
BATCH = 8


@dataclass(frozen=True)
class Accept:
    """What a picture needs to be kept."""

    min_joints: int
    max_people: int
    finding: Finding = field(default_factory=Finding)


class Detect:
    """A worker: pictures in, joints or a reason out. The network is loaded once."""

    def __init__(self, weights: Path, accept: Accept, trusted: str) -> None:
        self.detector = accept.finding.detector(weights, trusted)
        self.accept = accept

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """`{"joints": 54 float32}` for each picture."""
        results: list[Result] = []
        pictures = [decode(item.inputs[0]) for item in items]
        for picture, people in zip(pictures, self.detector.detect(pictures), strict=True):
            person, others = self.accept.finding.choose(people, picture)
            if person is None:
                results.append(BadItem("no person was found"))
            elif others + 1 > self.accept.max_people:
                limit = self.accept.max_people
                results.append(BadItem(f"{others + 1} people of comparable size (keypoints.max_people: {limit})"))
            else:
                joints = self.accept.finding.joints(person)
                reason = _missing(self.accept.finding.sure(joints), self.accept.min_joints)
                results.append(BadItem(reason) if reason else {"joints": joints.astype("<f4").tobytes()})
        return results


def make_worker(weights: Path, accept: Accept, trusted: str = "") -> Worker:
    """The worker, built in the process that uses it."""
    return Detect(weights, accept, trusted)


def _missing(is_there: NDArray[np.bool_], min_joints: int) -> str:
    """Why these joints do not do, or nothing."""
    found = int(is_there.sum())
    return f"only {found} of 18 joints were found (keypoints.min_joints: {min_joints})" if found < min_joints else ""


def run(job: Job) -> None:
    """Write `keypoints.parquet`, `quarantine.csv` and the sheet."""
    settings = job.domain.keypoints
    images = ShardReader(artifact("crop", job.item, "images"), job.memo)
    annotated = read_keypoints(artifact("crop", job.item, "annotation.parquet")) if settings.use_annotation else {}
    joints, set_aside = {}, []
    for name in sorted(annotated.keys() & set(images)):
        if reason := _missing(skeleton.is_present(annotated[name]), settings.min_joints):
            set_aside.append((name, f"annotation: {reason}"))
        else:
            joints[name] = annotated[name]

    left = {name: content for name, content in images.contents.items() if name not in annotated}
    accept = Accept(settings.min_joints, settings.max_people, Finding.of(settings))
    weights = weights_file(settings.weights, f"domains.{job.item}.keypoints.weights")
    found = job.map(
        (Item(name, (content,)) for name, content in left.items()),
        partial(make_worker, weights, accept, settings.trusted),
        settings=(BATCH, accept),
        weights=weights,
        batch=BATCH,
        total=len(left),
    )
    joints |= {name: np.frombuffer(data, "<f4").reshape(-1, 3) for name, data in found.values("joints").items()}
    set_aside += found.set_aside
    limit, key = settings.max_quarantined, f"domains.{job.item}.keypoints.max_quarantined"
    quarantine.enforce(set_aside, total=len(images), limit=limit, key=key)
    quarantine.write(artifact("keypoints", job.item, "quarantine.csv"), set_aside)
    write_keypoints(artifact("keypoints", job.item, "keypoints.parquet"), joints)
    _draw(job, images, joints, len(annotated.keys() & joints.keys()))


def _draw(job: Job, images: ShardReader, joints: dict[str, NDArray[np.float32]], annotated: int) -> None:
    ids = sheets.choose(joints)
    shown = {name: decode(images[name]) for name in ids}
    height, width = shown[ids[0]].shape[:2]
    sigma_px = job.domain.pack.sigma_px
    maps = heatmaps.to_uint8(heatmaps.render(joints[ids[0]], width=width, height=height, sigma_px=sigma_px))
    sheets.write_sheet(
        sheet("keypoints", job.item),
        f"Key points · {job.item}",
        [
            sheets.skeletons(shown, {name: joints[name] for name in ids}),
            sheets.heat_maps(shown[ids[0]], maps, f"The 18 heat maps of {ids[0]}"),
        ],
        subtitle=f"{len(ids)} of {len(joints)} pictures; {annotated} annotations came with them",
    )
