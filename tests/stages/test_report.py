import base64
import io
import json
import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from dvclive import Live
from PIL import Image
from ruamel.yaml import YAML

from pipeline import params as params_module
from pipeline import quarantine
from pipeline.imports import ROOT
from pipeline.people import skeleton
from pipeline.run import Job
from stages import artifacts, report, sheets
from stages.report import charts, facts, flow, pairs, poses, scores
from stages.report.published import read_published
from tests.stages import finished

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
        if tag == "path":
            return
        if tag not in ("meta", "input", "img", "link", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if not {"style", "script"} & {*self.open} else ""


def test_the_page_is_self_contained_and_names_are_escaped(job):
    page = _page(job)
    read = _Reader(page)
    assert not {"iframe", "link", "object", "embed"} & set(read.tags)
    assert read.tags.count("script") == 1
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


def test_published_figures_stand_apart_with_protocol_and_source(job):
    page = _page(job)
    published = page.partition("What the papers print")[2].partition("</details>")[0]
    tables = read_published()
    assert {table.protocol.partition(":")[0] for table in tables} == {"padded", "train_fid", "pg2"}
    for table in tables:
        assert table.protocol in published
        assert all(source and any(values) for _, values, source in table.rows)
    assert "13.224" in published
    assert "13.224" not in page.replace(published, "")


def test_networks_are_named_with_their_hash(job):
    path = artifacts.DATA / "results" / "results.json"
    networks = {"pckh": ["a <pose> network", "f" * 64], "ds_pose": ["a <pose> network", "f" * 64]}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"depends": {"networks": networks}}))
    page = _page(job)
    assert f"<td>pckh, ds_pose</td><td>a &lt;pose&gt; network</td><td><code>{'f' * 16}</code>" in page


def test_tables_put_methods_first_and_mark_the_best():
    (table,) = scores.make_tables([row for row in ROWS if row["metric"] in ("ssim_mask", "l1")])
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
    (table,) = scores.make_tables(rows)
    assert table.rows[0][1][metric].gains == [scores.Gain("copy_source", rows[1], verdict)]


def test_an_undefined_score_is_left_out():
    (table,) = scores.make_tables(ROWS)
    assert "undefined" not in table.metrics
    assert scores.make_tables([_row("adgan", "ssim", float("nan"))]) == []


def test_protocols_domains_and_splits_never_share_a_table():
    rows = [_row("adgan", "ssim", 0.5, **change) for change in ({}, {"protocol": "padded"}, {"split": "val"})]
    tables = scores.make_tables([*rows, _row("adgan", "ssim", 0.5, domain="target")])
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


def test_the_line_of_a_run_that_was_killed_does_not_count(tmp_path):
    line = '{"stage": "crop", "item": "source", "seconds": 3, "at": 1}'
    (tmp_path / "runs.jsonl").write_text(f"{line}\n{line[:20]}{line}\n{line[:9]}")
    assert [record["seconds"] for record in facts.read_durations(tmp_path / "runs.jsonl")] == [3]


@pytest.fixture
def compared(empty):
    """A project in which two methods were evaluated."""
    finished.finish(["adgan", "pg2"])
    empty.params.methods["pg2"] = {}
    return empty


def test_pairs_are_chosen_by_rule():
    table = pd.DataFrame(
        {
            "method": ["adgan"] * 5 + ["pg2"] * 5,
            "from": list("abcde") * 2,
            "to": list("vwxyz") * 2,
            "ssim_mask": [0.5, 0.9, 0.1, 0.6, 0.7, 0.2, 0.3, float("nan"), 0.8, 0.1],
        }
    )
    assert pairs.choose_pairs(table, ["adgan", "pg2"]) == {
        ("b", "w"): {"best": ["adgan"], "median": ["pg2"]},
        ("d", "y"): {"best": ["pg2"], "median": ["adgan"]},
        ("c", "x"): {"worst": ["adgan"]},
        ("e", "z"): {"worst": ["pg2"]},
        ("a", "v"): {},
    }


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({}, "evenly spread"),
        ({"best": ["adgan"]}, "best of ADGAN"),
        ({"best": ["adgan", "pg2"], "worst": ["spt"]}, "best of ADGAN and PG2, worst of SPT"),
        ({"worst": ["adgan", "pg2", "spt"]}, "worst of ADGAN, PG2 and SPT"),
    ],
)
def test_a_rule_is_said_in_words(places, said):
    assert pairs.Pair("a", "b", places, {}).rule == said


def test_a_board_shows_the_pictures_of_its_pairs(compared):
    board = pairs.read_board("target", ["adgan", "pg2"])
    best = next(pair for pair in board.pairs if "pg2" in pair.places.get("best", ()))
    assert (best.source, best.target) == finished.PAIRS[-1]
    assert board.source(best).getpixel((0, 0)) == finished.colour_of("target", "anna_4")
    assert board.target(best).getpixel((0, 0)) == finished.colour_of("target", "anna_3")
    assert board.result(best, "pg2").getpixel((0, 0)) == finished.colour_drawn(1, len(finished.PAIRS) - 1)
    assert best.scores["pg2"] == pytest.approx({"ssim_mask": 0.58, "joint_error_px": 3.25})
    assert pairs.read_board("source", ["spt"]) is None


def test_without_test_pairs_there_is_no_board(compared):
    for method in ("adgan", "pg2"):
        artifacts.write_table(artifacts.artifact("evaluate", method, "pairs.parquet"), pd.DataFrame())
    assert pairs.read_board("source", ["adgan", "pg2"]) is None
    assert "Pair by pair" not in _page(compared)


def test_the_page_shows_pairs_with_their_rule_and_scores(compared):
    text = " ".join(_Reader(_page(compared)).text.split())
    assert "best of ADGAN and PG2 anna_4 → anna_3" in text
    assert "ADGANSSIM 0.680px off 3.250" in text
    assert "+0.100 +0.080 to +0.120" in text


def test_every_method_stands_against_every_other(compared):
    (contest, _) = facts.gather(compared.params).contests
    assert (contest.domain, contest.metric, contest.methods) == ("source", "ssim_mask", ["adgan", "pg2"])
    assert contest.gains["adgan"]["pg2"].verdict == "better"
    assert contest.gains["pg2"]["adgan"].row["value"] == pytest.approx(-0.1)
    assert contest.wins == {"adgan": 1, "pg2": 0}
    (cell,) = (cells["ssim_mask"] for name, cells in facts.gather(compared.params).tables[0].rows if name == "adgan")
    assert cell.gains == []


def test_where_less_is_better_the_smallest_comes_first():
    rows = [_row("adgan", "l1", 0.2), _row("pg2", "l1", 0.1)]
    rows += [_row("adgan", "l1_minus_pg2", 0.1), _row("pg2", "l1_minus_adgan", -0.1)]
    (contest,) = scores.make_contests(rows)
    assert contest.methods == ["pg2", "adgan"]
    assert contest.gains["pg2"]["adgan"].verdict == "better"


def test_the_tables_are_there_as_markdown(compared):
    finished.finish(["adgan", "a|b"])
    report.run(compared)
    text = (artifacts.DATA / "report" / "tables.md").read_text()
    assert "| method | SSIM in the person's mask |\n|---|---|\n| ADGAN | **0.600** (0.500 to 0.700) |\n" in text
    assert "| minus | ADGAN | a\\|b |\n|---|---|---|\n| ADGAN |  | **+0.100** (+0.080 to +0.120) |\n" in text
    assert "\n\n\n" not in text


def test_the_drawing_has_every_stage_of_the_dag():
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [name for column in flow.COLUMNS for name in column] == list(stages)
    assert "pseudo_labels" not in flow.draw_flow([], without={"pseudo_labels"})


def test_the_drawing_says_what_was_kept():
    runs = [{"stage": "crop", "item": item, "seconds": 5, "items": 10, "computed": 1} for item in "ab"]
    drawn = flow.draw_flow([*runs, {"stage": "pack", "item": "a", "seconds": 20, "computed": 3}])
    assert "crop: 10 s, 90% of its items were kept from before" in drawn
    assert "pack: 20 s<" in drawn
    assert "ingest: has not run" in drawn
    # 90 px are the longest stage's; a tenth of the crop's half was computed.
    assert re.findall(r'class="done"[^>]* width="([0-9.]+)"', drawn) == [
        "0.0",
        "0.0",
        "4.5",
        *["0.0"] * 4,
        "90.0",
        *["0.0"] * 6,
    ]


def test_which_way_people_face():
    back = finished.standing()
    back[:, 0] = finished.SIZE[0] - back[:, 0]
    lost = finished.standing()
    lost[2] = skeleton.MISSING
    found = poses.turns(np.stack([finished.standing(), back, lost]))
    # Shoulders 16 px apart, the torso 20 px long.
    assert found == pytest.approx([0.8, -0.8])
    assert poses.heights(np.stack([finished.standing()])) == pytest.approx([55])


def test_a_histogram_counts():
    drawn = charts.histogram(np.array([-5, 0.1, 0.12, 0.99, 1.0]), 0, 1, ("0", "1"), bins=4)
    assert re.findall(r"<title>(\d)</title>", drawn) == ["3", "2"]
    assert re.findall(r'height="([0-9.]+)"', drawn) == ["120.0", "80.0"]
