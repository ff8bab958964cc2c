import base64
import io
import json
import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from dvclive import Live
from PIL import Image

from pipeline import params as params_module
from pipeline import quarantine
from pipeline.imports import ROOT
from pipeline.run import Job
from stages import artifacts, report, sheets
from stages.report import charts, facts

EVIL = """a"><script>alert('x')</script><img src=http://bad onerror=x>.png"""


def _row(method, metric, value, **more):
    row = {"method": method, "domain": "source", "protocol": "plain", "split": "test", "pairs": 1240, "metric": metric}
    return row | {"value": value, "low": value - 0.01, "high": value + 0.02, "n": 1240} | more


ROWS = [
    _row("copy_source", "ssim_mask", 0.61),
    _row("adgan", "ssim_mask", 0.7),
    _row("adgan_pretrained", "ssim_mask", 0.65),
    _row("adgan", "l1", 0.08),
    _row("copy_source", "l1", 0.11),
    _row("oracle", "l1", 0.0),
    _row("adgan", "ssim_mask_minus_copy_source", 0.09),
    _row("adgan", "l1_minus_copy_source", -0.03),
    _row("adgan", EVIL, 0.5),
    _row("adgan", "undefined", float("nan")),
]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Job("report", "", params_module.load(ROOT / "params.yaml"))


@pytest.fixture
def job(empty, tmp_path):
    picture = np.full((256, 176, 3), (200, 30, 30), np.uint8)
    sheets.write_sheet(artifacts.sheet("crop", "source"), "Crop", [sheets.pictures({"a": picture})])
    grid = artifacts.artifact("evaluate", "adgan", "grids/source.png")
    grid.parent.mkdir(parents=True)
    Image.fromarray(np.tile(picture, (1, 12, 1))).save(grid)
    quarantine.write(artifacts.artifact("crop", "source", "quarantine.csv"), [(EVIL, f"bad <b>{EVIL}</b>")])
    stage = {"in": 1288, "out": 1288, "set_aside": 0}
    share = {"value": 0.972, "low": 0.966, "high": 0.977, "n": 3210, "groups": 48}
    source = {
        "persons": 48,
        "stages": {"ingest": stage, "crop": stage | {"out": 1287, "set_aside": 1}},
        "pairs": {"train": 1050, "val": 0, "test": 1240},
        "preprocessing": {"pckh": share, "miou": share | {"iou_skirt": 0.815}},
    }
    results = artifacts.DATA / "results" / "results.json"
    results.parent.mkdir()
    results.write_text(json.dumps({"domains": {"source": source}, "rows": ROWS}))
    with Live(str(artifacts.curves("pretrain", "adgan")), dvcyaml=None, report=None) as live:
        for step in range(60):
            live.log_metric("train/l1", 1 / (1 + step))
            live.log_metric("val/l1", 1.5 / (1 + step) if step else float("nan"))
            live.next_step()
        live.log_image("samples.png", picture)
    runs = [("crop", "source", 50, 1), ("crop", "source", 3, 2), ("pretrain", "adgan", 600, 3), ("report", "", 9, 4)]
    records = [dict(zip(("stage", "item", "seconds", "at"), run, strict=True)) for run in runs]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return empty


def _page(job):
    report.run(job)
    return (artifacts.DATA / "report" / "index.html").read_text()


class _Reader(HTMLParser):
    """Checks that tags close in order and gathers text, tags and what they point to."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.text += " " if tag in ("td", "th", "p", "dd", "h3") else ""
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in ("meta", "input", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if "style" not in self.open else ""


def test_the_page_is_self_contained_and_names_are_escaped(job):
    page = _page(job)
    read = _Reader(page)
    assert not {"script", "iframe", "link", "object", "embed"} & set(read.tags)
    assert all(link.startswith(("data:image/", "#")) for link in read.links)
    assert not re.search(r"url\(|@import", page)
    assert EVIL not in page
    assert escape(EVIL) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    assert EVIL in read.text


def test_it_says_what_was_counted_and_measured(job):
    text = " ".join(_Reader(_page(job)).text.split())
    for said in (
        "1,288 pictures of 48 people in 2 domains (source, target)",
        "paired into 1,050 examples",
        "1 set aside",
        "Protocol plain, 1,240 test pairs",
        "ADGAN 0.700 0.690 – 0.720 +0.090 vs copying",
        "ADGAN before fine-tuning 0.650 0.640 – 0.670",
        "copy the source 0.610 0.600 – 0.630",
        "+0.090 SSIM in the person's mask: ADGAN minus copy the source, pair by pair. 95 % interval +0.080 to +0.110.",
        "97.2 % PCKh@0.5 95 % interval 96.6 to 97.7 %, 3,210 joints in sight",
        "skirt 81.5 %",
        "10 min 03 s in all",
        "figures.people",
        "torch",
    ):
        assert said in text


def test_an_empty_project_gets_a_page_that_says_what_is_missing(empty):
    text = _Reader(_page(empty)).text
    for said in ("No generated pictures", "No scores", "No counts", "No contact sheets", "No curves", "No durations"):
        assert said in text
    assert "Nothing was set aside" not in text


def test_the_pictures_are_inside_and_whole(job):
    links = [link for link in _Reader(_page(job)).links if link.startswith("data:")]
    assert len(links) == 3
    for link in links:
        with Image.open(io.BytesIO(base64.b64decode(link.split(",")[1]))) as picture:
            picture.load()
            assert picture.width <= 1700


def test_a_page_that_would_be_too_large_gets_smaller_pictures(job, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (400, 1800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(artifacts.artifact("evaluate", "adgan", "grids/target.png"))
    large = len(_page(job))
    monkeypatch.setattr(report, "MOST_BYTES", large)
    assert len(_page(job)) < 0.9 * large


def test_tables_put_methods_first_and_mark_the_best():
    (table,) = facts.make_tables([row for row in ROWS if row["metric"] in ("ssim_mask", "l1")])
    assert [name for name, _ in table.rows] == ["adgan", "adgan_pretrained", "copy_source", "oracle"]
    assert table.metrics == ["ssim_mask", "l1"]
    best = [(name, metric) for name, cells in table.rows for metric, cell in cells.items() if cell.best]
    assert best == [("adgan", "ssim_mask"), ("adgan", "l1")]


@pytest.mark.parametrize(
    ("metric", "gain", "verdict"),
    [("ssim", 0.1, "better"), ("ssim", -0.1, "worse"), ("l1", 0.1, "worse"), ("l1", -0.1, "better"), ("l1", 0, "even")],
)
def test_a_gain_is_judged_by_its_interval(metric, gain, verdict):
    rows = [_row("adgan", metric, 0.5), _row("adgan", f"{metric}_minus_copy_source", gain)]
    (table,) = facts.make_tables(rows)
    assert table.rows[0][1][metric].gains == [facts.Gain("copy_source", rows[1], verdict)]


def test_an_undefined_score_is_left_out():
    (table,) = facts.make_tables(ROWS)
    assert "undefined" not in table.metrics
    assert facts.make_tables([_row("adgan", "ssim", float("nan"))]) == []


def test_protocols_domains_and_splits_never_share_a_table():
    rows = [_row("adgan", "ssim", 0.5, **change) for change in ({}, {"protocol": "padded"}, {"split": "val"})]
    tables = facts.make_tables([*rows, _row("adgan", "ssim", 0.5, domain="target")])
    assert len({(table.domain, table.protocol, table.split) for table in tables}) == len(tables) == 4


def test_curves_of_one_metric_share_a_chart(job):
    curves = facts.read_curves(artifacts.curves("pretrain", "adgan"), "pretrain", "adgan")
    ((name, lines, drawing),) = curves.charts
    assert (name, lines) == ("l1", ["train", "val"])
    assert drawing.count("<polyline") == 4
    assert "nan" not in drawing


def test_a_curve_goes_through_its_points():
    drawn = charts.curve({"l1": [(0, 1.0), (10, 3.0), (20, 2.0)]})
    (points,) = re.findall(r'class="s0" points="([^"]+)"', drawn)
    places = [tuple(map(float, point.split(","))) for point in points.split()]
    # The frame spans 46..312 across and 130..10 up.
    assert places == [(46, 130), (179, 10), (312, 70)]


def test_a_curve_without_a_finite_value_is_not_drawn():
    assert charts.curve({"l1": [(0, float("nan"))], "l2": []}) == ""


def test_a_whisker_lies_on_the_shared_axis():
    drawn = charts.whisker(0.5, 0.25, 1.0, start=0.0, end=1.0)
    assert 'x1="32.0" x2="116.0"' in drawn
    assert 'cx="60.0"' in drawn


@pytest.mark.parametrize(
    ("value", "text"), [(0.7, "0.700"), (-0.0061, "\N{MINUS SIGN}0.006"), (17.4, "17.40"), (123.456, "123.46")]
)
def test_scores_have_comparable_digits(value, text):
    assert charts.score(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (3210, "3,210"), (97.2, "97.2"), (0.5, "0.5"), (2e-4, "2.0e-04"), (-12.5, "-12.5")]
)
def test_numbers_are_short(value, text):
    assert charts.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (42.3, "42 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_are_spoken(seconds, text):
    assert report.duration(seconds) == text


def test_only_the_last_run_of_a_stage_counts(job):
    records = facts.read_durations(job.cache.parent / "runs.jsonl")
    assert [(record["stage"], record["seconds"]) for record in records] == [("crop", 3), ("pretrain", 600)]
    assert records[1]["share"] == 1
