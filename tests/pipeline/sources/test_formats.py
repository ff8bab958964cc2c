"""Joints, pairs and splits in the forms that other programs write, in small files with known numbers."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.people.skeleton import JOINTS, MISSING
from pipeline.sources import Options, read
from pipeline.sources.coco import read_coco
from pipeline.sources.openpose import read_people
from pipeline.sources.pose_text import read_pose_text


def picture(path, size=(100, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def points(count, at, step=1.0, score=0.5):
    """x, y, score of `count` points in a flat list: (at, at + 10), then one `step` to the right each."""
    return [value for index in range(count) for value in (at + step * index, at + 10, score)]


def person(values, key="pose_keypoints_2d"):
    return {key: values, "face_keypoints_2d": []}


def ids(source):
    return [entry.id for entry in source.entries]


@pytest.mark.parametrize("key", ["pose_keypoints_2d", "pose_keypoints"])
def test_openpose_of_18_points_is_our_order(tmp_path, key):
    values = points(18, 5)
    values[3 * 4 : 3 * 5] = [0, 0, 0]
    [joints] = read_people(put(tmp_path / "a_keypoints.json", {"version": 1.3, "people": [person(values, key)]}))
    assert joints[JOINTS.index("nose")].tolist() == [5, 15, 0.5]
    assert joints[JOINTS.index("left_ear")].tolist() == [22, 15, 0.5]
    assert joints[JOINTS.index("right_wrist")].tolist() == list(MISSING)


def test_openpose_of_25_points_leaves_the_middle_of_the_hips_and_the_feet_out(tmp_path):
    [joints] = read_people(put(tmp_path / "a.json", {"people": [person(points(25, 0))]}))
    # BODY_25 by its published numbers: 7 left wrist, 9 right hip, 11 right ankle, 14 left ankle, 15 right eye, 18 left ear
    numbers = {"left_wrist": 7, "right_hip": 9, "right_ankle": 11, "left_hip": 12, "left_ankle": 14, "right_eye": 15}
    numbers |= {"left_eye": 16, "right_ear": 17, "left_ear": 18, "neck": 1}
    for name, number in numbers.items():
        assert joints[JOINTS.index(name), 0] == number, name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "has no list 'people'"),
        ({"people": [{"x": 1}]}, r"people\[0\].pose_keypoints_2d must be a list .*found None"),
        ({"people": [person([1, 2, 3])]}, "18 or 25 points of x, y, score; found 3 values"),
        ({"people": [person(points(18, 5)), person(["7"] * 54)]}, r"people\[1\].pose_keypoints_2d holds '7'"),
        ({"people": [person([float("nan")] * 54)]}, "holds nan"),
        ({"people": [person([0.5] * 54)]}, "--keypoint_scale 0"),
    ],
)
def test_what_is_wrong_with_an_openpose_file_is_named(tmp_path, text, reason):
    with pytest.raises(ValueError, match=reason):
        read_people(put(tmp_path / "a.json", text))


def test_of_several_people_the_largest_counts_and_files_are_found_by_name(tmp_path):
    for name in ("images/mage/idle.png", "images/mage/sit.png", "images/rogue/idle.png", "images/rogue/run.png"):
        picture(tmp_path / name)
    small, large = person(points(18, 5, step=0.1)), person(points(18, 20, step=2))
    large["pose_keypoints_2d"][1] = 190
    put(tmp_path / "openpose/mage/idle_keypoints.json", {"people": [small, large]})
    put(tmp_path / "openpose/sit_keypoints.json", {"people": [small]})
    put(tmp_path / "openpose/rogue/run_keypoints.json", {"people": []})
    put(tmp_path / "openpose/gone_keypoints.json", {"people": [small]})
    put(tmp_path / "openpose/rogue/idle_keypoints.json", {"people": [person([1, 2])]})
    source = read("folder", tmp_path)
    assert set(source.annotations) == {"mage/idle", "mage/sit"}
    assert source.annotations["mage/idle"][0].tolist() == [20, 190, 0.5]
    [(name, reason)] = source.set_aside
    assert name == "openpose/rogue/idle_keypoints.json"
    assert "found 2 values" in reason
    told = "\n".join(source.notes)
    assert "1 pictures show several people; the one with the largest box counts" in told
    assert "1 files show nobody, the first: openpose/rogue/run_keypoints.json" in told
    assert "fit no picture, the first: openpose/gone_keypoints.json" in told


def coco(annotations, images=None, **more):
    images = images or [{"id": 1, "file_name": "a_1.png", "width": 100, "height": 200}]
    return {"info": {}, "images": images, "annotations": annotations, **more}


def test_coco_is_read_by_its_17_names(tmp_path):
    values = points(17, 3, score=2)
    values[3 * 9 + 2] = 1  # left wrist: hidden
    values[3 * 16 + 2] = 0  # right ankle: not annotated
    [row], bad, crowds = read_coco(put(tmp_path / "x.json", coco([{"image_id": 1, "keypoints": values}])), "x.json")
    assert (row.name, row.size, bad, crowds) == ("a_1.png", (100, 200), [], 0)
    at = dict(zip(JOINTS, row.joints.tolist(), strict=True))
    assert at["nose"] == [3, 13, 1]
    assert at["left_eye"] == [4, 13, 1]
    assert at["right_eye"] == [5, 13, 1]
    assert at["left_shoulder"] == [8, 13, 1]
    assert at["right_shoulder"] == [9, 13, 1]
    assert at["neck"] == [8.5, 13, 1]
    assert at["left_wrist"] == [12, 13, 0.5]
    assert at["right_ankle"] == list(MISSING)


def test_coco_names_its_own_points_and_sizes_scale_them(tmp_path):
    picture(tmp_path / "a_1.png", (100, 200))
    category = {"id": 7, "name": "person", "keypoints": ["Neck", "left shoulder", "right_ear"]}
    annotation = {"image_id": "i", "category_id": 7, "keypoints": [9.5, 19.5, 2, 4.5, 4.5, 2, 0, 0, 0]}
    images = [{"id": "i", "file_name": "train/a_1.jpg", "width": 50, "height": 100}]
    put(tmp_path / "person_keypoints_train.json", coco([annotation], images, categories=[category]))
    joints = read("folder", tmp_path).annotations["a_1"]
    assert joints[JOINTS.index("neck")].tolist() == [19.5, 39.5, 1]
    assert joints[JOINTS.index("left_shoulder")].tolist() == [9.5, 9.5, 1]
    assert (joints[:, 2] > 0).sum() == 2


def test_a_bad_annotation_of_coco_is_set_aside_by_its_number(tmp_path):
    good = {"image_id": 1, "keypoints": points(17, 3, score=2)}
    bad = [{"image_id": 2, "keypoints": []}, {"image_id": 1, "keypoints": [1]}, 7]
    box = {"image_id": 1, "bbox": [0, 0, 5, 5]}
    rows, set_aside, crowds = read_coco(put(tmp_path / "x.json", coco([good, *bad, good, box])), "x.json")
    assert (len(rows), crowds) == (1, 1)
    assert [reason.split(";")[0] for _, reason in set_aside] == [
        "x.json, annotations[1]: 'image_id' is none of the images: 2",
        "x.json, annotations[2]: 'keypoints' must be a list of 17 points of x, y, visibility",
        "x.json, annotations[3]: 'image_id' is none of the images: None",
    ]


def test_a_crowd_is_nobody(tmp_path):
    one, crowd = ({"image_id": 1, "keypoints": points(17, 3, step=step, score=2)} for step in (1, 9))
    path = put(tmp_path / "x.json", coco([crowd | {"iscrowd": 1}, one | {"iscrowd": 0}]))
    [row], set_aside, crowds = read_coco(path, "x.json")
    assert (row.joints[14, 0], set_aside, crowds) == (5, [], 0)


def test_points_of_unknown_names_are_set_aside_and_named(tmp_path):
    """Seventeen points that the category calls otherwise must not be taken for seventeen that are missing."""
    category = {"id": 1, "keypoints": ["nose", *(f"r_point{number}" for number in range(16))]}
    annotation = {"image_id": 1, "category_id": 1, "keypoints": points(17, 3, score=2)}
    path = put(tmp_path / "x.json", coco([annotation], categories=[category]))
    rows, [(name, reason)], _ = read_coco(path, "x.json")
    assert (rows, name) == ([], "a_1.png")
    assert reason.startswith("x.json, annotations[0]: category 1 calls its points 'nose, r_point0, r_point1")
    assert "call them nose, left_eye" in reason


@pytest.mark.parametrize(
    "more",
    [
        {"categories": 5},
        {"categories": {"id": 1}},
        {"categories": [{"id": [1], "keypoints": ["nose"]}, 7]},
        {"images": [{"id": [1], "file_name": "b.png"}, {"id": 1, "file_name": "a_1.png"}, 7]},
    ],
)
def test_what_has_no_id_of_coco_is_passed_over(tmp_path, more):
    annotations = [{"image_id": 1, "category_id": [1], "keypoints": points(17, 3, score=2)}]
    [row], set_aside, _ = read_coco(put(tmp_path / "x.json", coco(annotations) | more), "x.json")
    assert (row.name, set_aside) == ("a_1.png", [])


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [',
        '{"images": []}',
        '{"annotations": {}, "images": []}',
        f'{{"images": [], "annotations": [{"9" * 5000}]}}',
    ],
)
def test_a_file_that_means_to_be_coco_and_is_not_stops_the_reading(tmp_path, text):
    picture(tmp_path / "a_1.png")
    put(tmp_path / "broken.json", text)
    with pytest.raises(UserError, match=r"broken\.json .*mend or remove it"):
        read("folder", tmp_path)


def test_other_json_and_text_is_no_part_of_it(tmp_path):
    picture(tmp_path / "a_1.png")
    put(tmp_path / "settings.json", {"name": 1})
    put(tmp_path / "notes.txt", "hello, world\n")
    put(tmp_path / "empty.txt", "")
    put(tmp_path / "names.lst", "a_1.png\n")
    source = read("folder", tmp_path)
    assert source.notes[0].endswith("ignored: 1 x .json, 1 x .lst, 2 x .txt")


def test_pose_texts_are_x_then_y(tmp_path):
    lines = [f"{index} {100 + index}" for index in range(18)]
    lines[3] = "-1 -1"
    joints = read_pose_text(put(tmp_path / "a.txt", "\n".join(lines)))
    assert joints[0].tolist() == [0, 100, 1]
    assert joints[17].tolist() == [17, 117, 1]
    assert joints[3].tolist() == list(MISSING)
    with pytest.raises(ValueError, match="18 lines of x y, found 17"):
        read_pose_text(put(tmp_path / "b.txt", "\n".join(lines[1:])))
    with pytest.raises(ValueError, match="line 18 must be x y, found '7'"):
        read_pose_text(put(tmp_path / "c.txt", "\n".join([*lines[1:], "7"])))


def test_a_tree_with_pose_texts_and_target_lists_is_read_whole(tmp_path):
    """As NTED and PIDM keep DeepFashion: 256-wide coordinates, the target first."""
    views = ("02_1_front", "02_3_back", "02_7_additional")
    for view in views:
        picture(tmp_path / f"img/WOMEN/Dresses/id_00000001/{view}.jpg", (256, 256))
        lines = ["128 40"] * 9 + ["60 200"] * 8 + ["-1 -1"]
        put(tmp_path / f"pose/WOMEN/Dresses/id_00000001/{view}.txt", "\n".join(lines))
    start = "WOMEN/Dresses/id_00000001/"
    put(tmp_path / "train_pairs.txt", f"{start}{views[0]}.jpg,{start}{views[1]}.jpg,{start}{views[2]}.jpg\n")
    put(tmp_path / "test_pairs.txt", f"{start}{views[1]}.jpg, {start}{views[0]}.jpg\n\n{start}x.jpg,{start}y.jpg\n")
    source = read("folder", tmp_path)
    front, back, more = (f"{start}{view}" for view in views)
    assert source.pairs == [(front, back, "test"), (back, front, "train"), (more, front, "train")]
    assert [reason.split(":")[0] for _, reason in source.pairs_set_aside] == ["test_pairs.txt, line 3"]
    assert set(source.annotations) == {front, back, more}
    assert source.annotations[back][8].tolist() == [128, 40, 1]
    assert "train_pairs.txt: read as target,source, the order in which NTED and PIDM read it" in source.notes


def test_a_and_b_lists_are_pairs_line_by_line(tmp_path):
    for name in ("imgs/1_A.jpg", "imgs/1_B.jpg", "imgs/2_A.jpg"):
        picture(tmp_path / name, (256, 256))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train_A_parsing.txt").write_bytes(b"./imgs/1_A.jpg\r\n./imgs/2_A.jpg\r\n")
    (tmp_path / "data/train_B_parsing.txt").write_bytes(b"./imgs/1_B.jpg\r\n./imgs/9_B.jpg\r\n")
    (tmp_path / "data/test_A_example.txt").write_bytes(b"./imgs/1_A.jpg\r\n")
    source = read("folder", tmp_path)
    assert ids(source) == ["1_A", "1_B", "2_A"]
    assert source.pairs == [("1_A", "1_B", "train")]
    [(name, reason)] = source.pairs_set_aside
    assert name == "./imgs/2_A.jpg -> ./imgs/9_B.jpg"
    assert reason.startswith("data/train_A_parsing.txt, line 2: './imgs/9_B.jpg': there is no such picture")
    assert any("there is no list data/test_B_example.txt beside it" in note for note in source.notes)
    (tmp_path / "data/test_B_example.txt").write_bytes(b"./imgs/1_B.jpg\r\n./imgs/1_B.jpg\r\n")
    with pytest.raises(UserError, match=r"test_A_example\.txt has 1 lines and data/test_B_example\.txt 2"):
        read("folder", tmp_path)


def test_lists_of_a_splits_pictures_give_the_split(tmp_path):
    for name in ("a_1.png", "a_2.png", "b_1.png", "test/c_1.png"):
        picture(tmp_path / name)
    put(tmp_path / "train.lst", "a_1.jpg\na_2.jpg\nc_1.jpg\n")
    put(tmp_path / "test.lst", "b_1.jpg\nzz.jpg\n")
    source = read("folder", tmp_path)
    splits = {entry.id: entry.split for entry in source.entries}
    assert splits == {"a_1": "train", "a_2": "train", "b_1": "test", "test/c_1": "test"}
    assert any("test.lst: 1 of 2 lines fit no picture" in note for note in source.notes)


def test_copies_in_train_and_test_are_told_apart_by_the_lists_name(tmp_path):
    for name in ("train/a_1.png", "train/a_2.png", "test/a_1.png", "test/a_3.png"):
        picture(tmp_path / name)
    put(tmp_path / "pairs-train.csv", "from,to\na_1.jpg,a_2.jpg\n")
    put(tmp_path / "pairs-test.csv", "from,to\na_1.jpg,a_3.jpg\n")
    put(tmp_path / "annotation-test.csv", f"name:keypoints_y:keypoints_x\na_1.jpg: {[9] * 18}: {[8] * 18}\n")
    (tmp_path / "labels").mkdir()
    Image.new("L", (100, 200)).save(tmp_path / "labels/a_1.png")
    source = read("folder", tmp_path)
    assert set(source.pairs) == {("train/a_1", "train/a_2", "train"), ("test/a_1", "test/a_3", "test")}
    assert set(source.annotations) == {"test/a_1"}
    assert set(source.label_paths) == {"train/a_1", "test/a_1"}
    assert not source.pairs_set_aside


def test_an_array_beside_its_picture_is_a_label_map(tmp_path):
    picture(tmp_path / "a_1.jpg")
    np.save(tmp_path / "a_1.npy", np.zeros((200, 100), np.int8))
    (tmp_path / "trainK").mkdir()
    np.save(tmp_path / "trainK/a_1.jpg.npy", np.zeros((200, 100, 18), np.uint8))
    source = read("folder", tmp_path)
    assert source.label_paths == {"a_1": "a_1.npy"}
    assert any("not used: 1 in trainK/" in note for note in source.notes)


@pytest.mark.parametrize("frame", ["cropped", "bordered"])
def test_every_form_is_seen_to_be_counted_in_another_frame(tmp_path, frame):
    """256x256 pictures beside 176-wide texts, and 176x256 pictures beside 256-wide ones."""
    wide = frame == "cropped"
    rng = np.random.default_rng(0)
    for index in range(6):
        picture(tmp_path / f"p_{index}.png", (256, 256) if wide else (176, 256))
        x = np.round(rng.uniform(30, 146, 18)).astype(int) + (0 if wide else 40)
        put(tmp_path / f"pose/p_{index}.txt", "\n".join(f"{value} 100" for value in x))
    source = read("folder", tmp_path)
    expected = x + (40 if wide else -40)
    np.testing.assert_allclose(source.annotations["p_5"][:, 0], expected)
    assert any("x counted in" in note and ("middle" in note) for note in source.notes)
    plain = read("folder", tmp_path, Options(keypoints_frame="own")).annotations["p_5"]
    np.testing.assert_allclose(plain[:, 0], x)
