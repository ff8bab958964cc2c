"""A folder of pictures and what lies beside them."""

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.sources import SOURCES, Options, read
from pipeline.sources.pictures import load_picture

HEADER = "name:keypoints_y:keypoints_x"


def picture(path, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())


def ids(source):
    return [entry.id for entry in source.entries]


def test_persons_by_name_and_by_folder(tmp_path):
    for name in ("mage_sit.png", "mage_idle_front.JPG", "rogue/run.jpeg", "lonely.webp"):
        picture(tmp_path / name)
    source = read("folder", tmp_path)
    found = {entry.id: (entry.person, entry.pose, entry.split, entry.path) for entry in source.entries}
    assert found == {
        "lonely": ("lonely", "", None, "lonely.webp"),
        "mage_idle_front": ("mage", "idle_front", None, "mage_idle_front.JPG"),
        "mage_sit": ("mage", "sit", None, "mage_sit.png"),
        "rogue/run": ("rogue", "run", None, "rogue/run.jpeg"),
    }
    assert ids(source) == sorted(found)
    assert not source.set_aside
    assert not source.notes


def test_an_images_folder_is_the_place_for_pictures(tmp_path):
    for name in ("images/a_1.png", "images/train/b_1.png", "edges/a_1.png", "cover.png"):
        picture(tmp_path / name)
    source = read("folder", tmp_path)
    assert [(entry.id, entry.person, entry.split) for entry in source.entries] == [
        ("a_1", "a", None),
        ("train/b_1", "b", "train"),
    ]
    assert source.notes[0].endswith("1 x cover.png, 1 x edges/")


def test_hidden_files_are_no_part_and_others_are_noted(tmp_path):
    picture(tmp_path / "a_1.png")
    picture(tmp_path / ".thumbnails/a_2.png")
    picture(tmp_path / "__MACOSX/._a_1.png")
    for name in (".DS_Store", "LICENSE.txt", "README"):
        (tmp_path / name).write_text("x")
    source = read("folder", tmp_path)
    assert ids(source) == ["a_1"]
    assert not source.set_aside
    assert source.notes[0].endswith("1 x .txt, 1 x README")


def test_the_second_of_one_name_is_set_aside(tmp_path):
    picture(tmp_path / "a_1.jpg")
    picture(tmp_path / "a_1.png")
    source = read("folder", tmp_path)
    assert source.set_aside == [("a_1.png", "has the same name as a_1.jpg: rename or remove one")]


def test_links_are_set_aside_and_never_followed(tmp_path):
    raw = tmp_path / "raw"
    picture(raw / "a_1.png")
    picture(tmp_path / "secret_1.png")
    (raw / "b_1.png").symlink_to(tmp_path / "secret_1.png")
    (raw / "loop").symlink_to(raw)
    (raw / "dead.png").symlink_to(raw / "dead.png")
    source = read("folder", raw)
    assert ids(source) == ["a_1"]
    assert {name for name, _ in source.set_aside} == {"b_1.png", "loop", "dead.png"}
    # The raw folder itself may be one.
    (tmp_path / "link").symlink_to(raw)
    assert ids(read("folder", tmp_path / "link")) == ["a_1"]


@pytest.mark.parametrize("name", ["new\nline_1.png", "back\\slash_1.png", "tab\t_1.png", os.fsdecode(b"\xff_1.png")])
def test_names_that_would_spoil_a_table_are_set_aside(tmp_path, name):
    picture(tmp_path / "a_1.png")
    picture(tmp_path / name)
    [(shown, reason)] = read("folder", tmp_path).set_aside
    assert shown.isprintable()
    assert shown.encode()
    assert "rename the file" in reason


def test_names_in_any_language_and_length_are_fine(tmp_path):
    names = ["人物_立つ.png", "Zo\u00eb_sitzt.png", "x" * 200 + "_1.png"]
    for name in names:
        picture(tmp_path / name)
    assert {entry.person for entry in read("folder", tmp_path).entries} == {"人物", "Zo\u00eb", "x" * 200}


def test_distractors_of_market_are_set_aside(tmp_path):
    for name in ("0000_c1s3_022226_03.jpg", "0007_c2s3_070952_01.jpg", "0007_c1s1_000401_03.jpg"):
        picture(tmp_path / name)
    source = read("folder", tmp_path)
    assert [entry.person for entry in source.entries] == ["0007", "0007"]
    assert source.set_aside[0][0] == "0000_c1s3_022226_03.jpg"


def test_joints_come_from_every_table(tmp_path):
    for name in ("images/a_1.png", "images/a_2.png", "images/b_1.png"):
        picture(tmp_path / name)
    row = json.dumps([5] * 18)
    (tmp_path / "annotation-train.csv").write_text(f"{HEADER}\na_1.jpg: {row}: {row}\nzz.jpg: {row}: {row}\n")
    (tmp_path / "more").mkdir()
    other, short = json.dumps([7] * 18), json.dumps([7] * 17)
    (tmp_path / "more/test.csv").write_text(
        f"{HEADER}\na_1.jpg:{other}:{other}\na_2.jpg:{other}:{other}\nb_1:{short}:{row}"
    )
    (tmp_path / "prices.csv").write_text("shirt;12\n")
    (tmp_path / "empty.csv").write_text("")
    source = read("folder", tmp_path)
    assert set(source.annotations) == {"a_1", "a_2"}
    assert (source.annotations["a_1"] == [5, 5, 1]).all()
    assert (source.annotations["a_2"] == [7, 7, 1]).all()
    assert [(name, reason.split(":")[0]) for name, reason in source.set_aside] == [
        ("b_1", "more/test.csv, line 4"),
        ("a_1.jpg", "more/test.csv, line 2"),
    ]
    assert any(
        "1 of 2 lines fit no picture, the first: annotation-train.csv, line 3: 'zz.jpg'" in x for x in source.notes
    )
    assert any("the picture's own pixels" in note for note in source.notes)
    assert source.notes[0].endswith("ignored: 1 x empty.csv, 1 x prices.csv")


def test_the_fields_frame_is_found_undone_and_noted(tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for index in range(6):
        picture(tmp_path / f"p_{index}.png", size=(256, 256))
        x = generator.integers(60, 116, 18).tolist()
        rows.append(f"p_{index}.jpg: {[100] * 18}: {x}")
    (tmp_path / "fasion-resize-annotation-test.csv").write_text("\n".join([HEADER, *rows]))
    source = read("folder", tmp_path)
    assert [note for note in source.notes if "x counted in 176x256, the middle columns" in note]
    first = json.loads(rows[0].split(": ")[2])
    np.testing.assert_allclose(source.annotations["p_0"][:, 0], np.array(first) + 40)
    np.testing.assert_allclose(source.annotations["p_0"][:, 1], 100)
    asked = read("folder", tmp_path, Options(keypoints_frame="own"))
    np.testing.assert_allclose(asked.annotations["p_0"][:, 0], first)


def test_joints_beyond_their_pictures_are_noted(tmp_path):
    picture(tmp_path / "a_1.png", size=(20, 30))
    (tmp_path / "joints.csv").write_text(f"{HEADER}\na_1.png: {[25] * 18}: {[100] * 18}")
    assert "100% of the joints lie outside of their pictures" in read("folder", tmp_path).notes[0]


def test_an_unreadable_picture_does_not_stop_the_reading(tmp_path):
    picture(tmp_path / "a_1.png")
    (tmp_path / "a_2.png").write_bytes(b"")
    (tmp_path / "j.csv").write_text(f"{HEADER}\na_1.png: {[5] * 18}: {[5] * 18}\na_2.png: {[5] * 18}: {[5] * 18}")
    source = read("folder", tmp_path)
    assert ids(source) == ["a_1", "a_2"]


def test_pairs_come_from_every_list(tmp_path):
    for name in ("a_1.png", "a_2.png", "b_1.png"):
        picture(tmp_path / name)
    (tmp_path / "pairs-train.csv").write_text("from,to\na_1.jpg,a_2.jpg\n")
    (tmp_path / "pairs.csv").write_text("from,to\na_2.jpg,a_1.jpg\na_1.jpg,c_1.jpg\n")
    source = read("folder", tmp_path)
    assert source.pairs == [("a_1", "a_2", "train"), ("a_2", "a_1", None)]
    [(name, reason)] = source.pairs_set_aside
    assert name == "a_1.jpg -> c_1.jpg"
    assert reason.startswith("pairs.csv, line 3: 'c_1.jpg': there is no such picture")


@pytest.mark.parametrize("folder", ["labels", "labels8", "parsing", "semantic_merge3"])
def test_label_maps_are_found_by_name(tmp_path, folder):
    for name in ("images/mage/idle.png", "images/rogue/idle.png", "images/WOMEN/Dresses/id_00000001/02_1_front.jpg"):
        picture(tmp_path / name)
    for name in (
        "mage/idle.png",
        "rogue/idle.npy",
        "WOMEN/Dresses/id_00000001/02_1_front.npy",
        "gone.png",
        "seen.jpg",
    ):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    source = read("folder", tmp_path)
    assert source.label_paths == {
        "WOMEN/Dresses/id_00000001/02_1_front": f"{folder}/WOMEN/Dresses/id_00000001/02_1_front.npy",
        "mage/idle": f"{folder}/mage/idle.png",
        "rogue/idle": f"{folder}/rogue/idle.npy",
    }
    assert f"1 label maps fit no picture, the first: {folder}/gone.png" in source.notes


def test_nothing_to_pair_is_noted(tmp_path):
    picture(tmp_path / "0001.png")
    picture(tmp_path / "0002.png")
    assert "nothing to pair" in read("folder", tmp_path).notes[-1]


def test_a_folder_without_pictures_names_parameter_and_remedy(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds no pictures .*domains\.target\.raw"):
        read("folder", tmp_path, Options(domain="target"))


def test_where_every_picture_is_set_aside_the_message_says_why(tmp_path):
    """Data sets are often kept elsewhere and linked to."""
    picture(tmp_path / "elsewhere" / "a_1.png")
    (tmp_path / "raw").mkdir()
    for name in ("a_1.png", "a_2.png"):
        (tmp_path / "raw" / name).symlink_to(tmp_path / "elsewhere" / "a_1.png")
    with pytest.raises(
        UserError, match=r"holds no pictures .*source\.raw: a_1\.png: a link: copy .*of 2 files set aside"
    ):
        read("folder", tmp_path / "raw")


def test_where_there_are_other_files_only_the_message_counts_them(tmp_path):
    (tmp_path / "img.7z").write_bytes(b"7z")
    with pytest.raises(UserError, match=r"holds no pictures .*ignored: 1 x \.7z"):
        read("folder", tmp_path)


def test_a_list_with_other_columns_is_named(tmp_path):
    """Otherwise who brings the published pairs under other headings trains on pairs of our own making."""
    for name in ("a_1.png", "a_2.png"):
        picture(tmp_path / name)
    (tmp_path / "pairs-train.csv").write_text("source,target\na_1.png,a_2.png\n")
    (tmp_path / "prices.csv").write_text("source,target\n")
    (tmp_path / "test_pairs.txt").write_text("a_1.png a_2.png\n")
    assert [note for note in read("folder", tmp_path).notes if "not used" in note] == [
        "pairs-train.csv: not used, its first line is 'source,target' and not name:keypoints_y:keypoints_x (joints) or "
        "from,to (pairs)",
        "test_pairs.txt: not used, its first line is 'a_1.png a_2.png' and not two names with a comma between them, "
        "target,source",
    ]


def test_a_missing_folder_names_parameter_and_remedy(tmp_path):
    with pytest.raises(UserError, match=r"gone does not exist: set domains\.mine\.raw in params.yaml to a folder"):
        read("folder", tmp_path / "gone", Options(domain="mine"))
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.zip is no readable archive"):
        read("folder", tmp_path / "a.zip")
    (tmp_path / "a.rar").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.rar is no folder, \.zip or \.tar: set domains\.source\.raw"):
        read("folder", tmp_path / "a.rar")


def test_an_unknown_kind_is_named(tmp_path):
    with pytest.raises(UserError, match=r"domains\.source\.ingest\.source: 'vidoe' is not one of figures, folder"):
        read("vidoe", tmp_path)
    assert set(SOURCES) == {"figures", "folder", "deepfashion", "market1501", "video"}


def test_a_table_with_a_missing_column_stops_the_reading(tmp_path):
    picture(tmp_path / "a_1.png")
    (tmp_path / "pairs.csv").write_text("from,target\na_1,a_1\n")
    with pytest.raises(UserError, match=r"pairs\.csv, line 1: there is no column 'to'"):
        read("folder", tmp_path)


def test_reading_twice_gives_the_same(tmp_path):
    for name in ("b_2.png", "a_1.png", "c/1.png"):
        picture(tmp_path / name)
    assert read("folder", tmp_path) == read("folder", tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("home", ["", "raw/"])
def test_an_archive_is_read_as_its_folder(tmp_path, kind, home):
    """The same ids, joints, labels and pairs, whether packed as it is or together with its folder."""
    raw = tmp_path / "raw"
    for name in ("anna_1", "anna_2", "bert_1"):
        picture(raw / f"{name}.png")
        picture(raw / "labels" / f"{name}.png")
    (raw / "pairs-train.csv").write_text("from,to\nanna_1.jpg,anna_2.jpg\n")
    row = f"{[10] * 18}: {[20] * 18}"
    (raw / "annotation.csv").write_text(f"name:keypoints_y:keypoints_x\nbert_1.jpg: {row}\n")
    (raw / ".hidden.png").write_bytes(b"x")
    base = tmp_path if home else raw
    archive = Path(shutil.make_archive(str(tmp_path / "raw"), kind, base, "raw" if home else "."))
    ours, theirs = read("folder", archive), read("folder", raw)
    assert [entry.id for entry in ours.entries] == [entry.id for entry in theirs.entries] != []
    assert ours.pairs == theirs.pairs != []
    assert ours.label_paths.keys() == theirs.label_paths.keys()
    np.testing.assert_equal(ours.annotations, theirs.annotations)
    for mine, theirs_ in zip(ours.entries, theirs.entries, strict=True):
        assert load_picture(archive, mine.path) == load_picture(raw, theirs_.path)
        assert (mine.person, mine.pose) == (theirs_.person, theirs_.pose)


def test_a_member_that_leads_out_of_its_archive_is_set_aside(tmp_path):
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as packed:
        packed.writestr("../../escape_1.png", b"x")
        packed.writestr("anna_1.png", b"x")
    found = read("folder", tmp_path / "raw.zip")
    assert [entry.id for entry in found.entries] == ["anna_1"]
    assert found.set_aside == [("../../escape_1.png", "the path leads out of the archive: pack it again")]


def test_a_folder_of_pictures_may_be_written_large(tmp_path):
    picture(tmp_path / "Images" / "anna_1.png")
    picture(tmp_path / "Images" / "anna_2.png")
    assert [(entry.id, entry.person) for entry in read("folder", tmp_path).entries] == [
        ("anna_1", "anna"),
        ("anna_2", "anna"),
    ]
