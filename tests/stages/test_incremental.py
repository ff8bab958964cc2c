"""Cost follows change: one new, changed or removed picture of several costs one picture's work."""

import contextlib
import json
import shutil
import sqlite3
import zipfile

import pytest

from pipeline.shards import ShardReader, shard_of
from tests.stages.conftest import Project

STAGES = ("ingest", "crop", "keypoints", "parsing", "edges")


@pytest.fixture(scope="module")
def pictures(packed_project):
    return dict(ShardReader(packed_project.path("figures", "source", "images")))


@pytest.fixture(scope="module")
def made(tmp_path_factory, pictures):
    """Five pictures in a folder, and the project that every stage has been through once. Read it, do not change it."""
    folder = tmp_path_factory.mktemp("incremental")
    (folder / "raw").mkdir()
    for name, data in list(pictures.items())[:5]:
        (folder / "raw" / f"{name}.png").write_bytes(data)
    project = Project(folder / "project", **{"domains.source.raw": "../raw", "domains.source.ingest.source": "folder"})
    project.run_together(*(f"{stage}@source" for stage in STAGES))
    return folder


@pytest.fixture
def project(made, tmp_path):
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path / "project", **{"domains.source.raw": "../raw", "domains.source.ingest.source": "folder"})


def computed(project):
    """How many pictures each stage computes now."""
    done = len((project.folder / "runs.jsonl").read_text().splitlines())
    project.run_together(*(f"{stage}@source" for stage in STAGES))
    records = [json.loads(line) for line in (project.folder / "runs.jsonl").read_text().splitlines()[done:]]
    return {record["stage"]: record["computed"] for record in records}


def test_one_change_is_one_picture_of_work(project, pictures, tmp_path):
    raw, names = tmp_path / "raw", list(pictures)
    before = project.files("crop", "source", "images")
    assert computed(project) == dict.fromkeys(STAGES, 0)

    (raw / f"{names[5]}.png").write_bytes(pictures[names[5]])
    assert computed(project) == dict.fromkeys(STAGES, 1)
    after = project.files("crop", "source", "images")
    changed = {name for name in after if after[name] != before[name]}
    shard = shard_of(names[5], project.raw["domains"]["source"]["crop"]["shards"])
    assert changed == {f"data/crop/source/images/{shard:02d}.tar"}

    (raw / f"{names[0]}.png").write_bytes(pictures[names[6]])
    assert computed(project) == dict.fromkeys(STAGES, 1)

    (raw / f"{names[5]}.png").unlink()
    (raw / f"{names[0]}.png").write_bytes(pictures[names[0]])
    assert computed(project) == dict.fromkeys(STAGES, 0)
    assert project.files("crop", "source", "images") == before


def test_one_more_member_of_an_archive_is_one_picture_of_work(project, pictures, tmp_path):
    loose, names = project.files("crop", "source", "images"), list(pictures)
    archive = tmp_path / "raw.zip"

    def pack(count):
        with zipfile.ZipFile(archive, "w") as packed:
            for name in names[:count]:
                packed.writestr(f"{name}.png", pictures[name])

    pack(5)
    project.change(**{"domains.source.raw": str(archive)})
    assert computed(project) == dict.fromkeys(STAGES, 0)
    assert project.files("crop", "source", "images") == loose
    pack(6)
    assert computed(project) == dict.fromkeys(STAGES, 1)


def test_a_pack_takes_unchanged_rows_from_the_last_one(project, pictures, tmp_path):
    raw, names = tmp_path / "raw", list(pictures)

    def packed():
        project.run_together(*(f"{stage}@source" for stage in (*STAGES, "pairs", "pack")))
        record = json.loads((project.folder / "runs.jsonl").read_text().splitlines()[-1])
        return record["computed"], project.path("pack", "source.h5").read_bytes()

    assert packed()[0] == 5
    (raw / f"{names[5]}.png").write_bytes(pictures[names[5]])
    (raw / f"{names[2]}.png").unlink()
    computed_rows, mixed = packed()
    assert computed_rows == 1
    elsewhere = project.copied(tmp_path / "elsewhere" / "project")  # another workspace with the same store
    shutil.copytree(raw, tmp_path / "elsewhere" / "raw")
    elsewhere.path("pack", "source.h5").unlink()
    output, _ = elsewhere.start("pack@source", DVC_ROOT=str(project.folder)).communicate()
    assert elsewhere.path("pack", "source.h5").exists(), output
    assert json.loads((elsewhere.folder / "runs.jsonl").read_text().splitlines()[-1])["computed"] == 0
    assert elsewhere.path("pack", "source.h5").read_bytes() == mixed
    shutil.rmtree(project.folder / ".cache")
    assert packed() == (5, mixed)


def test_a_picture_that_changes_behind_the_catalog_is_noticed(project, pictures, tmp_path):
    changed = next((tmp_path / "raw").glob("*.png"))
    changed.write_bytes(list(pictures.values())[7])
    shutil.rmtree(project.folder / ".cache")
    code, output = project.run("crop@source", check=False)
    assert code == 1
    assert changed.name in output
    assert "start it again" in output
    assert "Traceback" not in output


def test_damage_in_the_store_is_found_and_mended(project):
    before = {stage: project.files(stage, "source") for stage in STAGES}
    store = project.folder / ".cache" / "memo"
    for kept in (store / "files").iterdir():
        kept.write_bytes(b"?" + kept.read_bytes()[1:])
    with contextlib.closing(sqlite3.connect(store / "index.sqlite")) as database, database:
        database.execute("UPDATE outputs SET value = CAST(substr(value, 2) || x'00' AS BLOB)")
    for stage in STAGES:
        shutil.rmtree(project.path(stage))
    project.run_together(*(f"{stage}@source" for stage in STAGES))
    assert {stage: project.files(stage, "source") for stage in STAGES} == before


def test_switching_a_parameter_back_is_free(project):
    before = project.files("edges", "source")
    project.change(**{"domains.source.edges.sigma_px": 1.5})
    project.run("edges@source")
    assert project.files("edges", "source") != before
    project.change(**{"domains.source.edges.sigma_px": 0.8})
    assert computed(project)["edges"] == 0
    assert project.files("edges", "source") == before
