"""Held-out pairs to look at closely: the best, the median and the worst of every method, and evenly spread ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import pandas as pd
from PIL import Image

from pipeline.packed import Pack
from pipeline.shards import ShardReader
from stages import artifacts
from stages.drawing import blank, draw_skeleton
from stages.report.words import spoken
from stages.sheets import choose

# Pairs are ordered by this score; the others of these stand beside the pictures.
METRIC = "ssim_mask"
TOLD = (METRIC, "joint_error_px", "likeness_lite0")
_SPREAD = 6
PLACES = ("best", "median", "worst")


@dataclass(frozen=True)
class Pair:
    """A pair, what it is of which methods (best, median, worst; of none: evenly spread), and every method's scores."""

    source: str
    target: str
    places: dict[str, list[str]]
    scores: dict[str, dict[str, float]]

    @property
    def rule(self) -> str:
        """In words: `best of ADGAN and PG2, worst of SPT`."""
        told = []
        for place, methods in self.places.items():
            *first, last = map(spoken, methods)
            told.append(f"{place} of {', '.join(first)}{' and ' if first else ''}{last}")
        return ", ".join(told) or "evenly spread"


@dataclass(frozen=True)
class Board:
    """The chosen pairs of a domain, and where their pictures are."""

    domain: str
    protocol: str
    methods: list[str]
    pairs: list[Pair]
    packed: Pack
    generated: dict[str, ShardReader]

    def source(self, pair: Pair) -> Image.Image:
        """The picture that the method was shown."""
        return Image.fromarray(self.packed.image(self.packed.names.index(pair.source)))

    def target(self, pair: Pair) -> Image.Image:
        """The picture that it should have drawn."""
        return Image.fromarray(self.packed.image(self.packed.names.index(pair.target)))

    def pose(self, pair: Pair) -> Image.Image:
        """The pose that it was given, on a dark ground."""
        joints = self.packed.keypoints[self.packed.names.index(pair.target)]
        return Image.fromarray(draw_skeleton(blank(*self.packed.size), joints))

    def result(self, pair: Pair, method: str) -> Image.Image | None:
        """What it drew; None where the method was not scored on this pair."""
        data = self.generated[method].get(f"{pair.source}___{pair.target}")
        return Image.open(BytesIO(data)).convert("RGB") if data else None


def read_board(domain: str, methods: Sequence[str]) -> Board | None:
    """The pairs to look at; None where nothing was generated, or its pack is gone."""
    tables, generated = [], {}
    for method in methods:
        scores = artifacts.artifact("evaluate", method, "pairs.parquet")
        pictures = artifacts.artifact("evaluate", method, "generated") / domain
        table = pd.read_parquet(scores) if scores.is_file() else pd.DataFrame()
        # A domain without test pairs has neither rows nor pictures; without any the table has no columns.
        if METRIC in table and pictures.is_dir():
            tables.append(table[(table["domain"] == domain) & (table["method"] == method)])
            generated[method] = ShardReader(pictures)
    if not artifacts.pack(domain).is_file() or not any(len(table) for table in tables):
        return None
    table = pd.concat(tables)
    protocol = str(table["protocol"].iloc[0])
    table = table[table["protocol"] == protocol]
    packed = Pack(artifacts.pack(domain))
    table = table[table["from"].isin(packed.names) & table["to"].isin(packed.names)]
    pairs = [Pair(*pair, places, _scores(table, pair)) for pair, places in choose_pairs(table, list(generated)).items()]
    return Board(domain, protocol, list(generated), pairs, packed, generated) if pairs else None


def choose_pairs(scores: pd.DataFrame, methods: Sequence[str]) -> dict[tuple[str, str], dict[str, list[str]]]:
    """Pairs (from, to) and what they are of which methods, from a table with `method`, `from`, `to` and the score."""
    chosen: dict[tuple[str, str], dict[str, list[str]]] = {}
    for place in PLACES:
        for method in methods:
            ours = scores[scores["method"] == method].dropna(subset=[METRIC]).sort_values([METRIC, "from", "to"])
            if len(ours):
                row = ours.iloc[{"best": len(ours) - 1, "median": len(ours) // 2, "worst": 0}[place]]
                chosen.setdefault((row["from"], row["to"]), {}).setdefault(place, []).append(method)
    for pair in choose(set(zip(scores["from"], scores["to"], strict=True)), _SPREAD):
        chosen.setdefault(pair, {})
    return chosen


def _scores(table: pd.DataFrame, pair: tuple[str, str]) -> dict[str, dict[str, float]]:
    rows = table[(table["from"] == pair[0]) & (table["to"] == pair[1])]
    told = [metric for metric in TOLD if metric in table]
    return {
        row["method"]: {metric: float(row[metric]) for metric in told if pd.notna(row[metric])}
        for _, row in rows.iterrows()
    }
