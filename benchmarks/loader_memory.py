"""Memory of the processes that read training pairs, and how long the device waits for them.

    python -m benchmarks.loader_memory [--pictures 20000] [--workers 4] [--batch 4] [--batches 300] [--step-ms 100]

A pack of rendered people at 176x256, a few dozen of them again and again, is written to a temporary folder (135 kB a
picture, 2.7 GB for 20,000) and read as a training reads it. The step on the device is a pause of `--step-ms`; what a
training waits beyond it for the next batch is the device's idle share. Memory is the kernel's proportional set size:
pages that processes share are divided among them, so that the sum is what the machine is short of; the pages of the
file in the cache belong to nobody. Wanted: under 1.5 GiB in all, under 5 % idle.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.loading import as_row
from benchmarks.people import HEIGHT, WIDTH, people, print_table
from models.data import Draws, Pairs, batches
from models.training import TrainingSettings
from pipeline.packed import Chunks, Pack, write_pack

DISTINCT = 24
FORM = {"size": (WIDTH, HEIGHT), "sigma_px": 6.0, "source": "figures", "with_heatmaps": False}


def write_large_pack(folder: Path, count: int) -> Path:
    """Rows are copied as they are stored."""
    small, large = folder / "small.h5", folder / "large.h5"
    write_pack(small, (as_row(person) for person in people(DISTINCT)), count=DISTINCT, pairs={}, **FORM)
    pack = Pack(small)
    stored = [pack.chunks(row) for row in range(DISTINCT)]

    def rows() -> Iterator[Chunks]:
        for row in range(count):
            yield Chunks(f"p{row}", f"q{row // 6}", pack.keypoints[row % DISTINCT], stored[row % DISTINCT])

    pairs = np.random.default_rng(0).integers(0, count, (10 * count, 2)).astype(np.int32)
    write_pack(large, rows(), count=count, pairs={"train": pairs}, **FORM)
    return large


def memory_mib(process: int) -> tuple[float, float]:
    """Proportional and unshared MiB of a process."""
    fields = {"Pss:": 0.0, "Private_Clean:": 0.0, "Private_Dirty:": 0.0}
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        name, *rest = line.split()
        if name in fields:
            fields[name] = int(rest[0]) / 1024
    return fields["Pss:"], fields["Private_Clean:"] + fields["Private_Dirty:"]


def children() -> list[int]:
    own = os.getpid()
    return [int(child) for child in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


def cpu_s(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=TrainingSettings().batch)
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--step-ms", type=float, default=100)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        pack = Pack(write_large_pack(Path(folder), options.pictures))
        pairs = Pairs(pack, pack.pairs("train"))
        draws = Draws(len(pairs), range(options.batches), batch=options.batch, seed=0, mirror=True)
        stream = batches(pairs, draws, device=device, workers=options.workers)
        next(stream)  # the workers' start
        waited, start, at_start = 0.0, time.perf_counter(), {child: cpu_s(child) for child in children()}
        for _ in range(options.batches - 20):
            before = time.perf_counter()
            next(stream)
            waited += time.perf_counter() - before
            time.sleep(options.step_ms / 1000)
        total = time.perf_counter() - start
        workers = children()
        used = sum(cpu_s(child) - at_start[child] for child in workers)
        table = [("training process", *memory_mib(os.getpid()))]
        table += [(f"worker {number}", *memory_mib(child)) for number, child in enumerate(workers, 1)]
        table.append(("in all", *(sum(row[column] for row in table) for column in (1, 2))))
        del stream
    print_table(["MiB", "proportional", "unshared"], [[name, f"{pss:.0f}", f"{own:.0f}"] for name, pss, own in table])
    pairs_read = (options.batches - 20) * options.batch
    print(f"idle for {waited:.2f} of {total:.1f} s: {waited / total:.1%}; {1000 * used / pairs_read:.1f} CPU ms a pair")


if __name__ == "__main__":
    main()
