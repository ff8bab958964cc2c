"""One self-contained page about what the project did, `data/report/index.html`, and its tables as Markdown.

The page opens from disk and asks the network for nothing. Its one script only moves what the page shows anyway.
"""

import base64
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline.people.labels import LABELS, PALETTE
from pipeline.run import Job
from stages.artifacts import DATA
from stages.report import charts, facts, research, scores
from stages.report.flow import duration
from stages.report.words import brief, spoken

MOST_BYTES = 15_000_000


@dataclass(frozen=True)
class Look:
    """How large pictures may be: the widest sheet, the JPEG quality, the widest picture of a pair."""

    sheet_px: int
    quality: int
    tile_px: int


# The first look whose page is small enough is taken.
_LOOKS = (Look(1700, 88, 176), Look(1400, 82, 176), Look(1100, 75, 144), Look(800, 65, 112), Look(600, 50, 88))


def run(job: Job) -> None:
    """Write page and tables; they show what there is, and the page names what is missing."""
    gathered = facts.gather(job.params)
    for look in _LOOKS:
        page = render(gathered, look)
        if len(page.encode()) < MOST_BYTES:
            break
    _write(DATA / "report" / "index.html", page)
    _write(DATA / "report" / "tables.md", render_tables(gathered))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text)
    os.replace(partial, path)


def render(gathered: facts.Facts, look: Look = _LOOKS[0]) -> str:
    """The page as HTML with every picture inside; text from outside is escaped."""
    environment = _environment(autoescape=True)
    script = Path(__file__).with_name("explorer.js").read_text()
    environment.globals |= {
        "embed": lambda path: embed(Image.open(path), look.sheet_px, look.quality),
        "embed_tile": lambda picture: embed(picture, look.tile_px, look.quality),
        "labels": [(name, PALETTE[index].tolist()) for index, name in enumerate(LABELS)],
        "script": Markup(script),  # our own file, not text from outside
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template("page.html.j2").render(facts=gathered)


def render_tables(gathered: facts.Facts) -> str:
    """Counts, accuracies and scores as Markdown; without times, so that the same numbers give the same text."""
    text = _environment(autoescape=False).get_template("tables.md.j2").render(facts=gathered)
    lines = [line.rstrip() for line in text.splitlines()]
    # Loops of the template leave blank lines: one between blocks is enough, and none inside a table.
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip() + "\n"


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("stages.report", ""),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"spoken": spoken, "brief": brief, "number": charts.number, "score": charts.score}
    environment.filters |= {"duration": duration, "cell": _cell, "spelled": research.spell}
    environment.tests["with_interval"] = scores.has_interval
    environment.globals |= {"baselines": scores.BASELINES, "smaller": scores.SMALLER_IS_BETTER}
    return environment


def embed(picture: Image.Image, width: int, quality: int) -> dict[str, str | int]:
    """`src` (a data URL), `width` and `height` of the picture, no wider than `width`; PNG where that is smaller."""
    with picture:
        shown = picture.convert("RGB")
    if shown.width > width:
        shown = shown.resize((width, max(1, round(shown.height * width / shown.width))), Image.Resampling.LANCZOS)
    kind, data = min((_encode(shown, kind, quality) for kind in ("JPEG", "PNG")), key=lambda pair: len(pair[1]))
    text = base64.b64encode(data).decode()
    return {"src": f"data:image/{kind.lower()};base64,{text}", "width": shown.width, "height": shown.height}


def _encode(picture: Image.Image, kind: str, quality: int) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if kind == "JPEG" else {"compress_level": 6}
    picture.save(buffer, kind, **options)
    return kind, buffer.getvalue()


def _cell(text: str) -> str:
    """The text as it may stand in a table of Markdown: on one line, its signs meaning nothing."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#!" else letter for letter in " ".join(str(text).split()))
