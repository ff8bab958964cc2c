"""Results of experiments: one JSON each, and pages of Markdown made of them.

Run as `python -m experiments.tables questions`. A cell is a number with its interval, a number, or words.
"""

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.settings import HERE
from models.metrics.intervals import Interval

RESULTS = HERE / "results"

PAGES = {
    "questions": ("transfer", "pictures", "people", "separation", "cost"),
    "ablations": ("seed_001", "seed_002", "seed_003", "seed_004"),
}
TITLES = {"questions": "Research questions", "ablations": "The tables of the seeds on rendered people"}

Cell = dict[str, float] | float | str
Table = dict[str, dict[str, Cell]]  # row -> column -> cell


@dataclass
class Result:
    """What an experiment found, as its JSON holds it."""

    title: str
    told: str  # what the numbers depend on: protocol, pictures, what intervals are drawn over
    reading: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)  # by caption
    figures: dict[str, str] = field(default_factory=dict)  # file in results/ -> caption

    def write(self, name: str) -> None:
        """Write results/<name>.json."""
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def cell(interval: Interval) -> Cell:
    """A number with its interval, as a table holds it; the number alone where there is no interval."""
    if not math.isfinite(interval.value):
        return "–"
    if not math.isfinite(interval.low):
        return _short(interval.value)
    return {"value": _short(interval.value), "low": _short(interval.low), "high": _short(interval.high)}


def holds_zero(interval: Interval) -> bool:
    """Does the interval hold 0, or is there none?"""
    return not (interval.low > 0 or interval.high < 0)


def said(interval: Interval, *, signed: bool = False) -> str:
    """The number and its interval, as a sentence has it."""
    sign = "+" if signed else ""
    text = f"{_short(interval.value):{sign}.4g}"
    if not math.isfinite(interval.low):
        return text
    return f"{text} ({_short(interval.low):{sign}.4g} to {_short(interval.high):{sign}.4g})"


def verdict(interval: Interval) -> str:
    """A difference with what may be said of it."""
    return said(interval, signed=True) + (", an interval that holds 0" if holds_zero(interval) else "")


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def markdown(result: Mapping[str, Any], level: int = 2) -> str:
    """A result as Markdown."""
    lines = [f"{'#' * level} {result['title']}", "", result["told"], ""]
    lines += [sentence + "\n" for sentence in result["reading"]]
    for caption, table in result["tables"].items():
        columns = list(dict.fromkeys(column for row in table.values() for column in row))
        lines += [f"**{caption}**", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        lines += [
            f"| {name} | {' | '.join(spell(row.get(column, '')) for column in columns)} |"
            for name, row in table.items()
        ]
        lines += [""]
    lines += [f"![{caption}]({name})\n" for name, caption in result["figures"].items()]
    return "\n".join(lines)


def spell(value: Cell) -> str:
    """A cell as text."""
    if isinstance(value, dict):
        return f"{value['value']:.4g} ({value['low']:.4g} to {value['high']:.4g})"
    return value if isinstance(value, str) else f"{value:.4g}"


def read_results(folder: Path, page: str) -> dict[str, dict[str, Any]]:
    """The results of a page that are there, by name."""
    paths = {name: folder / f"{name}.json" for name in PAGES[page]}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def main(argv: list[str] | None = None) -> None:
    """Write results/<page>.md."""
    parser = argparse.ArgumentParser(prog="python -m experiments.tables", description="Write a page of results.")
    parser.add_argument("page", choices=tuple(PAGES))
    page = parser.parse_args(argv).page
    told = [f"# {TITLES[page]}\n"] + [markdown(result) for result in read_results(RESULTS, page).values()]
    (RESULTS / f"{page}.md").write_text("\n".join(told).rstrip() + "\n")


if __name__ == "__main__":
    main()
