"""Charts of results, small PNGs that read well on light and dark pages: one look for all of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from experiments.settings import scored_folder, trained_folder
from experiments.tables import RESULTS
from models.metrics.intervals import Interval

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PAPER, INK, SOFT = "#faf9f6", "#16181e", "#8b8d95"
COLOURS = ("#12897d", "#d9532f", "#7a55c7", "#b98300", "#3b6fb6", "#8b8d95", "#5b8c2a", "#a03d6b")
_DPI = 110

Curve = Mapping[float, Interval]


def panels(count: int, *, width: float = 4.6, height: float = 3.4) -> tuple[Any, list[Axes]]:
    """A figure with `count` charts beside each other."""
    figure, axes = plt.subplots(1, count, figsize=(width * count, height), squeeze=False, layout="constrained")
    figure.set_facecolor(PAPER)
    for axis in axes[0]:
        axis.set_facecolor(PAPER)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, colors=INK)
    return figure, list(axes[0])


def draw_curves(axis: Axes, curves: Mapping[str, Curve], *, x: str, y: str, level: Mapping[str, float] = {}) -> None:
    """Lines with their 95 % bands, and dotted levels of what does not vary."""
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        places = list(curve)
        axis.plot(places, [curve[place].value for place in places], "o-", color=colour, label=name, ms=3.5, lw=1.6)
        low, high = [curve[place].low for place in places], [curve[place].high for place in places]
        axis.fill_between(places, low, high, color=colour, alpha=0.14, lw=0)
    for (name, value), colour in zip(level.items(), reversed(COLOURS[:6]), strict=False):
        axis.axhline(value, color=colour, ls=":", lw=1.3, label=name)
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.legend(fontsize=7.5, frameon=False)


def draw_heat(axis: Axes, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], title: str) -> None:
    """A matrix with its numbers."""
    axis.imshow(values, cmap="GnBu", aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=7.5)
    axis.set_yticks(range(len(rows)), rows, fontsize=7.5)
    middle = np.nanmin(values) + 0.6 * np.ptp(values[np.isfinite(values)])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > middle else INK
            said = f"{value:.2g}" if abs(value) >= 0.005 else "0"
            axis.text(column, row, said, ha="center", va="center", fontsize=6.5, color=colour)
    axis.set_title(title, fontsize=9)
    axis.spines[:].set_visible(False)


def write(figure: Any, name: str) -> str:
    """Save results/<name>.png without dates, so that the same numbers give the same bytes; the file's name."""
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=_DPI, metadata={"Software": None})
    plt.close(figure)
    return f"{name}.png"


def logged(group: str, name: str, metric: str) -> dict[int, float]:
    """A row's curve of a metric that its training logged."""
    history = json.loads((trained_folder(group, name) / "curves.json").read_text())
    return {int(step): values[metric] for step, values in history.items() if metric in values}


def write_strips(rows: Mapping[str, Path], name: str, *, height_px: int = 96) -> str:
    """results/<name>.png: for each title a strip of pictures, one strip below the other; the file's name."""
    strips = [Image.open(path).convert("RGB") for path in rows.values()]
    strips = [strip.resize((round(strip.width * height_px / strip.height), height_px)) for strip in strips]
    left = 150
    sheet = Image.new("RGB", (left + max(strip.width for strip in strips), height_px * len(strips)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (title, strip) in enumerate(zip(rows, strips, strict=True)):
        sheet.paste(strip, (left, place * height_px))
        draw.text((8, place * height_px + height_px // 2 - 6), title, INK)
    RESULTS.mkdir(exist_ok=True)
    # 192 colours: a third of the size, and nothing is seen of it.
    sheet.quantize(192, dither=Image.Dither.NONE).save(RESULTS / f"{name}.png", optimize=True)
    return f"{name}.png"


def shown(group: str, name: str) -> Path:
    """The strip of pictures that was kept of a row."""
    return scored_folder(group, name) / "shown.png"
