"""One self-contained page about what the project did: `data/report/index.html`, openable from disk."""

import base64
import io
import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from pipeline.people.labels import LABELS, PALETTE
from pipeline.run import Job
from stages.artifacts import DATA
from stages.report import charts, facts
from stages.report.words import spoken

MOST_BYTES = 15_000_000
# Widest picture and JPEG quality: the first pair whose page is small enough is taken.
_LOOKS = ((1700, 88), (1400, 82), (1100, 75), (800, 65))


def run(job: Job) -> None:
    """Write the page; it shows what there is and names what is missing."""
    gathered = facts.gather(job.params)
    for width, quality in _LOOKS:
        page = render(gathered, width=width, quality=quality).encode()
        if len(page) < MOST_BYTES:
            break
    path = DATA / "report" / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(page)
    os.replace(partial, path)


def render(gathered: facts.Facts, *, width: int = 1700, quality: int = 88) -> str:
    """The page as HTML with every picture inside; text from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("stages.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"spoken": spoken, "number": charts.number, "score": charts.score, "duration": duration}
    environment.tests["with_interval"] = facts.has_interval
    environment.globals["embed"] = lambda path: embed(path, width=width, quality=quality)
    environment.globals["baselines"] = facts.BASELINES
    environment.globals["labels"] = [(name, PALETTE[index].tolist()) for index, name in enumerate(LABELS)]
    return environment.get_template("page.html.j2").render(facts=gathered)


def embed(path: Path, *, width: int, quality: int) -> dict[str, str | int]:
    """`src` (a data URL), `width` and `height` of the picture, no wider than `width`; PNG where that is smaller."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    best = min((_encode(picture, kind, quality) for kind in ("JPEG", "PNG")), key=lambda pair: len(pair[1]))
    text = base64.b64encode(best[1]).decode()
    return {"src": f"data:image/{best[0].lower()};base64,{text}", "width": picture.width, "height": picture.height}


def _encode(picture: Image.Image, kind: str, quality: int) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if kind == "JPEG" else {"compress_level": 6}
    picture.save(buffer, kind, **options)
    return kind, buffer.getvalue()


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
