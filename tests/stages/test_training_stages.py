"""Pretraining, transfer, evaluation, results and report on tiny data, with the real stages."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.results import compare
from tests.stages.conftest import DATA_STAGES, Project

TINY = {"steps": 4, "batch": 2, "log_every": 2, "sample_every": 2, "checkpoint_every": 2, "held_out": 2, "threads": 1}


@pytest.fixture(scope="module")
def project(packed_project, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("trained"))
    # The same people: with what was worked out of them already.
    shutil.copytree(packed_project.folder / ".cache", project.folder / ".cache")
    project.raw["domains"]["target"]["figures"]["poses"] = 3
    project.raw["pretrain"] |= TINY
    project.raw["finetune"] |= TINY
    project.raw["adgan"] |= {"width": 0.06, "perceptual": 0, "contextual": 0}
    project.change(
        **{
            "evaluate.max_pairs": 6,
            "evaluate.protocols": ["plain", "pg2"],
            "evaluate.grid_rows": 2,
            "domains.target.keypoints.max_quarantined": 0.9,
        }
    )
    # The stages look as the instruments of `evaluate` do, so that these find in a target what is packed of it.
    for domain in ("source", "target"):
        project.change(**{f"domains.{domain}.keypoints.edges_px": [256]})
        project.change(**{f"domains.{domain}.{stage}.flip_test": False for stage in ("keypoints", "parsing")})
    data = (f"{stage}@{domain}" for domain in ("source", "target") for stage in DATA_STAGES)
    project.run_together(*data, "pretrain@adgan", "finetune@adgan", "evaluate@adgan", "results", "report")
    return project


def test_the_same_seed_gives_the_same_weights(project):
    first = project.files("pretrain", "adgan"), project.files("finetune", "adgan")
    project.run("pretrain@adgan", "finetune@adgan")
    assert (project.files("pretrain", "adgan"), project.files("finetune", "adgan")) == first


def test_curves_are_written(project):
    table = pd.read_csv(next(project.path("curves", "pretrain", "adgan").rglob("l1.tsv")), sep="\t")
    assert table["step"].tolist() == [2, 4]
    assert list(project.path("curves", "finetune", "adgan").rglob("*.tsv"))


def test_every_row_has_protocol_and_interval(project):
    rows = pd.read_csv(project.path("evaluate", "adgan", "rows.csv"))
    assert set(rows["domain"]) == {"source", "target"}
    baselines = {"copy_source", "mean_person", "nearest_pose", "oracle"}
    assert set(rows["method"]) == {"adgan", "adgan_pretrained", "adgan_scratch"} | baselines
    assert set(rows["protocol"]) == {"plain", "pg2"}
    assert (rows.groupby(["domain", "protocol"])["list"].nunique() == 1).all()
    of_sets = rows["metric"].isin(["fd_lite0", "kd_lite0", "is_lite0"])
    assert rows[of_sets]["low"].isna().all()
    rows = rows[~of_sets].dropna(subset="value")
    assert len(rows) > 300
    assert (rows["low"] <= rows["value"]).all()
    assert (rows["value"] <= rows["high"]).all()


def test_the_target_itself_scores_as_well_as_can_be(project):
    rows = pd.read_csv(project.path("evaluate", "adgan", "rows.csv")).query(
        "method == 'oracle' and protocol == 'plain'"
    )
    value = {(row.domain, row.metric): row.value for row in rows.itertuples()}
    for domain in ("source", "target"):
        assert value[domain, "ssim"] == pytest.approx(1)
        assert value[domain, "l1"] == 0
        assert value[domain, "joint_error_px"] < 0.02  # packed joints are rounded, and so are these
        assert value[domain, "parsing_miou"] == pytest.approx(1)
        assert value[domain, "likeness_lite0"] == pytest.approx(1)


def test_every_pair_is_kept_with_its_scores(project):
    pairs = pd.read_parquet(project.path("evaluate", "adgan", "pairs.parquet"))
    rows = pd.read_csv(project.path("evaluate", "adgan", "rows.csv"))
    means = pairs.groupby(["domain", "protocol", "method"])["ssim_mask"].mean()
    told = rows[rows["metric"] == "ssim_mask"].set_index(["domain", "protocol", "method"])["value"]
    pd.testing.assert_series_equal(means, told.sort_index(), check_names=False, atol=1e-5)


def test_methods_are_compared_pair_by_pair(project, monkeypatch):
    """A second method with known scores: every pair better by 0.25."""
    monkeypatch.chdir(project.folder)
    table = pd.read_parquet("data/evaluate/adgan/pairs.parquet")
    other = table[table["method"] == "adgan"].assign(method="other", ssim_mask=lambda rows: rows["ssim_mask"] + 0.25)
    Path("data/evaluate/other").mkdir()
    other.to_parquet("data/evaluate/other/pairs.parquet")
    rows = pd.read_csv("data/evaluate/adgan/rows.csv")
    both = pd.concat([rows, rows[rows["method"] == "adgan"].assign(method="other")])
    found = {
        (row["method"], row["domain"], row["metric"]): row for row in compare(["adgan", "other"], both) if row["n"]
    }
    shutil.rmtree("data/evaluate/other")
    gain = found["other", "source", "ssim_mask_minus_adgan"]
    assert gain["value"] == pytest.approx(0.25)
    assert gain["low"] == pytest.approx(gain["high"])
    assert found["adgan", "target", "ssim_mask_minus_other"]["value"] == pytest.approx(-0.25)


def test_training_from_scratch_is_compared_pair_by_pair(project):
    rows = pd.read_csv(project.path("evaluate", "adgan", "rows.csv"))
    rows = rows.query("domain == 'target' and protocol == 'plain'").dropna(subset="resampled")
    value = {(row.method, row.metric): row.value for row in rows.itertuples()}
    gain = value["adgan", "ssim_mask_minus_scratch"]
    assert gain == pytest.approx(value["adgan", "ssim_mask"] - value["adgan_scratch", "ssim_mask"], abs=1e-5)
    # Two characters are too few to draw persons from.
    assert set(rows["resampled"]) == {"pictures"}
    carried, scratch = (project.path("finetune", "adgan", f"{place}target.safetensors") for place in ("", "scratch/"))
    assert carried.read_bytes() != scratch.read_bytes()


def test_people_of_both_domains_exchange_poses_and_garments(project):
    with Image.open(project.path("evaluate", "adgan", "exchanges", "target.png")) as sheet:
        # Three pairs: two directions of poses and of garments each, and a blend, all over 200 pixels high.
        assert sheet.height > 15 * 200
    assert "Poses and parts exchanged" in project.path("report", "index.html").read_text()


def test_failures_are_shown(project):
    with Image.open(project.path("evaluate", "adgan", "failures", "source.png")) as sheet:
        assert sheet.height > 200


def test_the_baseline_is_what_copying_gives(project):
    rows = pd.read_csv(project.path("evaluate", "adgan", "rows.csv"))
    found = rows.query("domain == 'target' and protocol == 'plain' and method == 'copy_source' and metric == 'l1'")[
        "value"
    ].item()
    with h5py.File(project.path("pack", "target.h5")) as file:
        pairs = file["pairs/test"][:]
        pairs = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), 6)).round().astype(int)]
        images = file["images"][:].astype(float) / 255
    assert found == pytest.approx(np.mean([np.abs(images[a] - images[b]).mean() for a, b in pairs]), abs=1e-5)


def test_results_gather_and_the_report_shows(project):
    results = json.loads(project.path("results", "results.json").read_text())
    assert set(results["domains"]) == {"source", "target"}
    assert results["domains"]["source"]["preprocessing"]["pckh"]["value"] > 0.5
    page = project.path("report", "index.html").read_text()
    assert "adgan" in page.lower()
    assert "data:image/" in page


def test_pretraining_begins_with_weights_that_are_brought(project):
    trained = project.files("pretrain", "adgan")
    brought = project.folder / "models" / "pretrained" / "adgan.safetensors"
    brought.parent.mkdir()
    shutil.copy(project.path("pretrain", "adgan", "weights.safetensors"), brought)
    steps, project.raw["pretrain"]["steps"] = project.raw["pretrain"]["steps"], 0
    project.change()
    project.run("pretrain@adgan")
    assert project.files("pretrain", "adgan") == trained
    project.raw["adgan"]["width"], width = 0.12, project.raw["adgan"]["width"]
    project.change()
    code, output = project.run("pretrain@adgan", check=False)
    project.raw["adgan"]["width"], project.raw["pretrain"]["steps"] = width, steps
    project.change()
    shutil.rmtree(brought.parent)
    assert code == 1
    assert "models/pretrained/adgan.safetensors" in output
    assert "Traceback" not in output


def test_a_wrong_training_setting_is_named(project):
    project.raw["pretrain"]["stepps"] = 4
    project.change()
    code, output = project.run("pretrain@adgan", check=False)
    del project.raw["pretrain"]["stepps"]
    project.change()
    assert code == 1
    assert "pretrain.stepps" in output
    assert "Traceback" not in output
