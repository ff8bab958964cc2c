"""Cost follows change: one new, changed or removed picture of several costs one picture's work."""

import json

import pytest

from pipeline.shards import ShardReader, shard_of
from tests.stages.conftest import Project

STAGES = ("ingest", "crop", "keypoints", "parsing", "edges")


@pytest.fixture(scope="module")
def pictures(packed_project):
    return dict(ShardReader(packed_project.path("figures", "source", "images")))


@pytest.fixture
def project(tmp_path, pictures):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, data in list(pictures.items())[:5]:
        (raw / f"{name}.png").write_bytes(data)
    project = Project(
        tmp_path / "project", **{"domains.source.raw": str(raw), "domains.source.ingest.source": "folder"}
    )
    project.run(*(f"{stage}@source" for stage in STAGES))
    return project


def computed(project):
    """How many pictures each stage computes now."""
    done = len((project.folder / "runs.jsonl").read_text().splitlines())
    project.run(*(f"{stage}@source" for stage in STAGES))
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


def test_switching_a_parameter_back_is_free(project):
    before = project.files("edges", "source")
    project.change(**{"domains.source.edges.sigma_px": 1.5})
    project.run("edges@source")
    assert project.files("edges", "source") != before
    project.change(**{"domains.source.edges.sigma_px": 0.8})
    assert computed(project)["edges"] == 0
    assert project.files("edges", "source") == before
