"""The stages in order, as a drawing: how long each took when it last ran, and how much of it was kept from before."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup, escape

# Stages side by side depend on each other in nothing; each depends on all of the column before.
COLUMNS = (
    *(("figures",), ("ingest",), ("crop",), ("keypoints", "parsing", "edges"), ("pairs",), ("pack", "pseudo_labels")),
    *(("pretrain",), ("finetune",), ("evaluate",), ("results",), ("report",)),
)
_WIDE, _HIGH, _GAP_X, _GAP_Y = 106, 54, 18, 12


def duration(seconds: float) -> str:
    """Such as `0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def draw_flow(durations: Sequence[dict[str, Any]], *, without: Collection[str] = ()) -> Markup:
    """A box for each stage; the bar is its share of the longest one's time, faint where results were kept."""
    columns = [[name for name in names if name not in without] for names in COLUMNS]
    stages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in durations:
        stages[record["stage"]].append(record)
    longest = max((sum(run["seconds"] for run in runs) for runs in stages.values()), default=0) or 1.0
    most = max(map(len, columns))
    height = most * (_HIGH + _GAP_Y) - _GAP_Y
    places = {
        name: (
            column * (_WIDE + _GAP_X),
            (height - len(names) * (_HIGH + _GAP_Y) + _GAP_Y) / 2 + row * (_HIGH + _GAP_Y),
        )
        for column, names in enumerate(columns)
        for row, name in enumerate(names)
    }
    parts = [
        _edge(places[before], places[after]) for left, right in pairwise(columns) for before in left for after in right
    ]
    parts += [_box(name, place, stages.get(name, []), longest) for name, place in places.items()]
    width = len(columns) * (_WIDE + _GAP_X) - _GAP_X
    return Markup('<svg class="dag" viewBox="-1 -1 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width + 2, height + 2, "The stages in order and how long each took", Markup("").join(parts)
    )


def kept(runs: Sequence[dict[str, Any]]) -> float | None:
    """The share of the items that were not computed anew; None for a stage that does not count them."""
    counted = [run for run in runs if "computed" in run and run.get("items")]
    items = sum(run["items"] for run in counted)
    return 1 - sum(run["computed"] for run in counted) / items if items else None


def _edge(start: tuple[float, float], end: tuple[float, float]) -> Markup:
    x, y, x1, y1 = start[0] + _WIDE, start[1] + _HIGH / 2, end[0], end[1] + _HIGH / 2
    bend = _GAP_X / 2
    return Markup(f'<path d="M{x} {y}C{x + bend} {y} {x1 - bend} {y1} {x1} {y1}"/>')


def _box(name: str, place: tuple[float, float], runs: Sequence[dict[str, Any]], longest: float) -> Markup:
    x, y = place
    seconds, share = sum(run["seconds"] for run in runs), kept(runs)
    said = duration(seconds) if runs else "this page" if name == "report" else "has not run"
    width = max(2.0, (_WIDE - 16) * seconds / longest) if runs else 0
    done = width * (1 - (share or 0))
    title = f"{name}: {said}" + (f", {share:.0%} of its items were kept from before" if share is not None else "")
    return Markup(
        f'<g class="{"ran" if runs else "idle"}"><title>{escape(title)}</title>'
        f'<rect class="box" x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="7"/>'
        f'<text class="name" x="{x + 8}" y="{y + 18}">{escape(name)}</text>'
        f'<text x="{x + 8}" y="{y + 34}">{escape(said)}</text>'
        f'<rect class="kept" x="{x + 8}" y="{y + 42}" width="{width:.1f}" height="5" rx="2.5"/>'
        f'<rect class="done" x="{x + 8}" y="{y + 42}" width="{done:.1f}" height="5" rx="2.5"/></g>'
    )
