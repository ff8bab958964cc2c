"""Held-out pairs to look at closely: the best, the median and the worst of every method, and evenly spread ones."""

from collections import defaultdict
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
_SPREAD_RULE = "evenly spread"


@dataclass(frozen=True)
class Pair:
    """A pair, by which rules it was chosen, and every method's scores of it."""

    source: str
    target: str
    rules: list[str]
    scores: dict[str, dict[str, float]]

    @property
    def rule(self) -> str:
        """The rules in words: `best of ADGAN, worst of PG2`."""
        return ", ".join(self.rules)


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
        if scores.is_file() and pictures.is_dir():
            table = pd.read_parquet(scores)
            tables.append(table[(table["domain"] == domain) & (table["method"] == method)])
            generated[method] = ShardReader(pictures)
    if not artifacts.pack(domain).is_file() or not any(len(table) for table in tables):
        return None
    table = pd.concat(tables)
    protocol = str(table["protocol"].iloc[0])
    table = table[table["protocol"] == protocol]
    packed = Pack(artifacts.pack(domain))
    table = table[table["from"].isin(packed.names) & table["to"].isin(packed.names)]
    pairs = [Pair(*pair, rules, _scores(table, pair)) for pair, rules in choose_pairs(table, list(generated)).items()]
    return Board(domain, protocol, list(generated), pairs, packed, generated) if pairs else None


def choose_pairs(scores: pd.DataFrame, methods: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Pairs (from, to) with the rules that chose them, from a table with `method`, `from`, `to` and the score."""
    rules: dict[tuple[str, str], list[str]] = defaultdict(list)
    for method in methods:
        ours = scores[scores["method"] == method].dropna(subset=[METRIC]).sort_values([METRIC, "from", "to"])
        for name, place in (("best", len(ours) - 1), ("median", len(ours) // 2), ("worst", 0)) if len(ours) else ():
            row = ours.iloc[place]
            rules[row["from"], row["to"]].append(f"{name} of {spoken(method)}")
    for pair in choose(set(zip(scores["from"], scores["to"], strict=True)), _SPREAD):
        rules[pair].append(_SPREAD_RULE)
    return dict(rules)


def _scores(table: pd.DataFrame, pair: tuple[str, str]) -> dict[str, dict[str, float]]:
    rows = table[(table["from"] == pair[0]) & (table["to"] == pair[1])]
    told = [metric for metric in TOLD if metric in table]
    return {
        row["method"]: {metric: float(row[metric]) for metric in told if pd.notna(row[metric])}
        for _, row in rows.iterrows()
    }
