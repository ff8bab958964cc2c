"""What a picture costs, and from it what many cost: hours and gigabytes for 52,712, 1 M and 10 M pictures.

    python benchmarks/scale.py [--people 48] [--synthetic 50000] [--cores 16]

Three tables. The stages on rendered people: the processor seconds of a picture are the slope between a small and a
larger run of the real stage, inline, on one thread; the bytes are what lies on disk. Small synthetic pictures through
engine, memo, shards and pack, with no network: what the house-keeping costs, and the peak memory. The projection: work
that spreads is divided by the cores of all machines, what one process does for each picture is not.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from ruamel.yaml import YAML

from pipeline.engine import Engine, Item, PerItem, Worker, map_items
from pipeline.imports import ROOT
from pipeline.memo import Memo, Outputs
from pipeline.packed import Picture, write_pack
from pipeline.people import heatmaps
from pipeline.pictures import decode, encode_png
from pipeline.shards import ShardReader, write_shards

STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack")
# Of a user's pictures; nothing is rendered then.
SPREAD = ("ingest", "crop", "keypoints", "parsing", "edges")
ALONE = ("pairs", "pack")
SIZE = (44, 64)
COUNTS = {"DeepFashion, 52,712": 52_712, "1 M": 1_000_000, "10 M": 10_000_000}
MACHINES = (1, 64)
MEMO = "index.sqlite*"  # its files are further names of the artifacts

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What a stage costs once, and for each picture."""

    fixed_s: float
    picture_s: float
    data_bytes: float
    memo_bytes: float


def run_stages(folder: Path, people: int) -> dict[str, tuple[float, float, float]]:
    """Processor seconds, bytes of the artifacts and bytes of the memo of each stage on so many people in four poses."""
    raw = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    domain = raw["domains"]["source"]
    domain["figures"] |= {"people": people, "poses": 4}
    domain["ingest"]["test"] = 0.4
    domain["keypoints"]["max_quarantined"] = 0.9
    raw["engine"]["kind"] = "inline"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "detectors").symlink_to(ROOT / "models" / "detectors")
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(raw, file)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    costs = {}
    for stage in STAGES:
        before, noted = spent(resource.RUSAGE_CHILDREN), weigh(folder / ".cache" / "memo", MEMO)
        command = [sys.executable, "-m", "pipeline.run", f"{stage}@source"]
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        seconds = spent(resource.RUSAGE_CHILDREN) - before
        sizes = weigh(folder / "data" / stage), weigh(folder / ".cache" / "memo", MEMO) - noted
        costs[stage] = (seconds, *sizes)
    return costs


def spent(who: int) -> float:
    """Processor seconds so far: on a busy machine they say more than the clock."""
    use = resource.getrusage(who)
    return use.ru_utime + use.ru_stime


def weigh(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def measure(people: int) -> dict[str, Cost]:
    """The costs of each stage; prints them."""
    few = max(5, people // 4)
    with tempfile.TemporaryDirectory() as name:
        small, large = (run_stages(Path(name) / str(count), count) for count in (few, people))
    costs = {}
    print(f"{'stage':10} {'fixed s':>8} {'ms/picture':>11} {'data bytes':>11} {'memo bytes':>11}", flush=True)
    for stage in STAGES:
        slope = max((large[stage][0] - small[stage][0]) / (4 * (people - few)), 1e-5)
        fixed = max(small[stage][0] - 4 * few * slope, 0.0)
        costs[stage] = cost = Cost(fixed, slope, large[stage][1] / (4 * people), large[stage][2] / (4 * people))
        print(
            f"{stage:10} {fixed:8.2f} {1000 * slope:11.2f} {cost.data_bytes:11,.0f} {cost.memo_bytes:11,.0f}",
            flush=True,
        )
    return costs


def make_worker() -> Worker:
    """A worker that makes a small picture from a number: shapes on a ground, as cheap as they can be."""

    def paint(item: Item) -> Outputs:
        seed = np.frombuffer(item.inputs[0], np.uint8).astype(int)
        picture = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
        picture[:] = seed[:3]
        picture[seed[3] % 32 :, seed[4] % 22 :] = seed[5:8]
        return {"image": encode_png(picture)}

    return PerItem(paint)


def house_keeping(count: int) -> float:
    """Seconds of the stage's own process for each picture, whoever does the work; prints where they go."""
    print(f"\n{count:,} pictures of {SIZE[0]}x{SIZE[1]} without a network")
    print(f"{'step':28} {'clock s':>8} {'own s':>8} {'ms/picture':>11} {'peak MiB':>9}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = [Item(f"i{row:08d}", (row.to_bytes(4, "big") * 2,)) for row in range(count)]

        def run(engine: Engine, memo: str) -> dict[str, bytes]:
            store = Memo(folder / memo)
            found = map_items(items, make_worker, memo=store, fingerprint=b"", engine=engine, title="", total=0)
            return {key: found[key]["image"] for key in found.keys}

        told("engine: inline, all new", count, lambda: run(Engine("inline"), "a"))
        spread, _ = told("engine: two processes, new", count, lambda: run(Engine("processes", 2), "b"))
        _, images = told("engine: all known", count, lambda: run(Engine("inline"), "a"))
        shards = folder / "shards"
        wrote, _ = told("100 shards written", count, lambda: write_shards(shards, images, shards=100, suffix=".png"))
        read, _ = told("100 shards read", count, lambda: sum(map(len, ShardReader(shards).values())))
        told("pack written", count, lambda: pack(folder / "pack.h5", images))
        sizes = {"memo": weigh(folder / "a", MEMO), "shards": weigh(shards), "pack": weigh(folder, "pack.h5")}
        print("bytes/picture: " + ", ".join(f"{what} {size / count:,.0f}" for what, size in sizes.items()))
    return (spread + wrote + read) / count


def told(step: str, count: int, work: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds of this process and result of `work`; prints a row."""
    start, clock = spent(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    seconds, clock = spent(resource.RUSAGE_SELF) - start, time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{step:28} {clock:8.1f} {seconds:8.1f} {1000 * seconds / count:11.3f} {peak:9,}", flush=True)
    return seconds, result


def pack(path: Path, images: dict[str, bytes]) -> None:
    """Write all pictures with the joints, maps and labels of one."""
    width, height = SIZE
    joints = np.ones((18, 3), np.float32) * 9
    maps = heatmaps.to_uint8(heatmaps.render(joints, width=width, height=height))
    labels = np.zeros((height, width), np.uint8)

    def pictures() -> Iterator[Picture]:
        for name, data in images.items():
            yield Picture(name, name, decode(data), joints, maps, labels, labels, labels)

    write_pack(path, pictures(), count=len(images), pairs={}, size=SIZE, sigma_px=6.0, source="folder")


def project(costs: dict[str, Cost], keeping: float, cores: int) -> None:
    """Print hours and gigabytes of a user's pictures, from raw to pack."""
    print(f"\nHours; {cores} cores a machine; {1000 * keeping:.2f} ms of a picture and stage are one process's own")
    print(f"{'pictures':20} {'machines':>8} " + " ".join(f"{stage:>9}" for stage in (*SPREAD, *ALONE, "all")))
    for name, count in COUNTS.items():
        for machines in MACHINES:
            hours = []
            for stage in SPREAD:
                own = min(keeping, costs[stage].picture_s)
                spread = (costs[stage].picture_s - own) / (machines * cores)
                hours.append((costs[stage].fixed_s + count * (own + spread)) / 3600)
            hours += [(costs[stage].fixed_s + count * costs[stage].picture_s) / 3600 for stage in ALONE]
            print(f"{name:20} {machines:8} " + " ".join(f"{value:9.2f}" for value in (*hours, sum(hours))))
    stages = [costs[stage] for stage in (*SPREAD, *ALONE)]
    data, memo = sum(cost.data_bytes for cost in stages), sum(cost.memo_bytes for cost in stages)
    print(
        f"\n{'gigabytes':20} " + " ".join(f"{word:>9}" for word in ("data", "DVC cache", "memo", "the pack", "a shard"))
    )
    for name, count in COUNTS.items():
        sizes = (data, data, memo, costs["pack"].data_bytes, costs["crop"].data_bytes / 100)
        print(f"{name:20} " + " ".join(f"{count * size / 1e9:9.2f}" for size in sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--synthetic", type=int, default=50_000)
    parser.add_argument("--cores", type=int, default=16, help="of each machine in the projection")
    options = parser.parse_args()
    costs = measure(options.people)
    project(costs, house_keeping(options.synthetic), options.cores)


if __name__ == "__main__":
    main()
