"""Pictures a second from shards to HDF5, on one core: at least 120 with stored heat maps, 350 without.

    python -m benchmarks.pack [--pictures 400]

Runs the stage's own code (`stages.pack.write`) on shards of rendered people, so decoding, masks, compression and
writing are in it; the contact sheet, whose cost does not grow with the pictures, is not. Counted in CPU seconds. The
last row draws all of each heat map and rounds it, as a plain program would, and writes the same file.
"""

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.people import people, print_table
from pipeline import params as params_module
from pipeline.people import edges, heatmaps, labels
from pipeline.pictures import encode_png
from pipeline.run import Job
from pipeline.shards import write_shards
from stages import pack
from stages.artifacts import artifact, write_keypoints, write_table
from stages.artifacts import pack as pack_file

DOMAIN = "source"


def prepare(count: int) -> None:
    """What the stages before `pack` leave, below ./data."""
    images, maps, drawn, joints = {}, {}, {}, {}
    for person in people(count):
        images[person.id] = encode_png(person.image)
        maps[person.id] = labels.to_png(person.labels)
        drawn[person.id] = encode_png(edges.draw_edges(person.image))
        joints[person.id] = person.joints
    write_shards(artifact("crop", DOMAIN, "images"), images, shards=16, suffix=".png")
    write_shards(artifact("parsing", DOMAIN, "labels"), maps, shards=16, suffix=".png")
    write_shards(artifact("edges", DOMAIN, "edges"), drawn, shards=16, suffix=".png")
    write_keypoints(artifact("keypoints", DOMAIN, "keypoints.parquet"), joints)
    ids = sorted(images)
    write_table(artifact("ingest", DOMAIN, "catalog.parquet"), pd.DataFrame({"id": ids, "person": ids}))
    write_table(artifact("pairs", DOMAIN, "accepted.parquet"), pd.DataFrame({"id": ids}))
    listed = pd.DataFrame({"from": ids, "to": ids[::-1], "split": "train"})
    write_table(artifact("pairs", DOMAIN, "pairs.parquet"), listed)


def draw_whole(joints: NDArray[np.float32], *, width: int, height: int, sigma_px: float) -> NDArray[np.uint8]:
    return heatmaps.to_uint8(heatmaps.render(joints, width=width, height=height, sigma_px=sigma_px))


def job(params: params_module.Params, *, with_heatmaps: bool) -> Job:
    """The stage's job, but for its progress bar."""
    domain = params.domains[DOMAIN]
    domain = replace(domain, pack=replace(domain.pack, heatmaps=with_heatmaps))
    return Job("pack", DOMAIN, replace(params, domains={DOMAIN: domain}))


def measure(
    params: params_module.Params, count: int, *, with_heatmaps: bool, again: bool = False
) -> tuple[float, bytes]:
    """Pictures a CPU second, and the file; unless `again`, nothing is known of an earlier pack."""
    if not again:
        shutil.rmtree(".cache", ignore_errors=True)
    work = job(params, with_heatmaps=with_heatmaps)
    start = time.process_time()
    pack.write(work)
    return count / (time.process_time() - start), pack_file(DOMAIN).read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    count = parser.parse_args().pictures
    params = params_module.load()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare(count)
        measure(params, count, with_heatmaps=False)  # warm
        rates = {}
        rates["no heat maps"], small = measure(params, count, with_heatmaps=False)
        rates["stored heat maps"], large = measure(params, count, with_heatmaps=True)
        rates["the same again"], copied = measure(params, count, with_heatmaps=True, again=True)
        with patch.object(heatmaps, "render_uint8", draw_whole):
            rates["stored heat maps, drawn whole"], plain = measure(params, count, with_heatmaps=True)
        os.chdir("/")
    assert large == plain == copied, "three ways to the same pack differ"
    wanted = {"no heat maps": 350.0, "stored heat maps": 120.0}
    peer = rates["stored heat maps, drawn whole"]
    sizes = dict.fromkeys(rates, len(large)) | {"no heat maps": len(small)}
    print_table(
        ["", "pictures/CPU-s", "wanted", "ratio to wanted", "ratio to drawn whole", "bytes/picture"],
        [
            [name, f"{rate:.0f}", *_against(rate, wanted.get(name)), f"{rate / peer:.2f}", f"{sizes[name] // count}"]
            for name, rate in rates.items()
        ],
    )


def _against(rate: float, wanted: float | None) -> tuple[str, str]:
    return (f"{wanted:.0f}", f"{rate / wanted:.2f}") if wanted else ("", "")


if __name__ == "__main__":
    main()
