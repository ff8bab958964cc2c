"""Pictures of 64x128 through every stage: real ones where they are at hand, as Market-1501 is distributed."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.imports import ROOT
from stages.artifacts import read_keypoints
from tests.stages.conftest import DATA_STAGES, Project
from tests.stages.test_training_stages import TINY

STRIPS = ROOT.parent / "shared" / "realdata" / "market1501"
SIZE = {
    f"domains.{domain}.crop.{side}": px
    for domain in ("source", "target")
    for side, px in (("width", 64), ("height", 128))
}

pytestmark = pytest.mark.skipif(not STRIPS.is_dir(), reason="the real pictures are not at hand")


def cut_strips(raw, count):
    """A strip holds source, target and somebody's generated picture; its name those of the first two."""
    for index, path in enumerate(sorted(STRIPS.glob("*.png"))[:count]):
        folder = raw / ("bounding_box_test" if index >= count - 2 else "bounding_box_train")
        folder.mkdir(parents=True, exist_ok=True)
        names = re.findall(r"\d{4}_c\ds\d_\d{6}_\d{2}", path.name)
        with Image.open(path) as strip:
            for number, name in enumerate(names):
                strip.convert("RGB").crop((64 * number, 0, 64 * number + 64, 128)).save(
                    folder / f"{name}.jpg", quality=98
                )


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    raw = tmp_path_factory.mktemp("market")
    cut_strips(raw, 5)
    project = Project(
        tmp_path_factory.mktemp("project"),
        **SIZE,
        **{
            "domains.source.raw": str(raw),
            "domains.source.ingest.source": "market1501",
            "domains.source.crop.mode": "resize",
            "domains.source.crop.shards": 1,
            "domains.source.keypoints.max_people": 3,
        },
    )
    project.run_here(*(f"{stage}@source" for stage in DATA_STAGES))
    return project


def test_the_pack_has_the_networks_size(market):
    with h5py.File(market.path("pack", "source.h5")) as file:
        count = len(file["images"])
        assert count >= 8
        assert file["images"].shape == (count, 128, 64, 3)
        assert file["heatmaps"].shape == (count, 18, 128, 64)
        assert file["parsing"].shape == file["edges"].shape == file["mask"].shape == (count, 128, 64)
        assert min(len(file["pairs/train"]), len(file["pairs/test"])) >= 2


def test_pictures_are_not_changed(market):
    """64x128 to 64x128 is a copy: the pack holds what the files hold."""
    catalog = pd.read_parquet(market.path("ingest", "source", "catalog.parquet")).set_index("id")
    with h5py.File(market.path("pack", "source.h5")) as file:
        names = file["names"].asstr()[:]
        for row in (0, len(names) - 1):
            with Image.open(f"{market.raw['domains']['source']['raw']}/{catalog.loc[names[row], 'path']}") as picture:
                np.testing.assert_array_equal(file["images"][row], np.asarray(picture.convert("RGB")))


def test_joints_and_labels_lie_where_people_do(market):
    """Of a picture that was drawn around a person: a standing body from top to bottom, on its labels."""
    joints = read_keypoints(market.path("keypoints", "source", "keypoints.parquet"))
    heights = [np.ptp(found[found[:, 2] > 0.3, 1]) for found in joints.values() if (found[:, 2] > 0.3).sum() > 5]
    assert np.median(heights) > 80
    with h5py.File(market.path("pack", "source.h5")) as file:
        for labels, found in zip(file["parsing"][:], file["keypoints"][:], strict=True):
            assert 0.1 < (labels > 0).mean() < 0.9
            sure = found[found[:, 2] > 0.5]
            x, y = np.rint(sure[:, :2]).astype(int).T
            assert not len(sure) or (labels[np.clip(y, 0, 127), np.clip(x, 0, 63)] > 0).mean() > 0.4


@pytest.mark.slow
def test_a_method_is_trained_carried_over_and_scored(market):
    market.raw["domains"]["target"]["figures"]["poses"] = 3
    market.raw["pretrain"] |= TINY
    market.raw["finetune"] |= TINY
    market.raw["adgan"] |= {"width": 0.06, "perceptual": 0.1, "contextual": 0.1}
    market.change(**{"evaluate.max_pairs": 6, "evaluate.grid_rows": 2, "domains.target.keypoints.max_quarantined": 0.9})
    market.run(*(f"{stage}@target" for stage in DATA_STAGES))
    market.run("pretrain@adgan", "finetune@adgan", "evaluate@adgan", "results", "report")
    rows = pd.read_csv(market.path("evaluate", "adgan", "rows.csv"))
    assert {"source", "target"} == set(rows["domain"])
    assert np.isfinite(rows["value"]).all()
