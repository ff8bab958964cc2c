"""What was printed of the field's systems, by protocol: other pictures than ours, and so a table of its own."""

import csv
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """The figures of one protocol: `rows` of a method, its values in the order of `metrics`, and the source."""

    protocol: str
    metrics: list[str]
    rows: list[tuple[str, list[str], str]]


def read_published() -> list[Published]:
    """The tables, one per protocol, with the metrics that anybody printed under it."""
    with _FILE.open(newline="") as file:
        lines = list(csv.DictReader(file))
    tables = []
    for protocol in dict.fromkeys(line["protocol"] for line in lines):
        of_it = [line for line in lines if line["protocol"] == protocol]
        known = [name for name in of_it[0] if name not in ("protocol", "method", "source")]
        metrics = [name for name in known if any(line[name] for line in of_it)]
        rows = [(line["method"], [line[name] for name in metrics], line["source"]) for line in of_it]
        tables.append(Published(protocol, metrics, rows))
    return tables
