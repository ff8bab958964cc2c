"""Exports: what the original programs open, and that our own reader gets the same back."""

import csv
import hashlib
import io
import json
import tarfile

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.exports import LAYOUTS, Selection, export
from pipeline.exports.lists import annotation_csv
from pipeline.exports.spt import with_sides
from pipeline.packed import Pack, Picture, write_pack
from pipeline.people import labels, skeleton
from pipeline.people.edges import draw_edges
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import is_present
from pipeline.render import plan, render
from pipeline.sources import read
from pipeline.sources.annotations import read_annotation
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.names import without_suffix
from pipeline.sources.pictures import load_picture

SIZE = (176, 256)
# Of DeepFashion, of a folder for each person, and with letters that some file systems mind.
NAMES = {
    "WOMEN/Blouses_Shirts/id_00000693/02_1_front": ("shirt", "train"),
    "WOMEN/Blouses_Shirts/id_00000693/02_3_back": ("shirt", "train"),
    "WOMEN/Blouses_Shirts/id_00000693/02_1_front~flip": ("shirt", "train"),
    "WOMEN/Blouses_Shirts/id_00000693/02_3_back~flip": ("shirt", "train"),
    "rogue/idle: \u00e4": ("rogue", "train"),
    "rogue/run": ("rogue", "test"),
    "rogue/sit": ("rogue", "test"),
}
PAIRS = {"train": [(1, 0), (0, 1), (3, 2), (4, 4)], "test": [(4, 5), (6, 5)]}
READ_AGAIN = {"adgan": "adgan", "patn": None, "gfla": "pise", "spt": "spt", "scagan": None, "coco": "ours"}
OF_FILES = ("adgan", "patn", "gfla", "scagan")


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Seven rendered pictures with exact joints and labels; a shoulder and a wrist are missing."""
    specs = plan("natural", people=4, poses=2, seed=0)
    rows = []
    for spec, (name, (person, _)) in zip(specs, NAMES.items(), strict=False):
        figure = render(spec, width=SIZE[0], height=SIZE[1])
        joints = np.float32(figure.joints).copy()
        joints[skeleton.LEFT_WRIST] = skeleton.MISSING
        mask = body_mask(joints, width=SIZE[0], height=SIZE[1])
        edges = draw_edges(figure.image)
        rows.append(Picture(name, person, figure.image, joints, None, figure.labels, mask, edges))
    path = tmp_path_factory.mktemp("pack") / "source.h5"
    pairs = {split: np.array(rows_, np.int32) for split, rows_ in PAIRS.items()}
    write_pack(path, rows, count=len(rows), pairs=pairs, size=SIZE, sigma_px=6, source="folder", with_heatmaps=False)
    return Pack(path)


def quiet(values, title):
    return values


def chosen_of(pack, splits=("train", "val", "test")):
    return Selection(pack, splits, {name: split for name, (_, split) in NAMES.items() if "~" not in name})


def write(layout, pack, out, splits=("train", "val", "test")):
    export(layout, chosen_of(pack, splits), out, domain="source", track=quiet)
    return out


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names_of(folder):
    with (folder / "names.csv").open(encoding="utf-8") as file:
        return {row["name"]: row["file"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_pack_gives_the_same_bytes(layout, pack, tmp_path):
    first = digests(write(layout, pack, tmp_path / "a"))
    assert first == digests(write(layout, pack, tmp_path / "b"))
    # A second export of the same is allowed, and leaves nothing of another behind.
    write(layout, pack, tmp_path / "a", ("test",))
    (tmp_path / "a" / "checkpoint.pth").write_bytes(b"mine")
    again = digests(write(layout, pack, tmp_path / "a"))
    assert again.pop("checkpoint.pth")
    assert again == first


@pytest.mark.parametrize("layout", READ_AGAIN)
def test_what_was_exported_is_read_again(layout, pack, tmp_path):
    out = write(layout, pack, tmp_path / "out")
    source = read("folder", out)
    assert not source.pairs_set_aside
    assert not source.set_aside
    stems = dict(zip(pack.names, chosen_of(pack).plain_names, strict=True)) if layout == "coco" else names_of(out)
    name_of = {file: name for name, file in stems.items()}
    # In folders of phases a picture that tests start from has a copy.
    found = {entry.id: name_of[entry.id.removeprefix("train/").removeprefix("test/")] for entry in source.entries}
    assert set(found.values()) == set(pack.names)
    row_of = {name: row for row, name in enumerate(pack.names)}
    for entry in source.entries:
        name = found[entry.id]
        split = "train" if "~" in name else NAMES[name][1]
        assert entry.split == split or entry.id.startswith("test/"), entry.id
        check_joints(source.annotations[entry.id], pack.keypoints[row_of[name]], layout)
        if vocabulary := READ_AGAIN[layout]:
            check_labels(out, source.label_paths[entry.id], pack.parsing(row_of[name]), vocabulary, layout)
    pairs = {split: [] for split in PAIRS}
    for start, end, split in source.pairs:
        pairs[split].append((row_of[found[start]], row_of[found[end]]))
    assert pairs == PAIRS
    # The persons are told apart by the new names too.
    persons = {}
    for entry in source.entries:
        persons.setdefault(entry.person, set()).add(pack.persons[row_of[found[entry.id]]])
    assert sorted(map(sorted, persons.values())) == [["rogue"], ["shirt"]]


def check_joints(found, true, layout):
    np.testing.assert_array_equal(is_present(found), is_present(true))
    there = is_present(true)
    shift = 40 if layout == "spt" else 0
    tolerance = 0 if layout == "coco" else 0.5
    np.testing.assert_allclose(found[there, :2] - [shift, 0], true[there, :2], atol=tolerance)


def check_labels(out, path, true, vocabulary, layout):
    size = (256, 256) if layout in ("gfla", "spt") else SIZE
    found = decode_labels(load_picture(out, path), path, vocabulary=vocabulary, size=size)
    if size != SIZE:
        assert (found[:, :40] == 0).all()
        assert (found[:, 216:] == 0).all()
        found = found[:, 40:216]
    if vocabulary == "pise":
        # SPL8 does not tell legs from arms, nor skirts from pants.
        true = np.array([0, 1, 2, 3, 4, 4, 6, 6], np.uint8)[true]
    np.testing.assert_array_equal(found, true)


def test_names_are_deepfashions_and_tell_persons_apart(pack):
    names = dict(zip(pack.names, chosen_of(pack).fashion_names, strict=True))
    shirt = "WOMEN/Blouses_Shirts/id_00000693/02_"
    assert names[f"{shirt}3_back"] == "fashionWOMENBlouses_Shirtsid0000069302_3back"
    assert names[f"{shirt}3_back~flip"] == "fashionWOMENBlouses_Shirtsid0000069302_3backflip"
    assert names["rogue/run"] == "fashionWOMENOthersid0000000101_1b"
    assert names["rogue/sit"] == "fashionWOMENOthersid0000000101_1c"
    assert chosen_of(pack).plain_names[4] == "rogue/idle_ \u00e4"


def test_adgans_files_are_where_and_what_its_loader_opens(pack, tmp_path):
    """The way of the published loader: pair list, picture, pose map, label map by a path rebuilt from the name."""
    out = write("adgan", pack, tmp_path / "out")
    lines = (out / "fashion-resize-pairs-train.csv").read_text().splitlines()
    assert lines[:2] == [
        "from,to",
        "fashionWOMENBlouses_Shirtsid0000069302_3back.jpg,fashionWOMENBlouses_Shirtsid0000069302_1front.jpg",
    ]
    with Image.open(out / "train" / lines[1].split(",")[0]) as picture:
        assert (picture.format, picture.size) == ("JPEG", (176, 256))
        error = np.asarray(picture, int) - pack.image(1)
    assert np.abs(error).mean() < 2
    pose = np.load(out / "trainK" / "fashionWOMENBlouses_Shirtsid0000069302_3back.jpg.npy", allow_pickle=False)
    assert (pose.shape, pose.dtype) == ((256, 176, 18), np.uint8)
    x, y, _ = np.rint(pack.keypoints[1][skeleton.NOSE]).astype(int)
    assert np.argwhere(pose[..., 0]).tolist() == [[y, x]]
    assert pose.sum() == is_present(pack.keypoints[1]).sum() == 17
    merged = np.load(out / "semantic_merge3/WOMEN/Blouses_Shirts/id_00000693/02_3_back.npy", allow_pickle=False)
    # Its order: background, pants, hair, skirt, face, upper clothes, arm, leg
    order = ("background", "pants", "hair", "skirt", "face", "upper_clothes", "arm", "leg")
    for number, name in enumerate(order):
        np.testing.assert_array_equal(merged == number, pack.parsing(1) == labels.LABELS.index(name))
    assert (out / "train.lst").read_text().count(".jpg\n") == 5
    assert (out / "semantic_merge3/WOMEN/Others/id_00000001/01_1_b.npy").is_file()


def test_annotations_hold_y_first_and_whole_numbers(pack, tmp_path):
    out = write("patn", pack, tmp_path / "out")
    header, line, *_ = (out / "fashion-resize-annotation-test.csv").read_text().splitlines()
    assert header == "name:keypoints_y:keypoints_x"
    name, y, x = line.split(": ")
    assert name == "fashionWOMENOthersid0000000101_1a.jpg"
    joints = pack.keypoints[4]
    assert json.loads(y)[skeleton.LEFT_WRIST] == json.loads(x)[skeleton.LEFT_WRIST] == -1
    assert (json.loads(y)[1], json.loads(x)[1]) == (round(float(joints[1, 1])), round(float(joints[1, 0])))


def test_scagans_pose_maps_are_wide_and_its_edges_in_one_folder(pack, tmp_path):
    out = write("scagan", pack, tmp_path / "out")
    pose = np.load(out / "testK/fashionWOMENOthersid0000000101_1b.jpg.npy", allow_pickle=False)
    assert (pose.shape, pose.dtype) == ((256, 176, 18), np.float32)
    x, y = np.rint(pack.keypoints[5][skeleton.NECK, :2]).astype(int)
    assert pose[y, x, 1] == 1
    assert pose[y + 12, x, 1] == pytest.approx(np.exp(-0.5))
    files = sorted(path.name for path in (out / "trainE/diff").iterdir())
    assert len(files) == 7
    assert files[0] == "WOMENBlouses_Shirtsid0000069302_1front.png"
    with Image.open(out / "trainE/diff/WOMENOthersid0000000101_1b.png") as edges:
        np.testing.assert_array_equal(np.asarray(edges), pack.edges(5))


def test_gfla_and_pise_open_their_misspelt_lists(pack, tmp_path):
    out = write("gfla", pack, tmp_path / "out")
    for phase in PAIRS:
        assert (out / f"fasion-pairs-{phase}.csv").is_file()
        assert (out / f"fasion-annotation-{phase}.csv").is_file()
    with Image.open(out / "testSPL8/fashionWOMENOthersid0000000101_1b.png") as plane:
        assert (plane.mode, plane.size) == ("L", (256, 256))
        found = np.asarray(plane)[:, 40:216]
    # Background, hat, hair, upper clothes, lower, lower, skin, face
    true = pack.parsing(5)
    assert (found[true == labels.FACE] == 7).all()
    assert (found[(true == labels.ARM) | (true == labels.LEG)] == 6).all()
    assert not (found == 1).any()


def test_spts_lists_have_windows_ends_and_its_maps_ten_labels(pack, tmp_path):
    out = write("spt", pack, tmp_path / "out")
    starts = (out / "data/train_A_parsing.txt").read_bytes().split(b"\r\n")
    ends = (out / "data/train_B_parsing.txt").read_bytes().split(b"\r\n")
    assert starts[0] == b"./imgs/fashionWOMENBlouses_Shirtsid0000069302_3back.jpg"
    assert ends[0] == b"./imgs/fashionWOMENBlouses_Shirtsid0000069302_1front.jpg"
    assert len(starts) == len(ends) == len(PAIRS["train"]) + 1
    assert (out / "data/test_A_example.txt").read_bytes().count(b"\r\n") == 2
    plane = np.load(out / "parsing/fashionWOMENOthersid0000000101_1b.npy", allow_pickle=False)
    assert (plane.shape, plane.dtype) == ((256, 256), np.int8)
    assert plane.max() <= 9
    with Image.open(out / "imgs/fashionWOMENOthersid0000000101_1b.jpg") as picture:
        assert picture.size == (256, 256)
        assert (np.asarray(picture)[:, :30] > 250).all()


def test_limbs_are_on_the_side_whose_joints_are_near():
    plane = np.zeros((20, 40), np.uint8)
    plane[2:12, 5:8] = plane[2:12, 30:33] = labels.ARM
    plane[14:18, 5:8] = labels.LEG
    joints = skeleton.empty()
    joints[[skeleton.LEFT_SHOULDER, skeleton.LEFT_ELBOW]] = [(6, 2, 1), (6, 11, 1)]  # seen from behind
    joints[[skeleton.RIGHT_SHOULDER, skeleton.RIGHT_WRIST]] = [(31, 2, 1), (31, 11, 1)]
    ten = with_sides(plane, joints)
    assert set(ten[2:12, 5:8].ravel().tolist()) == {6}  # left arm
    assert set(ten[2:12, 30:33].ravel().tolist()) == {7}  # right arm
    # Without a joint of the legs: the picture's left half is the right side of somebody who faces us.
    assert set(ten[14:18, 5:8].ravel().tolist()) == {9}
    assert not ten[18:].any()


def test_pairs_in_hdf5_are_normalised(pack, tmp_path):
    out = write("seed001", pack, tmp_path / "out")
    with h5py.File(out / "test.h5") as file:
        assert {name: data.shape for name, data in file.items()} == {
            "condition": (2, 256, 256, 3),
            "target": (2, 256, 256, 3),
            "pose": (2, 256, 256, 18),
            "mask": (2, 256, 256, 1),
            "from": (2,),
            "to": (2,),
        }
        assert file["to"].asstr()[:].tolist() == ["rogue/run", "rogue/run"]
        picture = file["condition"][1, :, 40:216] * 127.5 + 127.5
        np.testing.assert_allclose(picture, pack.image(6), atol=1e-3)
        assert (file["condition"][1, :, :40] == 1).all()
        pose = file["pose"][0]
        assert set(np.unique(pose).tolist()) == {-1, 1}
        x, y = np.rint(pack.keypoints[5][skeleton.NECK, :2]).astype(int)
        assert (pose[y, x + 40 - 3 : x + 40 + 4, 1] == 1).all()
        assert pose[y, x + 46, 1] == -1
        assert (pose[..., skeleton.LEFT_WRIST] == -1).all()
        np.testing.assert_array_equal(file["mask"][0, :, 40:216, 0], pack.mask(5))
        assert not file["mask"][0, :, :40].any()
    assert not (out / "val.h5").exists()


def test_cocos_annotations_are_by_its_definition(pack, tmp_path):
    out = write("coco", pack, tmp_path / "out")
    data = json.loads((out / "annotations/person_keypoints_test.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["rogue/run.png", "rogue/sit.png"]
    [category] = data["categories"]
    assert category["keypoints"][:5] == ["nose", "left_eye", "right_eye", "left_ear", "right_ear"]
    person = data["annotations"][0]
    assert person["image_id"] == data["images"][0]["id"]
    points = np.array(person["keypoints"]).reshape(17, 3)
    assert points[9].tolist() == [0, 0, 0]  # left wrist
    assert points[5].tolist() == [*pack.keypoints[5][skeleton.LEFT_SHOULDER, :2].tolist(), 2]
    assert person["num_keypoints"] == 16
    left, _, width, height = person["bbox"]
    there = points[points[:, 2] > 0]
    assert (there[:, 0] >= left - 1e-3).all()
    assert (there[:, 0] <= left + width + 1e-3).all()
    assert person["area"] == pytest.approx(width * height)


def test_samples_of_a_shard_stand_together(pack, tmp_path):
    out = write("webdataset", pack, tmp_path / "out")
    with tarfile.open(out / "train-000000.tar") as tar:
        members = tar.getmembers()
        keys = [member.name.partition(".")[0] for member in members]
        assert keys == [f"{index:06d}" for index in range(4) for _ in range(5)]
        parts = {member.name: tar.extractfile(member).read() for member in members}
    told = json.loads(parts["000002.json"])
    assert told["from"]["name"].endswith("3_back~flip")
    with Image.open(io.BytesIO(parts["000002.to.png"])) as picture:
        np.testing.assert_array_equal(np.asarray(picture), pack.image(2))
    np.testing.assert_array_equal(labels.from_png(parts["000000.from_labels.png"]), pack.parsing(1))
    np.testing.assert_array_equal(np.float32(told["to"]["joints"]), pack.keypoints[2])


def test_one_split_may_be_asked_for(pack, tmp_path):
    out = write("patn", pack, tmp_path / "out", ("test",))
    assert not (out / "train").exists()
    # Test pairs start from a training picture, which the program looks for in test/.
    assert len(list((out / "test").iterdir())) == 3


def test_a_folder_that_holds_something_else_is_left_alone(pack, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="mine is not empty and no export of this program's: name a new folder"):
        write("coco", pack, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    write("coco", pack, tmp_path / "out", ("test",))
    with pytest.raises(UserError, match=r"holds an export of coco of source: name another folder"):
        write("webdataset", pack, tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="--out"):
        write("coco", pack, tmp_path / "file")


def test_a_listing_that_was_tampered_with_deletes_nothing_outside(pack, tmp_path):
    out = write("coco", pack, tmp_path / "out", ("test",))
    (tmp_path / "keep.txt").write_text("x")
    listing = json.loads((out / "export.json").read_text())
    listing["files"] += ["../keep.txt", str(tmp_path / "keep.txt")]
    (out / "export.json").write_text(json.dumps(listing))
    write("coco", pack, out, ("test",))
    assert (tmp_path / "keep.txt").exists()


def test_fields_layouts_name_the_size_they_need(tmp_path):
    plane = np.zeros((32, 22), np.uint8)
    row = Picture("a_1", "a", np.zeros((32, 22, 3), np.uint8), skeleton.empty(), None, plane, plane, plane)
    write_pack(
        tmp_path / "p.h5", [row], count=1, pairs={}, size=(22, 32), sigma_px=6, source="folder", with_heatmaps=False
    )
    small = Selection(Pack(tmp_path / "p.h5"), ("train",), {"a_1": "train"})
    for layout in (*OF_FILES, "spt"):
        with pytest.raises(UserError, match=f"--layout {layout} is for pictures of 176x256, these are 22x32"):
            export(layout, small, tmp_path / layout, domain="source", track=quiet)
        assert not (tmp_path / layout).exists()


def test_market_has_names_and_gaussians_of_its_own(tmp_path):
    names = ["train/0007_c2s3_070952_01", "train/0007_c1s1_000401_03"]
    joints = skeleton.empty()
    joints[0] = (30, 20, 1)
    plane = np.zeros((128, 64), np.uint8)
    rows = [
        Picture(name, "0007", np.zeros((128, 64, 3), np.uint8), joints, None, plane, plane, plane) for name in names
    ]
    pairs = {"train": np.array([(0, 1)], np.int32)}
    write_pack(
        tmp_path / "p.h5", rows, count=2, pairs=pairs, size=(64, 128), sigma_px=6, source="folder", with_heatmaps=False
    )
    chosen = Selection(Pack(tmp_path / "p.h5"), ("train",), dict.fromkeys(names, "train"))
    export("patn", chosen, tmp_path / "out", domain="market", track=quiet)
    lines = (tmp_path / "out/market-pairs-train.csv").read_text().split()
    assert lines == ["from,to", "0007_c2s3_070952_01.jpg,0007_c1s1_000401_03.jpg"]
    pose = np.load(tmp_path / "out/trainK/0007_c2s3_070952_01.jpg.npy", allow_pickle=False)
    assert pose.dtype == np.float32
    assert pose[20, 36, 0] == pytest.approx(np.exp(-0.5))
    source = read("folder", tmp_path / "out")
    assert [entry.person for entry in source.entries] == ["0007", "0007"]
    assert without_suffix(lines[1].split(",")[0]) in source.pairs[0][0]


def test_names_with_colons_and_quotation_marks_come_back_here_and_in_pandas(tmp_path):
    names = ["at 12:30: [1].png", 'say "hi".png', '"start.png', "a,b.png", "plain.png"]
    path = tmp_path / "annotation.csv"
    path.write_bytes(annotation_csv((name, np.full((18, 3), 7, np.float32)) for name in names))
    rows, bad = read_annotation(path, path.name)
    assert ([row.name for row in rows], bad) == (names, [])
    read = pd.read_csv(path, sep=":")
    assert read["name"].tolist() == names
    assert {len(json.loads(cell)) for cell in read["keypoints_x"]} == {18}
    assert path.read_text().splitlines()[-1].startswith("plain.png: [7, 7")
