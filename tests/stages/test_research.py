"""The report's section of research questions: what `experiments/results` holds, escaped, or nothing."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline import params as params_module
from pipeline.imports import ROOT
from pipeline.run import Job
from stages import report
from stages.artifacts import DATA

EVIL = "a\"><script>alert('x')</script>"


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Job("report", "", params_module.load(ROOT / "params.yaml"))


def test_findings_stand_in_the_page_and_in_the_tables(job, tmp_path):
    folder = tmp_path / "experiments" / "results"
    folder.mkdir(parents=True)
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(folder / "plot.png")
    tables = {"Ours": {EVIL: {"SSIM": {"value": 0.25, "low": 0.2, "high": 0.3}, "words": "none"}, "b": {"n": 3.0}}}
    for number in (2, 1):
        told = {
            "title": f"{number}. Title",
            "told": "protocol plain",
            "reading": [f"It holds 0 {EVIL}."],
            "tables": tables,
        }
        (folder / f"z{number}.json").write_text(
            json.dumps(told | {"figures": {"plot.png": "A plot", "gone.png": "Gone"}})
        )
    report.run(job)
    page, text = ((DATA / "report" / name).read_text() for name in ("index.html", "tables.md"))
    assert 'id="research"' in page
    assert EVIL not in page
    assert page.index("1. Title") < page.index("2. Title")
    assert page.count("A plot</figcaption>") == 2
    assert "Gone" not in page
    assert '<span class="value">0.25</span> <span class="interval">0.2 to 0.3</span>' in page
    assert "It holds 0" in text


def test_without_experiments_there_is_no_section(job):
    report.run(job)
    page = (DATA / "report" / "index.html").read_text()
    assert 'id="research"' not in page
    assert 'href="#research"' not in page
