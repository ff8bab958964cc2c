"""Real pictures through the data stages; skipped where they are not at hand."""

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.imports import ROOT
from stages.artifacts import read_keypoints
from tests.stages.conftest import Project

REAL = ROOT.parent / "shared" / "realdata"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not at hand")


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    changes = {
        "domains.source.raw": str(REAL / "deepfashion"),
        "domains.source.ingest.source": "folder",
        "domains.source.crop.mode": "columns",
    }
    project = Project(tmp_path_factory.mktemp("fashion"), **changes)
    stages = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack")
    project.run_here(*(f"{stage}@source" for stage in stages))
    return project


def test_deepfashion_pictures_and_pairs_are_packed(fashion):
    with h5py.File(fashion.path("pack", "source.h5")) as file:
        assert file["images"].shape == (38, 256, 176, 3)
        assert sum(len(file[f"pairs/{split}"]) for split in ("train", "val", "test")) == 22


def test_key_points_moved_with_the_columns(fashion):
    before = read_keypoints(fashion.path("ingest", "source", "annotation.parquet"))
    after = read_keypoints(fashion.path("keypoints", "source", "keypoints.parquet"))
    kept = 0
    for name, joints in after.items():
        there = joints[:, 2] > 0
        kept += there.sum()
        # x of the 256-wide picture less 40 columns, y as it was; what left the frame is missing.
        assert np.allclose(joints[there, 0], before[name][there, 0] - 40)
        assert np.allclose(joints[there, 1], before[name][there, 1])
        gone = (before[name][:, 2] > 0) & ~there
        assert ((before[name][gone, 0] < 40) | (before[name][gone, 0] > 215)).all()
    assert kept > 400


def test_the_pairs_keep_the_lists_order(fashion):
    listed = pd.read_csv(REAL / "deepfashion" / "pairs.csv")
    packed = pd.read_parquet(fashion.path("pairs", "source", "pairs.parquet"))
    stems = listed.apply(lambda column: column.str.rsplit(".", n=1).str[0])
    assert packed[["from", "to"]].to_numpy().tolist() == stems[["from", "to"]].to_numpy().tolist()
