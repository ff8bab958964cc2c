"""The options of `pairs`: filters by looks, mirrored twins in table and pack."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import quarantine
from pipeline.packed import Pack
from pipeline.people import skeleton
from stages.artifacts import read_keypoints
from tests.stages.conftest import Project


@pytest.fixture
def project(packed_project, tmp_path):
    """A copy of the packed project that a test may change."""
    return packed_project.copied(tmp_path / "project")


def pairs_of(project):
    table = pd.read_parquet(project.path("pairs", "source", "pairs.parquet"))
    return list(table.itertuples(index=False, name=None))


def accepted(project):
    return pd.read_parquet(project.path("pairs", "source", "accepted.parquet"))["id"].tolist()


def test_twins_double_the_training_pictures_and_pairs(project, packed_project):
    before, pictures = pairs_of(project), accepted(project)
    first = Pack(packed_project.path("pack", "source.h5"))
    project.change(**{"domains.source.pairs.flips": True})
    project.run_here("pairs@source", "pack@source")
    train = [(start, end) for start, end, split in before if split == "train"]
    assert pairs_of(project) == [*before, *((f"{start}~flip", f"{end}~flip", "train") for start, end in train)]
    catalog = pd.read_parquet(project.path("ingest", "source", "catalog.parquet")).set_index("id")
    trained = [name for name in pictures if catalog["split"][name] == "train"]
    assert accepted(project) == sorted([*pictures, *(f"{name}~flip" for name in trained)])

    pack = Pack(project.path("pack", "source.h5"))
    row_of = {name: row for row, name in enumerate(pack.names)}
    for name in trained:
        row, twin, old = row_of[name], row_of[f"{name}~flip"], first.names.index(name)
        assert pack.persons[twin] == pack.persons[row]
        assert np.array_equal(pack.image(row), first.image(old))
        for plane in ("image", "parsing", "edges"):
            assert np.array_equal(getattr(pack, plane)(twin), getattr(pack, plane)(row)[:, ::-1]), plane
        # Of the mirrored picture the right shoulder is where the left one was.
        left, right = pack.keypoints[row][skeleton.LEFT_SHOULDER], pack.keypoints[twin][skeleton.RIGHT_SHOULDER]
        assert (right[2] == 0) == (left[2] == 0)
        if left[2] > 0:
            assert right.tolist() == [175 - left[0], left[1], left[2]]
    assert len(pack.pairs("train")) == 2 * len(train)
    assert len(pack.pairs("test")) == len(before) - len(train) - len(pack.pairs("val"))


def test_pictures_that_are_nearly_the_same_or_incomplete_are_set_aside(project):
    joints = read_keypoints(project.path("keypoints", "source", "keypoints.parquet"))
    head = [0, 14, 15, 16, 17]
    whole = {
        name for name, found in joints.items() if (found[[2, 5, 8, 11], 2] > 0).all() and (found[head, 2] > 0).any()
    }
    project.change(**{"domains.source.pairs.single_and_complete": True, "domains.source.pairs.max_quarantined": 0.9})
    project.run_here("pairs@source")
    assert set(accepted(project)) == whole & set(accepted(project))
    assert all(
        "pairs.single_and_complete" in reason
        for _, reason in quarantine.read(project.path("pairs", "source", "quarantine.csv"))
    )

    # With nearly all of the bits asked for, every second picture of a person looks like the first.
    project.change(**{"domains.source.pairs.single_and_complete": False, "domains.source.pairs.different_bits": 64})
    code, output = project.run("pairs@source", check=False)
    assert code != 0
    assert "domains.source.pairs.max_quarantined" in output
    assert "of 64 bits differ (pairs.different_bits)" in output


def test_a_copy_of_a_picture_under_another_name_is_set_aside(tmp_path):
    from tests.stages.corpus import people, put, saved

    raw = tmp_path / "raw"
    for name, picture in people().items():
        put(raw / f"{name}.png", saved(picture, "PNG"))
    again = Image.fromarray(people()["ada_1"]).resize((352, 512))
    again.save(raw / "ada_again.jpg", quality=70)
    project = Project(
        tmp_path / "project",
        **{
            "domains.source.raw": str(raw),
            "domains.source.ingest.source": "folder",
            "domains.source.pairs.different_bits": 3,
        },
    )
    project.run_here(*(f"{stage}@source" for stage in ("ingest", "crop", "keypoints", "parsing", "edges", "pairs")))
    rows = quarantine.read(project.path("pairs", "source", "quarantine.csv"))
    [(name, reason)] = [row for row in rows if "different_bits" in row[1]]
    assert name == "ada_again"
    assert reason.startswith("looks like ada_1: ")
    assert "ada_again" not in {name for pair in pairs_of(project) for name in pair[:2]}
    assert "ada_again" not in accepted(project)
