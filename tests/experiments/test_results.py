"""What the experiments left in git: small, readable by the report, and saying no more than the intervals do."""

import json
import math

import pytest

from experiments.settings import HERE
from experiments.tables import PAGES, Result, cell, markdown, read_results, said, verdict
from models.metrics.intervals import Interval
from stages.report.research import read_findings, spell

RESULTS = sorted((HERE / "results").glob("*.json"))


def test_a_difference_around_nothing_says_so():
    assert verdict(Interval(0.01, -0.02, 0.04, 9, 3)) == "+0.01 (-0.02 to +0.04), an interval that holds 0"
    assert verdict(Interval(-0.03, -0.04, -0.02, 9, 3)) == "-0.03 (-0.04 to -0.02)"
    assert "holds 0" in verdict(Interval(0.5, math.nan, math.nan, 1, 0))
    assert said(Interval(0.123456, 0.1, 0.2, 9, 3)) == "0.1235 (0.1 to 0.2)"


def test_cells_are_json():
    assert cell(Interval(math.nan, math.nan, math.nan, 0, 0)) == "–"
    assert cell(Interval(2.0, math.nan, math.nan, 5, 0)) == 2.0
    assert cell(Interval(2.0, 1.0, 3.0, 5, 5)) == {"value": 2.0, "low": 1.0, "high": 3.0}
    json.dumps(cell(Interval(2.0, 1.0, 3.0, 5, 5)), allow_nan=False)


def test_markdown_has_every_row_and_column():
    result = Result(
        "T", "told", ["A sentence."], {"caption": {"a": {"x": 1.0}, "b": {"y": {"value": 2.0, "low": 1, "high": 3}}}}
    )
    text = markdown(vars(result))
    assert "| a | 1 |  |" in text
    assert "| b |  | 2 (1 to 3) |" in text


def test_the_report_reads_what_is_written(tmp_path):
    told = Result(
        "Z",
        "told",
        ["One."],
        {"caption": {"a": {"x": {"value": 2.0, "low": 1.0, "high": 3.0}}}},
        {"gone.png": "not there"},
    )
    (tmp_path / "z.json").write_text(json.dumps(vars(told)))
    (finding,) = read_findings(tmp_path)
    assert finding.columns("caption") == ["x"]
    assert finding.figures == []
    assert spell(finding.tables["caption"]["a"]["x"]) == ("2", "1 to 3")
    assert read_findings(tmp_path / "nothing") == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_in_git(path):
    told = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{path} holds {name}"))
    assert told["reading"]
    assert all(sentence.endswith(".") for sentence in told["reading"])
    for name in told["figures"]:
        assert (path.parent / name).stat().st_size < 200_000, name
    assert any(path.stem in names for names in PAGES.values())


def test_pages_read_what_is_there(tmp_path):
    assert read_results(tmp_path, "questions") == {}
