"""Choose the pairs of a domain among the pictures that every stage accepted; filter and mirror them where asked to."""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from pipeline import quarantine
from pipeline.engine import Item, PerItem, Worker
from pipeline.memo import Outputs
from pipeline.params import Pairs
from pipeline.people import labels
from pipeline.people.looks import find_like, hash_picture, second_share, why_not_single_and_complete
from pipeline.people.pairs import PairRules, SetAside, add_twins, draw_pairs, keep_pairs, make_pairs
from pipeline.people.skeleton import Joints, flip
from pipeline.people.twins import mirror, original_of, twin_of
from pipeline.pictures import Bytes, decode
from pipeline.run import Job
from pipeline.shards import ShardReader
from stages import sheets
from stages.artifacts import artifact, read_keypoints, sheet, write_table

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Write `accepted.parquet` (ids), `pairs.parquet` (from, to, split), `quarantine.csv` and the sheet."""
    settings = job.domain.pairs
    catalog = pd.read_parquet(artifact("ingest", job.item, "catalog.parquet"))
    joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
    images, maps, edges = (
        ShardReader(artifact(stage, job.item, folder), job.memo)
        for stage, folder in (("crop", "images"), ("parsing", "labels"), ("edges", "edges"))
    )
    rows = catalog[[name in joints and name in maps and name in edges for name in catalog["id"].tolist()]]
    looks = _look(job, rows["id"], images, maps) if _needs_looks(settings) else {}
    rows, filtered = _filter(rows, joints, looks, settings)
    twins = _find_twins(rows, looks, settings.different_bits) if settings.flips else {}
    accepted = rows[["id"]]
    if twins:
        accepted = pd.concat([accepted, pd.DataFrame({"id": list(twins.values())})], ignore_index=True)
    write_table(artifact("pairs", job.item, "accepted.parquet"), accepted.sort_values("id"))

    listed = pd.read_parquet(artifact("ingest", job.item, "pairs.parquet"))
    if settings.use_list and len(listed):
        pairs, set_aside = keep_pairs(listed.itertuples(index=False, name=None), rows, joints)
    else:
        rules = PairRules(settings.max_per_person, settings.require_torso, settings.include_self, settings.seed)
        pairs, set_aside = make_pairs(rows, joints, rules)
    set_aside = filtered + set_aside
    limit, key = settings.max_quarantined, f"domains.{job.item}.pairs.max_quarantined"
    quarantine.enforce(set_aside, total=len(pairs) + len(set_aside), limit=limit, key=key)
    quarantine.write(artifact("pairs", job.item, "quarantine.csv"), set_aside)
    pairs = add_twins(pairs, twins) if twins else pairs
    pairs = draw_pairs(pairs, {"train": settings.max_train, "test": settings.max_test}, seed=settings.seed)
    write_table(artifact("pairs", job.item, "pairs.parquet"), pairs)
    if not (pairs["split"] == "test").any():
        log.warning("%s: no pair is left for scoring; the persons or poses held out have none", job.item)
    _draw(job.item, pairs, images, joints)


class Look(NamedTuple):
    """What was seen of a picture: its hash, that of its mirrored twin, and the share of a second person."""

    hash: int
    twin_hash: int
    second: float


def _needs_looks(settings: Pairs) -> bool:
    return settings.single_and_complete or settings.different_bits > 0


def make_worker() -> Worker:
    """A worker that gives the hash of a picture and of its mirrored twin, and the share of a second person."""

    def see(item: Item) -> Outputs:
        picture, found = decode(item.inputs[0]), labels.from_png(item.inputs[1])
        look = Look(hash_picture(picture), hash_picture(mirror(picture)), second_share(found))
        return {"look": json.dumps(look).encode()}

    return PerItem(see)


def _look(job: Job, ids: "pd.Series[str]", images: ShardReader, maps: ShardReader) -> dict[str, Look]:
    pictures, labelled = images.contents, maps.contents
    items = (Item(name, (pictures[name], labelled[name])) for name in ids)
    seen = job.map(items, make_worker, settings=("looks",), total=len(ids))
    return {name: Look(*json.loads(found)) for name, found in seen.values("look").items()}


def _filter(
    rows: pd.DataFrame, joints: Mapping[str, Joints], looks: Mapping[str, Look], settings: Pairs
) -> tuple[pd.DataFrame, SetAside]:
    """The rows that pass, and the pictures set aside."""
    set_aside: SetAside = []
    kept: dict[str, list[str]] = defaultdict(list)
    hashes = {name: look.hash for name, look in looks.items()}
    for name, person in sorted(zip(rows["id"], rows["person"], strict=True)):
        reason = ""
        if settings.single_and_complete:
            reason = why_not_single_and_complete(joints[name], looks[name].second)
            reason += " (pairs.single_and_complete)" if reason else ""
        if not reason and settings.different_bits:
            like = find_like(hashes, kept[person], hashes[name], settings.different_bits)
            reason = f"looks like {like[0]}: {like[1]} of 64 bits differ (pairs.different_bits)" if like else ""
        if reason:
            set_aside.append((name, reason))
        else:
            kept[person].append(name)
    lost = {name for name, _ in set_aside}
    return (rows[~rows["id"].isin(lost)] if lost else rows), set_aside


def _find_twins(rows: pd.DataFrame, looks: Mapping[str, Look], bits: int) -> dict[str, str]:
    """Mirrored twins of the training pictures by name, those that look like a picture of the person left out."""
    known = set(rows["id"])
    hashes = {name: look.hash for name, look in looks.items()}
    of_person: dict[str, list[str]] = defaultdict(list)
    for name, person in sorted(zip(rows["id"], rows["person"], strict=True)):
        of_person[person].append(name)
    twins = {}
    for name, person, split in sorted(zip(rows["id"], rows["person"], rows["split"], strict=True)):
        twin = twin_of(name)
        if split != "train" or twin in known:
            continue
        if bits and find_like(hashes, of_person[person], looks[name].twin_hash, bits):
            continue
        twins[name] = twin
        if bits:
            hashes[twin] = looks[name].twin_hash
            of_person[person].append(twin)
    return twins


def _draw(item: str, pairs: pd.DataFrame, images: ShardReader, joints: Mapping[str, Joints]) -> None:
    every = list(pairs[["from", "to"]].itertuples(index=False, name=None))
    chosen = [every[index] for index in sheets.choose(range(len(every)), 12)]
    shown, posed = {}, {}
    for name in {name for pair in chosen for name in pair}:
        shown[name], posed[name] = _seen(name, images, joints)
    counts = ", ".join(f"{count} {split}" for split, count in pairs["split"].value_counts(sort=False).items())
    sheets.write_sheet(
        sheet("pairs", item),
        f"Pairs · {item}",
        [sheets.pair_rows(shown, posed, chosen)],
        subtitle=f"{len(chosen)} of {len(pairs)} pairs: {counts}",
    )


def _seen(name: str, images: ShardReader, joints: Mapping[str, Joints]) -> tuple[Bytes, Joints]:
    """The picture and its joints, of a mirrored twin too."""
    original, mirrored = original_of(name, images)
    picture = decode(images[original])
    if not mirrored:
        return picture, joints[original]
    return mirror(picture), flip(joints[original], picture.shape[1])
