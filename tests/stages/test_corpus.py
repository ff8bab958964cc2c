"""The whole corpus of bad pictures in one folder through the real stages, and each bad table beside good pictures."""

import io

import numpy as np
import pandas as pd
import pytest

from pipeline import quarantine
from pipeline.people.labels import from_png
from pipeline.pictures import decode
from pipeline.run import main
from pipeline.shards import ShardReader
from stages.artifacts import read_keypoints
from tests.stages import corpus
from tests.stages.conftest import Project

FATES = [(kind, name) for kind, entry in corpus.pictures().items() for name in entry.fates]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose raw folder is the corpus, run from ingest to pairs."""
    folder = tmp_path_factory.mktemp("corpus")
    raw = folder / "raw"
    raw.mkdir()
    corpus.write_good(raw)
    for kind in corpus.pictures().values():
        kind.write(raw)
    project = Project(folder / "project", **{"domains.source.raw": str(raw), "domains.source.ingest.source": "folder"})
    project.change(**{"domains.source.ingest.max_quarantined": 0.9})
    project.output = "".join(project.run(f"{stage}@source")[1] for stage in corpus.STAGES)
    return project


def set_aside(project, stage):
    return quarantine.read(project.path(stage, "source", "quarantine.csv"))


def test_the_table_is_large_enough():
    assert len(corpus.pictures()) + len(corpus.ROWS) + len(corpus.STOPPING_TABLES) >= 80


@pytest.mark.parametrize(("kind", "name"), FATES)
def test_each_kind_ends_as_the_table_says(project, kind, name):
    fate = corpus.pictures()[kind].fates[name]
    found = [(stage, reason) for stage in corpus.STAGES for key, reason in set_aside(project, stage) if key == name]
    images = ShardReader(project.path("crop", "source", "images"))
    if isinstance(fate, corpus.SetAside):
        # Key points and parsing look at the same pictures, so both may refuse one.
        assert found
        assert found[0][0] == fate.stage
        assert fate.reason in found[0][1]
        return
    assert not found
    assert name in accepted(project)
    if fate.same:
        np.testing.assert_array_equal(decode(images[name]), corpus.people()["ada_0"])


def accepted(project):
    return set(pd.read_parquet(project.path("pairs", "source", "accepted.parquet"))["id"])


def test_nothing_else_is_set_aside_or_accepted(project):
    kept = {name for kind, name in FATES if isinstance(corpus.pictures()[kind].fates[name], corpus.Kept)}
    bad = {name for stage in corpus.STAGES for name, _ in set_aside(project, stage)}
    assert accepted(project) == kept | set(corpus.GOOD)
    assert bad == {name for _, name in FATES} - kept


def test_good_neighbours_are_untouched(project):
    images = ShardReader(project.path("crop", "source", "images"))
    maps = ShardReader(project.path("parsing", "source", "labels"))
    joints = read_keypoints(project.path("keypoints", "source", "keypoints.parquet"))
    for name, picture in corpus.people().items():
        np.testing.assert_array_equal(decode(images[name]), picture)
        assert from_png(maps[name]).shape == (256, 176)
        assert (joints[name][:, 2] > 0).sum() >= 12
    pairs = pd.read_parquet(project.path("pairs", "source", "pairs.parquet"))
    assert {("ada_0", "ada_1"), ("bob_2", "bob_0")} <= set(zip(pairs["from"], pairs["to"], strict=True))


def test_no_traceback_reached_the_user_and_nothing_was_run(project):
    assert "Traceback" not in project.output
    assert not list(project.folder.rglob("sprung"))


def test_reasons_are_the_same_in_every_run(project):
    """A reason that tells an address in memory would be another in every run."""
    assert not [reason for stage in corpus.STAGES for _, reason in set_aside(project, stage) if " at 0x" in reason]


def test_a_limit_stops_what_would_lose_too_much(project):
    project.change(**{"domains.source.ingest.max_quarantined": 0.3})
    code, output = project.run("ingest@source", check=False)
    project.change(**{"domains.source.ingest.max_quarantined": 0.9})
    assert code == 1
    assert "were set aside, more than domains.source.ingest.max_quarantined: 0.3 allows" in output
    assert "or raise domains.source.ingest.max_quarantined in params.yaml" in output
    assert "Traceback" not in output


@pytest.fixture
def ingest(tmp_path, monkeypatch, capsys):
    """A function that reads the six good pictures with a table beside them: exit code, message, quarantine.csv."""
    raw = tmp_path / "raw"
    corpus.write_good(raw)
    project = Project(
        tmp_path / "project", **{"domains.source.raw": str(raw), "domains.source.ingest.source": "folder"}
    )
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DVC_ROOT", str(project.folder))

    def run(text):
        (raw / "j.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        code = main(["ingest@source"])
        return code, capsys.readouterr().err, project

    return run


@pytest.mark.parametrize("kind", corpus.ROWS)
def test_a_bad_row_is_set_aside_and_its_picture_stays(ingest, kind):
    text, bad = corpus.ROWS[kind]
    code, message, project = ingest(text)
    assert (code, "Traceback" in message) == (0, False)
    found = dict(set_aside(project, "ingest"))
    assert set(found) == set(bad)
    for name, beginning in bad.items():
        assert found[name].startswith(beginning)
    catalog = pd.read_parquet(project.path("ingest", "source", "catalog.parquet"))
    assert tuple(catalog["id"]) == corpus.GOOD


@pytest.mark.parametrize("kind", corpus.STOPPING_TABLES)
def test_a_bad_table_stops_the_run_with_a_remedy(ingest, kind):
    text, parts = corpus.STOPPING_TABLES[kind]
    code, message, _ = ingest(text)
    assert (code, "Traceback" in message) == (1, False)
    for part in parts:
        assert part in message


@pytest.fixture
def figures(tmp_path, monkeypatch, capsys):
    """A function that changes the files of a folder of rendered people and reads it: exit code and message."""
    project = Project(tmp_path, **{"domains.source.figures.people": 1, "domains.source.raw": "data/figures/source"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    raw = project.path("figures", "source")
    (raw / "images").mkdir(parents=True)
    table = pd.DataFrame({"id": ["a_0"], "person": ["a"], "pose": ["0"], "split": ["train"]})
    table.to_parquet(raw / "truth.parquet")
    (raw / "images" / "00.tar").write_bytes(bytes(10240))

    def run(name, change):
        (raw / name).write_bytes(change((raw / name).read_bytes()))
        return main(["ingest@source"]), capsys.readouterr().err

    return run


def _other_columns(data):
    buffer = io.BytesIO()
    pd.read_parquet(io.BytesIO(data)).drop(columns="person").to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "change", "part"),
    [
        ("truth.parquet", lambda data: data[: len(data) // 2], "truth.parquet cannot be read"),
        ("truth.parquet", lambda data: b"<html>", "truth.parquet cannot be read"),
        ("truth.parquet", lambda data: corpus.malicious("sprung"), "truth.parquet cannot be read"),
        ("truth.parquet", _other_columns, "no column 'person'"),
        ("images/00.tar", lambda data: b"<html>" * 999, "00.tar cannot be read as a tar archive"),
        ("images/00.tar", lambda data: data, "holds no pictures"),
    ],
)
def test_damaged_figures_stop_the_run_with_a_remedy(figures, name, change, part, tmp_path):
    code, message = figures(name, change)
    assert (code, "Traceback" in message) == (1, False)
    assert part in message
    assert "dvc repro figures@source" in message
    assert not (tmp_path / "sprung").exists()
