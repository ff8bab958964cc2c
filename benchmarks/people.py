"""What the benchmarks work on: rendered people in any number, and how their results are printed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.people.skeleton import is_present
from pipeline.render import Figure, plan, render

WIDTH, HEIGHT = 176, 256


@dataclass(frozen=True)
class Person:
    """One picture (H, W, 3) with its label map (H, W) and joints (18, 3)."""

    id: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    joints: NDArray[np.float32]


def people(count: int, *, distinct: int = 24) -> Iterator[Person]:
    """`count` pictures: `distinct` renderings, and these again, moved sideways by some pixels."""
    specs = islice(plan("natural", people=-(-distinct // 6), poses=6, seed=660_001), min(distinct, count))
    figures = [render(spec) for spec in tqdm(list(specs), desc="rendering people", leave=False)]
    for index in range(count):
        yield _moved(figures[index % len(figures)], index // len(figures) % WIDTH, f"p{index:05d}")


def _moved(figure: Figure, right_px: int, name: str) -> Person:
    joints = figure.joints.astype(np.float32).copy()
    there = is_present(joints)
    joints[there, 0] = (joints[there, 0] + right_px) % (WIDTH - 1)
    return Person(name, np.roll(figure.image, right_px, axis=1), np.roll(figure.labels, right_px, axis=1), joints)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their content: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        first, *rest = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]))
