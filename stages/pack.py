"""Pack a domain into one HDF5 file: every picture once, pairs as tables of rows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.packed import SPLITS, Pack, Picture, write_pack
from pipeline.people import heatmaps, labels
from pipeline.people.masks import body_mask
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
        split: np.array([(row_of[a], row_of[b]) for a, b in group[["from", "to"]].to_numpy()], np.int32)
        for split, group in listed.groupby("split")
    }
    write_pack(
        pack(item),
        _pictures(job, accepted, catalog["person"].to_dict()),
        count=len(accepted),
        pairs=pairs,
        size=(crop.width, crop.height),
        sigma_px=settings.sigma_px,
        source=job.domain.ingest.source,
        codec=settings.codec,
        with_heatmaps=settings.heatmaps,
    )


def _pictures(job: Job, ids: list[str], persons: dict[str, str]) -> Iterator[Picture]:
    settings = job.domain.pack
    width, height = job.domain.crop.width, job.domain.crop.height
    images = ShardReader(artifact("crop", job.item, "images"))
    parsing = ShardReader(artifact("parsing", job.item, "labels"))
    edges = ShardReader(artifact("edges", job.item, "edges"))
    joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
    for name in job.progress(ids):
        maps = None
        if settings.heatmaps:
            maps = heatmaps.render_uint8(joints[name], width=width, height=height, sigma_px=settings.sigma_px)
        yield Picture(
            name=name,
            person=persons[name],
            image=decode(images[name]),
            keypoints=joints[name],
            heatmaps=maps,
            parsing=labels.from_png(parsing[name]),
            mask=body_mask(joints[name], width=width, height=height),
            edges=decode_grey(edges[name]),
        )


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
