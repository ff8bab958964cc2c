"""The search of SPT's pseudo labels: its cost, and how often it finds what a search in full finds.

    python -m benchmarks.pseudo_labels [--pack data/pack/source.h5] [--candidates 5000] [--queries 1000] [--full 50]

Candidates are the pack's pictures, mirrored, scaled, shifted and with their joints moved a little. Counted in CPU
seconds of one core; the queries are independent, so two cores take half of the time.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.people import print_table
from pipeline.packed import Pack
from pipeline.params import load
from pipeline.people.pseudo_labels import Gallery, costs, is_usable, pose_distances, shortlists, shrink
from pipeline.people.skeleton import flip, is_present, move


def vary(pack: Pack, count: int) -> Gallery:
    """`count` small maps with their joints."""
    dice = np.random.default_rng(0)
    usable = [row for row in range(len(pack)) if is_usable(pack.keypoints[row])]
    maps, joints = [], []
    while len(maps) < count:
        row = usable[len(maps) % len(usable)]
        parsing, person = pack.parsing(row), pack.keypoints[row]
        height, width = parsing.shape
        if dice.random() < 0.5:
            parsing, person = parsing[:, ::-1], flip(person, width)
        scale, offset = dice.uniform(0.8, 1.2, 2), dice.uniform(-12, 12, 2)
        y, x = (
            ((np.arange(size) + 0.5) / scale[axis] + offset[axis]).astype(int)
            for axis, size in ((1, height), (0, width))
        )
        inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
        parsing = parsing[np.clip(y, 0, height - 1)[:, None], np.clip(x, 0, width - 1)] * inside.astype(np.uint8)
        person = person.copy()
        person[is_present(person), :2] += dice.normal(0, 2, (int(is_present(person).sum()), 2))
        person = move(person, offset=tuple(offset), scale=tuple(scale), size=(width, height))
        if is_usable(person):
            small, moved = shrink(parsing, person)
            maps.append(small)
            joints.append(moved)
    return Gallery(np.stack(maps), np.stack(joints))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("data/pack/source.h5"))
    parser.add_argument("--candidates", type=int, default=5000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--full", type=int, default=50, help="queries that are searched in full as well")
    args = parser.parse_args()
    knobs = load().domain("source").pseudo_labels
    gallery = vary(Pack(args.pack), args.candidates)

    start = time.process_time()
    lists = list(shortlists(gallery, nearest=knobs.nearest, likely=knobs.likely, min_change=knobs.min_change))
    listing = time.process_time() - start
    start = time.process_time()
    best = [int(costs(gallery[[query]], gallery[lists[query]]).min()) for query in range(args.queries)]
    searching = time.process_time() - start

    start, found = time.process_time(), 0
    for query in range(args.full):
        others = np.flatnonzero(pose_distances(gallery.joints[[query]], gallery.joints)[0] >= knobs.min_change)
        others = others[others != query]
        true = min(int(costs(gallery[[query]], gallery[rows]).min()) for rows in np.array_split(others, 20))
        found += best[query] == true
    whole = time.process_time() - start
    print_table(
        ["", "CPU seconds", "ms a query", "queries"],
        [
            ["whom to compare", f"{listing:.1f}", f"{1000 * listing / len(gallery):.1f}", str(len(gallery))],
            ["compared in full", f"{searching:.1f}", f"{1000 * searching / args.queries:.1f}", str(args.queries)],
            ["all compared in full", f"{whole:.1f}", f"{1000 * whole / max(args.full, 1):.1f}", str(args.full)],
        ],
    )
    mean = np.mean([len(rows) for rows in lists])
    print(f"\n{mean:.0f} candidates a query; the true minimum was found for {found} of {args.full} queries")


if __name__ == "__main__":
    main()
