"""Real folders and the lists that everyone uses; skipped where they are absent."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.crops import find_move
from pipeline.people import labels
from pipeline.people.pairs import PairRules, assign_splits, make_pairs
from pipeline.people.skeleton import is_present
from pipeline.sources import read
from pipeline.sources.annotations import find_frame, read_annotation
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.names import Names, person_and_pose, without_suffix
from pipeline.sources.pair_lists import match_pairs
from pipeline.sources.pictures import check_picture, load_picture

REAL = Path(__file__).resolve().parents[4] / "shared" / "realdata"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not here")


def lines(name):
    return (REAL / "official_lists" / name).read_text().split()


def checked(raw, entry):
    return check_picture(load_picture(raw, entry.path), min_size_px=48, max_pixels=60_000_000)


def test_deepfashion_is_read_whole():
    raw = REAL / "deepfashion"
    source = read("folder", raw)
    assert len(source.entries) == len(source.annotations) == 38
    assert len(source.pairs) == 22
    assert not source.set_aside
    assert not source.pairs_set_aside
    person = {entry.id: entry.person for entry in source.entries}
    assert all(person[start] == person[end] and start != end for start, end, _ in source.pairs)
    assert all(entry.person.startswith("fashion") and entry.pose[0].isdigit() for entry in source.entries)


def test_deepfashion_is_cropped_by_the_fields_rule_and_joints_follow():
    raw = REAL / "deepfashion"
    source = read("folder", raw)
    with (raw / "annotation.csv").open() as file:
        rows = {row["name"].strip(): row for row in csv.DictReader(file, delimiter=":")}
    for entry in source.entries:
        picture = checked(raw, entry)
        move = find_move("columns", (256, 256), (176, 256))
        np.testing.assert_array_equal(move.picture(picture), picture[:, 40:216])
        x = np.array(json.loads(rows[f"{entry.id}.jpg"]["keypoints_x"]))
        joints = move.joints(source.annotations[entry.id])
        there = is_present(joints)
        np.testing.assert_array_equal(there, (x >= 40) & (x < 216))
        np.testing.assert_allclose(joints[there, 0], x[there] - 40)


def test_cartoon3d_is_two_persons_in_seven_poses():
    raw = REAL / "cartoon3d"
    source = read("folder", raw)
    assert Counter(entry.person for entry in source.entries) == {"mage": 7, "rogue": 7}
    assert all(checked(raw, entry).shape == (256, 176, 3) for entry in source.entries)
    splits = assign_splits(source.entries, val=0, test=0.3)
    assert Counter(splits.values()) == {"train": 10, "test": 4}
    catalog = pd.DataFrame([(e.id, e.person, e.pose, splits[e.id]) for e in source.entries])
    catalog.columns = ["id", "person", "pose", "split"]
    table, _ = make_pairs(
        catalog, {e.id: np.ones((18, 3), np.float32) for e in source.entries}, PairRules(include_self=True)
    )
    assert Counter(table["split"]) == {"train": 2 * 5 * 5, "test": 2 * (5 * 2 + 2)}


def test_the_official_pairs_are_read_without_loss():
    stems = {without_suffix(name) for name in lines("test.lst")}
    path = REAL / "official_lists" / "fashion-pairs-test.csv"
    pairs, bad = match_pairs(path, path.name, Names(stems))
    assert len(pairs) == 8570
    assert not bad
    with path.open() as file:
        expected = [(without_suffix(row["from"]), without_suffix(row["to"])) for row in csv.DictReader(file)]
    assert [(start, end) for start, end, _ in pairs] == expected
    assert {split for *_, split in pairs} == {"test"}
    assert all(person_and_pose(start)[0] == person_and_pose(end)[0] for start, end, _ in pairs)


def test_the_official_pairs_find_pictures_in_the_other_spelling():
    old = {without_suffix(name).replace("fashion", "fasion") for name in lines("test.lst")}
    path = REAL / "official_lists" / "fashion-pairs-test.csv"
    pairs, bad = match_pairs(path, path.name, Names(old))
    assert len(pairs) == 8570
    assert not bad


@pytest.mark.parametrize(
    ("name", "size", "count"),
    [("fasion-annotation-test.csv", (256, 256), 4038), ("market-annotation-test.csv", (64, 128), 19732)],
)
def test_the_official_annotations_are_read_without_loss(name, size, count):
    rows, bad = read_annotation(REAL / "official_lists" / name, name)
    assert len(rows) == count
    assert not bad
    joints = {row.name: row.joints for row in rows}
    assert len(joints) == count
    assert find_frame(joints, dict.fromkeys(joints, size)) == "own"
    with (REAL / "official_lists" / name).open() as file:
        present = sum(
            len(json.loads(row["keypoints_x"])) - json.loads(row["keypoints_x"]).count(-1)
            for row in csv.DictReader(file, delimiter=":")
        )
    assert sum(int(is_present(each).sum()) for each in joints.values()) == present


def test_the_official_annotation_beside_cropped_pictures_is_bordered():
    rows, _ = read_annotation(REAL / "official_lists" / "fasion-annotation-test.csv", "x")
    joints = {row.name: row.joints for row in rows}
    assert find_frame(joints, dict.fromkeys(joints, (176, 256))) == "bordered"


def test_every_official_name_has_a_person():
    names = [without_suffix(name) for name in lines("train.lst") + lines("test.lst")]
    assert len(names) == len(set(names)) == 52_712
    persons = [person_and_pose(name) for name in names]
    assert all(person.startswith("fashion") and pose[0].isdigit() for person, pose in persons)
    assert not {person for person, _ in persons[:48_674]} & {person for person, _ in persons[48_674:]}


def test_ccp_brings_labels_and_joints():
    raw = REAL / "ccp"
    source = read("folder", raw)
    assert len(source.entries) == len(source.annotations) == len(source.label_paths) == 891
    for entry in source.entries[::100]:
        path = source.label_paths[entry.id]
        picture = checked(raw, entry)
        found = decode_labels(load_picture(raw, path), path, vocabulary="ours", size=(176, 256))
        assert found.shape == picture.shape[:2]
        joints = source.annotations[entry.id]
        there = is_present(joints)
        x, y = np.rint(joints[there, :2]).astype(int).T
        assert (found[np.clip(y, 0, 255), np.clip(x, 0, 175)] > 0).mean() > 0.5


def test_cihp_labels_are_merged():
    raw = REAL / "cihp"
    source = read("folder", raw)
    assert len(source.label_paths) == 5
    for entry in source.entries:
        height, width = checked(raw, entry).shape[:2]
        path = source.label_paths[entry.id]
        found = decode_labels(load_picture(raw, path), path, vocabulary="cihp", size=(width, height))
        assert 1 < len(np.unique(found)) <= 8


def test_anime_has_three_characters():
    source = read("folder", REAL / "anime2d")
    assert {entry.person for entry in source.entries} == {"eileen", "lucy", "sylvie"}
    assert all((checked(REAL / "anime2d", entry)[0, 0] == 255).all() for entry in source.entries)


def test_mpv_brings_openpose_joints_and_cihp_maps():
    """The rectangle around the face label holds the nose, and hands lie on arms, clothes or trousers."""
    raw = REAL / "mpv"
    source = read("folder", raw)
    assert len(source.entries) == len(source.annotations) == len(source.label_paths) == 5
    on_person = []
    for entry in source.entries:
        picture = checked(raw, entry)
        path = source.label_paths[entry.id]
        size = (picture.shape[1], picture.shape[0])
        found = decode_labels(load_picture(raw, path), path, vocabulary="cihp", size=size)
        joints = source.annotations[entry.id]
        there = is_present(joints) & (joints[:, 1] < size[1] - 1) & (joints[:, 0] < size[0] - 1)
        x, y = np.rint(joints[there, :2]).astype(int).T
        on_person.append((found[y, x] > 0).mean())
        if is_present(joints)[0] and "front" in entry.id:
            assert found[int(joints[0, 1]), int(joints[0, 0])] in (labels.FACE, labels.HAIR)
    assert np.mean(on_person) > 0.9


def test_spts_demo_brings_joints_with_blanks_and_maps_beside_the_pictures():
    raw = REAL / "spt_demo"
    source = read("folder", raw)
    assert set(source.annotations) == set(source.label_paths) == {"2_A", "2_B", "3_A", "3_B"}
    assert source.annotations["2_B"][2].tolist() == [90, 87, 1]  # right shoulder: x 90, y 87
    found = decode_labels(load_picture(raw, "2_B.npy"), "2_B.npy", vocabulary="spt", size=(256, 256))
    shoulders = source.annotations["2_B"][[2, 5], :2].astype(int)
    assert [found[y, x] for x, y in shoulders] == [labels.ARM] * 2  # no sleeves


def test_two_parsers_of_one_photograph_agree_in_our_labels():
    data = {name: (REAL / "schp" / f"demo_{name}.png").read_bytes() for name in ("lip", "atr")}
    found = {
        name: decode_labels(data[name], f"demo_{name}.png", vocabulary=name, size=(2000, 1333))
        for name in ("lip", "atr")
    }
    assert (found["lip"] == found["atr"]).mean() > 0.8
    mistaken = decode_labels(data["atr"], "demo_atr.png", vocabulary="lip", size=(2000, 1333))
    assert (mistaken == found["lip"]).mean() < (found["atr"] == found["lip"]).mean()
