"""Clips through the data stages: two rendered people walk through a clip that the test encodes."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.render import plan, render
from pipeline.sources.pictures import load_picture
from tests.pipeline.encoding import encode
from tests.stages.conftest import Project

FRAMES = 9
LEFT, RIGHT = (230, 120, 120), (120, 120, 230)


def stage():
    """(300, 480, 3) a wall that is red on the left and blue on the right."""
    wall = np.empty((300, 480, 3), np.uint8)
    wall[:, :240], wall[:, 240:] = LEFT, RIGHT
    return wall


@pytest.fixture(scope="session")
def walk():
    """Frames in which one person moves in the red half and another in the blue one; the last three are the same."""
    specs = plan("natural", people=2, poses=6, seed=3)
    cast = [[render(spec) for spec in specs if spec.person == person] for person in sorted({s.person for s in specs})]
    frames = []
    for step in range(FRAMES - 2):
        wall = stage()
        for person, x in zip(cast, (6 + 9 * step, 296 - 7 * step), strict=True):
            figure = person[step % len(person)]
            part = wall[30:286, x : x + 176]
            part[figure.labels > 0] = figure.image[figure.labels > 0]
        frames.append(wall)
    return frames + [frames[-1]] * 2


@pytest.fixture(scope="session")
def project(tmp_path_factory, walk):
    raw = tmp_path_factory.mktemp("clips")
    (raw / "walk.mp4").write_bytes(encode(walk))
    (raw / "wall.mp4").write_bytes(encode([stage()] * 3))
    (raw / "empty.mp4").write_bytes(b"")
    project = Project(
        tmp_path_factory.mktemp("video"),
        **{
            "domains.source.raw": str(raw),
            "domains.source.ingest.source": "video",
            "domains.source.ingest.test": 0.25,
            "domains.source.ingest.val": 0.0,
            "domains.source.ingest.max_quarantined": 0.7,
            "domains.source.video.every": 1,
            "domains.source.video.min_pictures": 3,
            "domains.source.crop.shards": 1,
        },
    )
    project.run("ingest@source", "crop@source")
    return project


def catalog(project):
    return pd.read_parquet(project.path("ingest", "source", "catalog.parquet"))


def reasons(project):
    table = pd.read_csv(project.path("ingest", "source", "quarantine.csv"))
    return dict(zip(table["name"], table["reason"], strict=True))


def test_each_person_is_followed(project):
    """Who is cut out is told by the wall beside them."""
    table = catalog(project)
    walls = {}
    for row in table.itertuples():
        data = load_picture(project.path("ingest", "source", "frames"), row.path)
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)
        edge = np.median(picture[:10].reshape(-1, 3), axis=0)
        walls.setdefault(row.person, set()).add("left" if edge[0] > edge[2] else "right")
    assert sorted(map(sorted, walls.values())) == [["left"], ["right"]]
    assert set(walls) == {"walk_p1", "walk_p2"}
    assert table.groupby("person").size().min() >= 5


def test_the_end_of_the_clip_is_held_out(project):
    for _, rows in catalog(project).sort_values("id").groupby("person"):
        splits = rows["split"].tolist()
        assert splits == sorted(splits, key=("train", "test").index)
        assert "test" in splits
        assert splits.count("train") >= 2


def test_what_is_left_out_has_a_reason(project):
    found = reasons(project)
    assert "empty file" in found["empty.mp4"] or "empty file" in found["empty"]
    assert any("no person was found in 3 frames" in reason for name, reason in found.items() if name.startswith("wall"))
    repeated = [name for name, reason in found.items() if "again" in reason]
    assert {name.rpartition("/")[2] for name in repeated} == {"000007", "000008"}
    assert len(repeated) == 4


def test_a_new_clip_costs_that_clip_and_the_bytes_stay(project, walk, tmp_path):
    before = project.files("ingest", "source")
    raw = catalog(project)["path"].str.partition("/")[0].unique().tolist()
    assert raw == ["walk"]
    project.run("ingest@source")
    assert project.files("ingest", "source") == before
    last = json.loads((project.folder / "runs.jsonl").read_text().splitlines()[-1])
    assert last["computed"] == 0


def test_the_pictures_are_cropped_for_the_network(project):
    table = pd.read_parquet(project.path("crop", "source", "moves.parquet"))
    assert sorted(table["id"]) == sorted(catalog(project)["id"])


def test_a_folder_of_clips_is_one_person(project, walk, tmp_path):
    """In a sub-folder the larger of the two is the folder's person, and the other is left out."""
    (tmp_path / "raw" / "anna").mkdir(parents=True)
    (tmp_path / "raw" / "anna" / "front.mp4").write_bytes(encode(walk))
    other = Project(tmp_path / "project", **{})
    other.raw["domains"]["source"] = project.raw["domains"]["source"] | {"raw": str(tmp_path / "raw")}
    other.change()
    other.run("ingest@source")
    table = catalog(other)
    assert set(table["person"]) == {"anna"}
    assert table["id"].str.startswith("anna/front/p1/").all()
    assert any("others than the folder's person" in reason for reason in reasons(other).values())


@pytest.mark.slow
def test_a_clip_becomes_pairs(project):
    project.change(**{"domains.source.keypoints.max_quarantined": 0.9})
    project.run(*(f"{stage}@source" for stage in ("keypoints", "parsing", "edges", "pairs", "pack")))
    pairs = pd.read_parquet(project.path("pairs", "source", "pairs.parquet"))
    assert {"train", "test"} <= set(pairs["split"])
    person = catalog(project).set_index("id")["person"]
    assert (person[pairs["from"]].to_numpy() == person[pairs["to"]].to_numpy()).all()
