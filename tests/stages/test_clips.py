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

LEFT, RIGHT = (230, 120, 120), (120, 120, 230)


def stage():
    """(152, 256, 3) a wall that is red on the left and blue on the right."""
    wall = np.empty((152, 256, 3), np.uint8)
    wall[:, :128], wall[:, 128:] = LEFT, RIGHT
    return wall


@pytest.fixture(scope="session")
def walk():
    """Six frames in which one person moves in the red half and another in the blue one, and the sixth twice more."""
    specs = plan("natural", people=2, poses=3, seed=3)
    cast = [
        [render(spec, width=88, height=128) for spec in specs if spec.person == person]
        for person in sorted({spec.person for spec in specs})
    ]
    frames = []
    for step in range(6):
        wall = stage()
        for person, x in zip(cast, (4 + 6 * step, 164 - 5 * step), strict=True):
            figure = person[step % len(person)]
            part = wall[12:140, x : x + 88]
            part[figure.labels > 0] = figure.image[figure.labels > 0]
        frames.append(wall)
    return frames + [frames[-1]] * 2


@pytest.fixture(scope="session")
def project(tmp_path_factory, walk):
    raw = tmp_path_factory.mktemp("clips")
    (raw / "anna").mkdir()
    (raw / "anna" / "front.mp4").write_bytes(encode(walk[2:] + walk[:2]))
    (raw / "walk.mp4").write_bytes(encode(walk))
    (raw / "wall.mp4").write_bytes(encode([stage()] * 2))
    (raw / "empty.mp4").write_bytes(b"")
    project = Project(
        tmp_path_factory.mktemp("video"),
        **{
            "domains.source.raw": str(raw),
            "domains.source.ingest.source": "video",
            "domains.source.ingest.test": 0.25,
            "domains.source.ingest.val": 0.0,
            "domains.source.ingest.max_quarantined": 0.6,
            "domains.source.video.every": 1,
            "domains.source.video.min_pictures": 3,
            "domains.source.crop.shards": 1,
        },
    )
    project.run_here("ingest@source")
    return project


def catalog(project):
    return pd.read_parquet(project.path("ingest", "source", "catalog.parquet"))


def reasons(project):
    table = pd.read_csv(project.path("ingest", "source", "quarantine.csv"))
    return dict(zip(table["name"], table["reason"], strict=True))


def test_each_person_is_followed(project):
    """Who is cut out is told by the wall above them."""
    table = catalog(project)
    walls = {}
    for row in table[table["id"].str.startswith("walk")].itertuples():
        data = load_picture(project.path("ingest", "source", "frames"), row.path)
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)
        red, _, blue = np.median(picture[:8].reshape(-1, 3), axis=0)
        walls.setdefault(row.person, []).append("left" if red > blue else "right")
    assert set(walls) == {"walk_p1", "walk_p2"}
    assert sorted(set(found) for found in walls.values()) in ([{"left"}, {"right"}], [{"right"}, {"left"}])
    assert min(len(found) for found in walls.values()) >= 4


def test_a_sub_folder_is_one_person(project):
    """The larger of the two is the folder's person, the other is left out."""
    table = catalog(project)
    of_anna = table[table["id"].str.startswith("anna/front/p1/")]
    assert len(of_anna) >= 4
    assert set(of_anna["person"]) == {"anna"}
    assert len(of_anna) == table["id"].str.startswith("anna").sum()
    assert "others than the folder's person" in " ".join(
        reason for name, reason in reasons(project).items() if name.startswith("anna/front/others")
    )


def test_the_end_of_every_clip_is_held_out(project):
    for _, rows in catalog(project).sort_values("id").groupby("person"):
        splits = rows["split"].tolist()
        assert splits == sorted(splits, key=("train", "test").index)
        assert "test" in splits
        assert splits.count("train") >= 2


def test_what_is_left_out_has_a_reason(project):
    found = reasons(project)
    assert "empty file" in found["empty"]
    assert "no person was found in 2 frames" in found["wall"]
    repeated = {name for name, reason in found.items() if "again" in reason and name.startswith("walk")}
    assert repeated >= {"walk/p1/000006", "walk/p1/000007", "walk/p2/000006", "walk/p2/000007"}


def test_a_second_run_looks_at_no_clip_and_gives_the_same_bytes(project):
    before = project.files("ingest", "source")
    assert any(name.endswith("frames/walk/00.tar") for name in before)
    project.run("ingest@source")
    assert project.files("ingest", "source") == before
    last = json.loads((project.folder / "runs.jsonl").read_text().splitlines()[-1])
    assert last["computed"] == 0


@pytest.mark.slow
def test_a_clip_becomes_pairs(project):
    project.change(**{"domains.source.keypoints.max_quarantined": 0.9})
    stages = ("crop", "keypoints", "parsing", "edges", "pairs", "pack")
    project.run(*(f"{stage}@source" for stage in stages))
    pairs = pd.read_parquet(project.path("pairs", "source", "pairs.parquet"))
    assert {"train", "test"} <= set(pairs["split"])
    person = catalog(project).set_index("id")["person"]
    assert (person[pairs["from"]].to_numpy() == person[pairs["to"]].to_numpy()).all()
