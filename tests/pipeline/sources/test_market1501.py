"""Market-1501 as distributed; who is left out, and the splits of the folders."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.sources import read

NAMES = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000301_01.jpg", "0007_c1s6_028546_01.jpg"],
    "bounding_box_test": [
        "0001_c1s1_001051_03.jpg",
        "0001_c2s1_000976_01.jpg",
        "0000_c1s1_000151_01.jpg",
        "-1_c1s1_000401_03.jpg",
    ],
    "query": ["0001_c1s1_001051_00.jpg.jpg"],
    "gt_bbox": ["0001_c1s1_001051_00.jpg", "0003_c1s1_001051_00.jpg"],
}
OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "realdata" / "official_lists"


def picture(colour=(10, 10, 200)):
    out = io.BytesIO()
    Image.new("RGB", (64, 128), colour).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def tree(tmp_path):
    for folder, names in NAMES.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(picture())
    return tmp_path


def test_splits_are_the_folders_and_distractors_are_left_out(tree):
    source = read("market1501", tree)
    assert Counter((entry.person, entry.split) for entry in source.entries) == {
        ("0001", "test"): 3,
        ("0002", "train"): 2,
        ("0007", "train"): 1,
    }
    assert {name.rpartition("/")[2][:2] for name, _ in source.left_out} == {"-1", "00"}
    assert not source.set_aside
    assert any("2 pictures of gt_bbox" in note for note in source.notes)


@pytest.mark.parametrize("home", ["", "Market-1501-v15.09.15/"])
def test_renamed_folders_in_a_zip(tree, tmp_path, home):
    renamed = {"bounding_box_train": "train", "bounding_box_test": "test", "query": "query"}
    with zipfile.ZipFile(tmp_path / "market.zip", "w") as file:
        for folder, new in renamed.items():
            for name in NAMES[folder]:
                file.writestr(f"{home}{new}/{name}", picture())
    entries = read("market1501", tmp_path / "market.zip").entries
    assert Counter((entry.person, entry.split) for entry in entries) == {
        ("0001", "test"): 3,
        ("0002", "train"): 2,
        ("0007", "train"): 1,
    }


def test_pairs_and_joints_match_by_name(tree):
    (tree / "market-pairs-train.csv").write_text("from,to\n0002_c1s1_000451_03.jpg,0002_c2s1_000301_01.jpg\n")
    numbers = list(range(18))
    (tree / "market-annotation-test.csv").write_text(
        f"name:keypoints_y:keypoints_x\n0001_c1s1_001051_03.jpg: {numbers}: {numbers}\n"
    )
    source = read("market1501", tree)
    assert [split for *_, split in source.pairs] == ["train"]
    (joints,) = source.annotations.values()
    assert joints[5].tolist() == [5, 5, 1]


def test_other_names_are_set_aside(tree):
    (tree / "bounding_box_train" / "holiday.jpg").write_bytes(picture())
    ((name, reason),) = read("market1501", tree).set_aside
    assert name == "bounding_box_train/holiday.jpg"
    assert "PPPP_cCsS_FFFFFF_BB" in reason


def test_a_folder_of_other_pictures_says_what_is_expected(tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture())
    with pytest.raises(UserError, match=r"holds no pictures of Market-1501.*domains\.source\.raw"):
        read("market1501", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official lists are not here")
def test_the_official_lists(tmp_path):
    rows = (OFFICIAL / "market-annotation-test.csv").read_text().splitlines()[1:]
    with zipfile.ZipFile(tmp_path / "bounding_box_test.zip", "w") as file:
        for row in rows:
            file.writestr(f"bounding_box_test/{row.partition(':')[0]}", b"x")
    for name in ("market-annotation-test.csv", "market-pairs-test.csv"):
        (tmp_path / name).write_text((OFFICIAL / name).read_text())
    source = read("market1501", tmp_path)
    strangers = sum(row.startswith(("0000_", "-1_")) for row in rows)
    assert len(source.left_out) == strangers == 6_617
    assert not source.set_aside
    assert len(source.entries) == len(rows) - strangers == len(source.annotations)
    assert {entry.split for entry in source.entries} == {"test"}
    assert len(source.pairs) == 12_000
