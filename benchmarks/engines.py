"""What spreading work costs and brings: inline, processes and Ray on the same pictures, in one run.

    python benchmarks/engines.py [--people 24] [--workers 2] [--address HOST:PORT]

Two kinds of real work: rendering a person (slow: what a network costs) and its edge map (quick: a few milliseconds).
Fixed seconds are those before the first picture is finished and after the last: starting workers, importing,
connecting. The rate is that of the pictures between. Ray is left out where it is not installed.
"""

import argparse
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pipeline.engine import Engine, Item, Worker, map_items
from pipeline.memo import Memo, Outputs
from pipeline.render import plan
from stages import edges, figures

HEAD = f"{'work':8} {'engine':12} {'fixed s':>8} {'pictures/s':>11} {'to inline':>10} {'to proc.':>10}"


class Timed(Memo):
    """A memo that knows when its first and its last entry came."""

    first = last = 0.0

    def put(self, entries: Mapping[bytes, Outputs]) -> None:
        super().put(entries)
        self.last = time.perf_counter()
        self.first = self.first or self.last


def run(
    items: list[Item], make_worker: Callable[[], Worker], engine: Engine
) -> tuple[float, float, dict[str, Outputs]]:
    """Fixed seconds, pictures a second, and outputs; with an empty memo."""
    with tempfile.TemporaryDirectory() as folder:
        memo, start = Timed(Path(folder) / "memo.sqlite"), time.perf_counter()
        results = map_items(items, make_worker, memo=memo, fingerprint=b"", engine=engine, title="", total=0)
        working = memo.last - memo.first
        fixed = time.perf_counter() - start - working
        return fixed, (len(items) - 1) / working, {name: results[name] for name in results.keys}


def compare(
    work: str, items: list[Item], make_worker: Callable[[], Worker], engines: list[Engine]
) -> dict[str, Outputs]:
    """Print a row for each engine; the outputs, which are the same for all."""
    rates: dict[str, float] = {}
    first: dict[str, Outputs] = {}
    for engine in engines:
        fixed, rate, outputs = run(items, make_worker, engine)
        first = first or outputs
        assert outputs == first, f"{engine.kind} gives other bytes"
        rates[engine.kind] = rate
        beside = f"{rate / rates['processes']:12.2f}x" if "processes" in rates else " " * 13
        print(
            f"{work:8} {engine.kind:12} {fixed:8.2f} {rate:11.1f} {rate / rates['inline']:9.2f}x {beside}", flush=True
        )
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--address", default="", help="of a running Ray cluster")
    options = parser.parse_args()
    engines = [Engine("inline"), Engine("processes", options.workers)]
    if importlib.util.find_spec("ray"):
        engines.append(Engine("ray", options.workers, options.address))
    specs = {spec.id: spec for spec in plan("natural", people=options.people, poses=4, seed=0)}
    print(f"{options.workers} workers, {len(specs)} people rendered, {20 * len(specs)} edge maps\n\n{HEAD}")
    items = [Item(name, (repr(spec).encode(),)) for name, spec in specs.items()]
    drawn = compare("render", items, partial(figures.make_worker, specs), engines)
    pictures = [outputs["images"] for outputs in drawn.values()]
    items = [Item(f"{turn}-{row}", (data, bytes([turn]))) for turn in range(20) for row, data in enumerate(pictures)]
    knobs = {"sigma_px": 0.8, "scale": 1.6, "sharpness": 20.0, "threshold": 0.8, "steepness": 10.0}
    compare("edges", items, partial(edges.make_worker, knobs), engines)


if __name__ == "__main__":
    main()
