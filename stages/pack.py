"""Pack a domain into one HDF5 file: every picture once, pairs as tables of rows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.content import digest
from pipeline.errors import UserError
from pipeline.imports import code_of
from pipeline.packed import SPLITS, Chunks, Pack, Picture, write_pack
from pipeline.people import heatmaps, labels, skeleton
from pipeline.people.masks import body_mask
from pipeline.people.twins import mirror, original_of
from pipeline.pictures import decode, decode_grey
from pipeline.run import Job
from pipeline.shards import ShardReader
from stages import sheets
from stages.artifacts import artifact, pack, read_keypoints, sheet


def run(job: Job) -> None:
    """Write `data/pack/<domain>.h5` and its sheet."""
    write(job)
    _draw(job.item)


def write(job: Job) -> None:
    """Write `data/pack/<domain>.h5` from the shards and tables of the earlier stages."""
    item, settings, crop = job.item, job.domain.pack, job.domain.crop
    catalog = pd.read_parquet(artifact("ingest", item, "catalog.parquet")).set_index("id")
    listed = pd.read_parquet(artifact("pairs", item, "pairs.parquet"))
    # Every picture that all stages accepted is packed, whether or not a pair names it.
    accepted = pd.read_parquet(artifact("pairs", item, "accepted.parquet"))["id"].tolist()
    row_of = {name: row for row, name in enumerate(accepted)}
    pairs = {
        split: np.column_stack([group["from"].map(row_of), group["to"].map(row_of)]).astype(np.int32)
        for split, group in listed.groupby("split")
    }
    sources = Sources(job)
    checks = [sources.check(name) for name in accepted]
    write_pack(
        pack(item),
        _rows(job, accepted, checks, catalog["person"].to_dict(), sources),
        count=len(accepted),
        pairs=pairs,
        size=(crop.width, crop.height),
        sigma_px=settings.sigma_px,
        source=job.domain.ingest.source,
        codec=settings.codec,
        with_heatmaps=settings.heatmaps,
    )
    _keep(job, checks)


class Sources:
    """What the rows are made of: shards and key points of the earlier stages."""

    def __init__(self, job: Job) -> None:
        self.settings = job.domain.pack
        self.width, self.height = job.domain.crop.width, job.domain.crop.height
        self.images = ShardReader(artifact("crop", job.item, "images"), job.memo)
        self.parsing = ShardReader(artifact("parsing", job.item, "labels"), job.memo)
        self.edges = ShardReader(artifact("edges", job.item, "edges"), job.memo)
        self.joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
        self.fingerprint = digest([code_of("stages.pack"), repr((self.settings, self.width, self.height)).encode()])

    def check(self, name: str) -> bytes:
        """16 bytes that stand for all that the row depends on."""
        original, mirrored = original_of(name, self.images)
        planes = (reader.digest(original) for reader in (self.images, self.parsing, self.edges))
        return digest([self.fingerprint, *planes, self.joints_of(name).tobytes(), *([b"mirrored"] if mirrored else [])])

    def joints_of(self, name: str) -> NDArray[np.float32]:
        """(18, 3) of the picture; of a mirrored twin left and right are exchanged."""
        original, mirrored = original_of(name, self.images)
        return skeleton.flip(self.joints[original], self.width) if mirrored else self.joints[original]

    def picture(self, name: str, person: str) -> Picture:
        """The row, decoded and drawn."""
        joints, maps = self.joints_of(name), None
        original, mirrored = original_of(name, self.images)
        turn = mirror if mirrored else np.asarray
        if self.settings.heatmaps:
            sigma_px = self.settings.sigma_px
            maps = heatmaps.render_uint8(joints, width=self.width, height=self.height, sigma_px=sigma_px)
        return Picture(
            name=name,
            person=person,
            image=turn(decode(self.images[original])),
            keypoints=joints,
            heatmaps=maps,
            parsing=turn(labels.from_png(self.parsing[original])),
            mask=body_mask(joints, width=self.width, height=self.height),
            edges=turn(decode_grey(self.edges[original])),
        )


def _rows(
    job: Job, ids: list[str], checks: list[bytes], persons: dict[str, str], sources: Sources
) -> Iterator[Picture | Chunks]:
    """Every row; those that the last pack of the domain has are copied from it as they are stored."""
    earlier, row_of = _last_pack(job)
    job.notes["computed"] = sum(check not in row_of for check in checks)
    for name, check in zip(job.progress(ids), checks, strict=True):
        person = persons[original_of(name, persons)[0]]
        if earlier and check in row_of:
            yield Chunks(name, person, sources.joints_of(name), earlier.chunks(row_of[check]))
        else:
            yield sources.picture(name, person)


def _last_pack(job: Job) -> tuple[Pack | None, dict[bytes, int]]:
    """The newest pack of the domain that the memo kept, and its rows by what they were made of."""
    key = job.memo.listing(_name_of_last(job.item))
    path, listing = (job.memo.kept_file(key), job.memo.listing(key)) if key else (None, None)
    if path is None or listing is None:
        return None, {}
    try:
        earlier = Pack(path)
        earlier.chunks(0)  # open from here on: another process may prune it at any time
    except (UserError, OSError):  # damaged, of another format, or gone
        return None, {}
    return earlier, {listing[start : start + 16]: start // 16 for start in range(0, len(listing), 16)}


def _keep(job: Job, checks: list[bytes]) -> None:
    """Let the memo keep the new pack in place of the last; the name of the last comes to it when all is there."""
    name, listing = _name_of_last(job.item), b"".join(checks)
    key, before = digest([name, listing]), job.memo.listing(name)
    job.memo.note_listing(key, listing)
    job.memo.keep_file(key, pack(job.item))
    job.memo.note_listing(name, key)
    if before and before != key:
        job.memo.forget_file(before)


def _name_of_last(domain: str) -> bytes:
    return digest([b"last pack", str(pack(domain)).encode()])


def _draw(item: str) -> None:
    packed = Pack(pack(item))
    listed = [(packed.names[a], packed.names[b]) for split in SPLITS for a, b in packed.pairs(split)]
    chosen = [listed[index] for index in sheets.choose(range(len(listed)), 12)]
    row_of = {name: row for row, name in enumerate(packed.names)}
    names = {name for pair in chosen for name in pair}
    maps = packed.heatmaps(0)
    sections = [
        sheets.pair_rows(
            {name: packed.image(row_of[name]) for name in names},
            {name: packed.keypoints[row_of[name]] for name in names},
            chosen,
            heading="Pairs",
        ),
    ]
    if maps is not None:
        sections.append(sheets.heat_maps(packed.image(0), maps, f"The 18 heat maps of {packed.names[0]}"))
    counts = ", ".join(f"{len(packed.pairs(split))} {split}" for split in SPLITS)
    sheets.write_sheet(
        sheet("pack", item), f"Pack · {item}", sections, subtitle=f"{len(packed)} pictures; pairs: {counts}"
    )
