"""The whole corpus of bad pictures in one folder through the real stages, and each bad table beside good pictures."""

import io
from dataclasses import dataclass

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
from tests.stages.bad_pictures import pictures
from tests.stages.bad_tables import ROWS, STOPPING_TABLES
from tests.stages.conftest import Project


def fates():
    """(kind, name, what becomes of it) of every name in the table."""
    return [(kind, name, fate) for kind, entry in pictures().items() for name, fate in entry.fates.items()]


@dataclass(frozen=True)
class Outcome:
    """What came of the corpus: rows set aside by stage, ids of the accepted, their pictures, and all that was printed."""

    project: Project
    set_aside: dict[str, list[tuple[str, str]]]
    accepted: set[str]
    images: ShardReader
    output: str


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The corpus as one raw folder, run from ingest to pairs."""
    folder = tmp_path_factory.mktemp("corpus")
    raw = folder / "raw"
    corpus.write_good(raw)
    for kind in pictures().values():
        kind.write(raw)
    project = Project(folder / "project", **{"domains.source.raw": str(raw), "domains.source.ingest.source": "folder"})
    project.change(**{"domains.source.ingest.max_quarantined": 0.9})
    output = project.run_together(*(f"{stage}@source" for stage in corpus.STAGES))
    rows = {stage: set_aside(project, stage) for stage in corpus.STAGES}
    accepted = set(pd.read_parquet(project.path("pairs", "source", "accepted.parquet"))["id"])
    return Outcome(project, rows, accepted, ShardReader(project.path("crop", "source", "images")), output)


def set_aside(project, stage):
    return quarantine.read(project.path(stage, "source", "quarantine.csv"))


def test_the_table_is_large_enough():
    assert len(pictures()) + len(ROWS) + len(STOPPING_TABLES) >= 80


def mistake(outcome, name, fate):
    """How the end of one name differs from the table, or nothing."""
    found = [(stage, reason) for stage, rows in outcome.set_aside.items() for key, reason in rows if key == name]
    if isinstance(fate, corpus.SetAside):
        # Key points and parsing look at the same pictures, so both may refuse one.
        is_right = found and found[0][0] == fate.stage and fate.reason in found[0][1]
        return "" if is_right else f"set aside by {found}, not by {fate}"
    if found or name not in outcome.accepted:
        return f"not accepted: {found}"
    is_right = not fate.same or np.array_equal(decode(outcome.images[name]), corpus.people()["ada_0"])
    return "" if is_right else "its pixels are not those of ada_0"


def test_each_kind_ends_as_the_table_says(outcome):
    mistakes = [(kind, name, mistake(outcome, name, fate)) for kind, name, fate in fates()]
    assert not [entry for entry in mistakes if entry[2]]


def test_nothing_else_is_set_aside_or_accepted(outcome):
    kept = {name for _, name, fate in fates() if isinstance(fate, corpus.Kept)}
    bad = {name for rows in outcome.set_aside.values() for name, _ in rows}
    assert outcome.accepted == kept | set(corpus.GOOD)
    assert bad == {name for _, name, _ in fates()} - kept


def test_good_neighbours_are_untouched(outcome):
    project = outcome.project
    maps = ShardReader(project.path("parsing", "source", "labels"))
    joints = read_keypoints(project.path("keypoints", "source", "keypoints.parquet"))
    for name, picture in corpus.people().items():
        np.testing.assert_array_equal(decode(outcome.images[name]), picture)
        assert from_png(maps[name]).shape == (256, 176)
        assert (joints[name][:, 2] > 0).sum() >= 12
    pairs = pd.read_parquet(project.path("pairs", "source", "pairs.parquet"))
    assert {("ada_0", "ada_1"), ("bob_2", "bob_0")} <= set(zip(pairs["from"], pairs["to"], strict=True))


def test_no_traceback_reached_the_user_and_nothing_was_run(outcome):
    assert "Traceback" not in outcome.output
    assert "Warning" not in outcome.output
    assert not list(outcome.project.folder.parent.rglob("sprung"))


def test_reasons_are_the_same_in_every_run(outcome):
    """A reason that tells an address in memory would be another in every run."""
    assert not [reason for rows in outcome.set_aside.values() for _, reason in rows if " at 0x" in reason]


def test_a_limit_stops_what_would_lose_too_much(outcome):
    project = outcome.project
    project.change(**{"domains.source.ingest.max_quarantined": 0.3})
    code, output = project.run("ingest@source", check=False)
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


@pytest.mark.parametrize("kind", ROWS)
def test_a_bad_row_is_set_aside_and_its_picture_stays(ingest, kind):
    text, bad = ROWS[kind]
    code, message, project = ingest(text)
    assert (code, "Traceback" in message) == (0, False)
    found = dict(set_aside(project, "ingest"))
    assert set(found) == set(bad)
    for name, beginning in bad.items():
        assert found[name].startswith(beginning)
    catalog = pd.read_parquet(project.path("ingest", "source", "catalog.parquet"))
    assert tuple(catalog["id"]) == corpus.GOOD


@pytest.mark.parametrize("kind", STOPPING_TABLES)
def test_a_bad_table_stops_the_run_with_a_remedy(ingest, kind):
    text, parts = STOPPING_TABLES[kind]
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


def _table(change):
    """A change of the bytes from one of the table in them."""

    def changed(data):
        buffer = io.BytesIO()
        change(pd.read_parquet(io.BytesIO(data))).to_parquet(buffer)
        return buffer.getvalue()

    return changed


@pytest.mark.parametrize(
    ("name", "change", "part"),
    [
        ("truth.parquet", lambda data: data[: len(data) // 2], "truth.parquet cannot be read"),
        ("truth.parquet", lambda data: b"<html>", "truth.parquet cannot be read"),
        ("truth.parquet", lambda data: corpus.malicious("sprung"), "truth.parquet cannot be read"),
        ("truth.parquet", _table(lambda table: table.drop(columns="person")), "no column 'person'"),
        ("truth.parquet", _table(lambda table: table.assign(split="tset")), "split 'tset' instead of train"),
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
