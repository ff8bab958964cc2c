"""Small drawings of the report as inline SVG; their colours come from the page's style sheet."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 20
_MOST_POINTS = 240
_SMOOTHED_FROM = 40


def number(value: float) -> str:
    """The value with four meaningful digits or fewer, without trailing zeros."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.1e}"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def score(value: float, *, signed: bool = False) -> str:
    """The value with three decimals, two from 10 on, so that the numbers of a column compare; `signed` shows a plus."""
    text = f"{value:{'+' if signed else ''}.{3 if abs(value) < 10 else 2}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def whisker(value: float, low: float, high: float, *, start: float, end: float) -> Markup:
    """A dot at `value` on its interval, on an axis from `start` to `end`."""
    span = end - start or 1.0
    x, x0, x1 = (4 + 112 * (place - start) / span for place in (value, low, high))
    return Markup(
        '<svg class="whisker" viewBox="0 0 120 12" aria-hidden="true">'
        '<line class="rail" x1="0" x2="120" y1="6" y2="6"/>'
        f'<line class="span" x1="{x0:.1f}" x2="{x1:.1f}" y1="6" y2="6"/><circle cx="{x:.1f}" cy="6" r="3.6"/></svg>'
    )


def curve(series: Mapping[str, Points]) -> Markup:
    """Lines of value over step, one per name; a long one is drawn faint, with its running mean over it."""
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in series.items()}
    shown = {name: _thin(points) for name, points in finite.items() if points}
    values = sorted(y for points in shown.values() for _, y in points)
    if not values:
        return Markup("")
    # One wild step must not flatten the rest of the line.
    low, high = values[0], values[min(len(values) - 1, math.ceil(0.99 * len(values)))]
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    last = max(x for points in shown.values() for x, _ in points) or 1
    parts = [_frame(low, high, last)]
    for index, points in enumerate(shown.values()):
        places = [_place(x, y, low, high, last) for x, y in points]
        if len(points) >= _SMOOTHED_FROM:
            parts.append(_line(places, f"faint s{index % 4}"))
            places = [_place(x, y, low, high, last) for x, y in _smooth(points)]
        parts.append(_line(places, f"s{index % 4}") if len(places) > 1 else _point(places[0], f"s{index % 4}"))
    body = Markup("").join(parts)
    return Markup('<svg class="curve" viewBox="0 0 {} {}" role="img">{}</svg>').format(_WIDTH, _HEIGHT, body)


def _place(x: float, y: float, low: float, high: float, last: float) -> tuple[float, float]:
    across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / last
    up = min(1.0, max(0.0, (y - low) / (high - low)))
    return across, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * up


def _frame(low: float, high: float, last: float) -> Markup:
    parts = []
    for value in (low, (low + high) / 2, high):
        _, y = _place(0, value, low, high, last)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(value)}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 5}">0</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 5}" text-anchor="end">step {last:,.0f}</text>')
    return Markup("".join(parts))


def _line(places: Points, kind: str) -> Markup:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Markup(f'<polyline class="{kind}" points="{points}"/>')


def _point(place: tuple[float, float], kind: str) -> Markup:
    return Markup(f'<circle class="{kind}" cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3"/>')


def _thin(points: Points) -> list[tuple[float, float]]:
    """Means over equal runs of points, so that no line has more than some hundred."""
    run = -(-len(points) // _MOST_POINTS)
    groups = [points[start : start + run] for start in range(0, len(points), run)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _smooth(points: Points) -> list[tuple[float, float]]:
    """A centred mean over a tenth of the line."""
    reach = max(1, len(points) // 20)
    out = []
    for index, (x, _) in enumerate(points):
        near = [y for _, y in points[max(0, index - reach) : index + reach + 1]]
        out.append((x, sum(near) / len(near)))
    return out


def histogram(values: NDArray[np.float64], low: float, high: float, ticks: Sequence[str], *, bins: int = 20) -> Markup:
    """Bars of how many values lie where between `low` and `high`, the ends holding what is beyond."""
    counts, _ = np.histogram(np.clip(values, low, high), bins, (low, high))
    most, floor = max(int(counts.max()), 1), _HEIGHT - _BOTTOM
    step = _WIDTH / bins
    parts = [f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>']
    for index, count in enumerate(counts):
        tall = (floor - _TOP) * int(count) / most
        if count:
            shape = f'x="{index * step + 1:.1f}" y="{floor - tall:.1f}" width="{step - 2:.1f}" height="{tall:.1f}"'
            parts.append(f'<rect class="s0" {shape}><title>{count}</title></rect>')
    for index, tick in enumerate(ticks):
        x = _WIDTH * index / (len(ticks) - 1)
        anchor = "start" if index == 0 else "end" if index == len(ticks) - 1 else "middle"
        parts.append(f'<text x="{x:.0f}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{escape(tick)}</text>')
    return Markup(f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>')
