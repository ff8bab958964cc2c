"""`posewright export` as it is called."""

import shutil

import numpy as np
import pandas as pd
import pytest

from pipeline.exports import LAYOUTS
from pipeline.imports import ROOT
from pipeline.packed import Picture, write_pack
from stages import artifacts, commands

NAMES = ("mage/idle", "mage/run", "rogue/sit")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params.yaml, a pack of three pictures and the catalog."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    plane = np.zeros((256, 176), np.uint8)
    joints = np.full((18, 3), 50, np.float32)
    rows = [
        Picture(name, name.split("/")[0], np.full((256, 176, 3), 90, np.uint8), joints, None, plane, plane, plane)
        for name in NAMES
    ]
    write_pack(
        artifacts.pack("source"),
        rows,
        count=3,
        pairs={"train": np.array([(0, 1), (1, 0)], np.int32)},
        size=(176, 256),
        sigma_px=6,
        source="folder",
        with_heatmaps=False,
    )
    catalog = pd.DataFrame({"id": list(NAMES), "split": ["train", "train", "val"]})
    artifacts.write_table(artifacts.artifact("ingest", "source", "catalog.parquet"), catalog)
    return tmp_path


def call(*words):
    return commands.main(["export", "--domain", "source", *words])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_written_and_told(layout, project, capsys):
    assert call("--layout", layout, "--out", "out") == 0
    told = capsys.readouterr().out
    assert "train: 2 pictures, 2 pairs\nval: 1 pictures, 0 pairs\n" in told
    assert "out: " in told.splitlines()[-1]
    assert (project / "out" / "export.json").is_file()


def test_what_is_asked_for_must_be_there(project, capsys):
    assert call("--layout", "coco", "--out", "out", "--split", "test") == 1
    assert "--split test: the domain source has no picture there" in capsys.readouterr().err
    assert not (project / "out").exists()
    assert commands.main(["export", "--domain", "target", "--layout", "coco", "--out", "out"]) == 1
    assert "there is no data/pack/target.h5: run `dvc repro pack@target`" in capsys.readouterr().err
    assert commands.main(["export", "--domain", "nobody", "--layout", "coco", "--out", "out"]) == 1
    assert "there is no domain 'nobody'" in capsys.readouterr().err


def test_a_full_folder_and_an_unwritable_place_are_named(project, capsys):
    assert call("--layout", "patn", "--out", ".") == 1
    assert "is not empty and no export of this program's" in capsys.readouterr().err
    assert call("--layout", "patn", "--out", "params.yaml/x") == 1
    assert "--out params.yaml/x" in capsys.readouterr().err


def test_help_lists_the_layouts_that_there_are(capsys):
    with pytest.raises(SystemExit):
        commands.main(["export", "--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {layout} " in told for layout in LAYOUTS)
    assert "posewright export --layout adgan" in told
