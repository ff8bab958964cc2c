"""XDoG edge maps of the cropped pictures: what SCA-GAN is guided by."""

from functools import partial

from pipeline import quarantine
from pipeline.engine import Item, PerItem, Worker
from pipeline.params import Edges
from pipeline.people.edges import draw_edges
from pipeline.pictures import decode, decode_grey, encode_png
from pipeline.run import Job
from pipeline.shards import ShardReader, write_shards
from stages import sheets
from stages.artifacts import artifact, sheet


def run(job: Job) -> None:
    """Write the shards of edge maps, `quarantine.csv` and the sheet."""
    settings, knobs = job.domain.edges, edge_settings(job.domain.edges)
    images = ShardReader(artifact("crop", job.item, "images"), job.memo)
    drawn = job.map(
        (Item(name, (content,)) for name, content in images.contents.items()),
        partial(make_worker, knobs),
        settings=knobs,
        total=len(images),
    )
    limit, key = settings.max_quarantined, f"domains.{job.item}.edges.max_quarantined"
    quarantine.enforce(drawn.set_aside, total=len(images), limit=limit, key=key)
    quarantine.write(artifact("edges", job.item, "quarantine.csv"), drawn.set_aside)
    maps = drawn.contents("edges")
    write_shards(artifact("edges", job.item, "edges"), maps, shards=settings.shards, suffix=".png", memo=job.memo)

    ids = sheets.choose(maps, 12)
    shown = {name: decode(images[name]) for name in ids}
    sheets.write_sheet(
        sheet("edges", job.item),
        f"Edges · {job.item}",
        [sheets.edge_maps(shown, {name: decode_grey(maps[name].read()) for name in ids})],
        subtitle=f"{len(ids)} of {len(maps)} pictures",
    )


def edge_settings(edges: Edges) -> dict[str, float]:
    """What `draw_edges` is told, from the section `edges` of a domain."""
    return {
        "sigma_px": edges.sigma_px,
        "scale": edges.scale,
        "sharpness": edges.sharpness,
        "threshold": edges.threshold,
        "steepness": edges.steepness,
    }


def make_worker(knobs: dict[str, float]) -> Worker:
    """A worker that gives the grey PNG of a picture's edges."""
    return PerItem(lambda item: {"edges": encode_png(draw_edges(decode(item.inputs[0]), **knobs))})
