"""What the experiments found: `experiments/results/*.json`, each with its sentences, tables and figures."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path("experiments") / "results"


@dataclass(frozen=True)
class Finding:
    """One question, or one table of a seed. A cell is a number with its interval, a number, or words."""

    title: str
    told: str
    reading: list[str]
    tables: dict[str, dict[str, dict[str, Any]]]
    figures: list[tuple[Path, str]]

    def columns(self, caption: str) -> list[str]:
        """The columns of a table, in the order of their first row."""
        return list(dict.fromkeys(column for row in self.tables[caption].values() for column in row))


def read_findings(folder: Path = RESULTS) -> list[Finding]:
    """The findings by title; none where the experiments have not run."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted((_finding(folder, each) for each in found), key=lambda finding: finding.title)


def _finding(folder: Path, told: dict[str, Any]) -> Finding:
    figures = [(folder / name, caption) for name, caption in told["figures"].items() if (folder / name).is_file()]
    return Finding(told["title"], told["told"], told["reading"], told["tables"], figures)


def spell(cell: Any) -> tuple[str, str]:
    """(the number or the words, the interval or nothing)."""
    if isinstance(cell, dict):
        return f"{cell['value']:.4g}", f"{cell['low']:.4g} to {cell['high']:.4g}"
    return (cell if isinstance(cell, str) else f"{cell:.4g}"), ""
