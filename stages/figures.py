"""Render the embedded people of a domain, with the exact joints and labels that later score the extraction."""

from functools import partial

import numpy as np
import pandas as pd

from pipeline.engine import Item, PerItem, Worker
from pipeline.memo import Outputs
from pipeline.people import labels
from pipeline.pictures import decode, encode_png
from pipeline.render import FigureSpec, plan, render
from pipeline.run import Job
from pipeline.shards import write_shards
from stages import sheets
from stages.artifacts import artifact, sheet, write_table

WIDTH, HEIGHT = 176, 256


def run(job: Job) -> None:
    """Write shards of pictures and label maps, `truth.parquet` and the sheet; nothing where the domain has its own."""
    settings = job.domain.figures
    if job.domain.ingest.source != "figures":
        artifact("figures", job.item, "").mkdir(parents=True, exist_ok=True)
        sheets.write_sheet(
            sheet("figures", job.item), f"Figures · {job.item}", [], subtitle="The domain has its own pictures."
        )
        return
    specs = {
        spec.id: spec for spec in plan(settings.style, people=settings.people, poses=settings.poses, seed=settings.seed)
    }
    rendered = job.map(
        (Item(name, (repr(spec).encode(),)) for name, spec in specs.items()),
        partial(make_worker, specs),
        settings=(WIDTH, HEIGHT),
        total=len(specs),
    )
    for kind in ("images", "labels"):
        folder = artifact("figures", job.item, kind)
        write_shards(folder, rendered.contents(kind), shards=settings.shards, suffix=".png", memo=job.memo)
    joints, yaws = rendered.values("joints"), rendered.values("yaw_deg")
    rows = [
        {
            "id": name,
            "person": specs[name].person,
            "pose": specs[name].pose,
            "split": specs[name].split,
            "keypoints": np.frombuffer(joints[name], "<f4"),
            "yaw_deg": float(np.frombuffer(yaws[name], "<f4")[0]),
        }
        for name in rendered.keys
    ]
    write_table(artifact("figures", job.item, "truth.parquet"), pd.DataFrame(rows))
    shown = {name: decode(rendered[name]["images"]) for name in sheets.choose(rendered.keys)}
    sheets.write_sheet(
        sheet("figures", job.item),
        f"Figures · {job.item}",
        [sheets.pictures(shown)],
        subtitle=f"{len(shown)} of {len(rendered)} pictures of {settings.people} rendered people",
    )


def make_worker(specs: dict[str, FigureSpec]) -> Worker:
    """A worker that gives picture, label map, joints and yaw of a figure."""

    def draw(item: Item) -> Outputs:
        figure = render(specs[item.id], width=WIDTH, height=HEIGHT)
        return {
            "images": encode_png(figure.image),
            "labels": labels.to_png(figure.labels),
            "joints": figure.joints.astype("<f4").tobytes(),
            "yaw_deg": np.float32(figure.yaw_deg).tobytes(),
        }

    return PerItem(draw)
