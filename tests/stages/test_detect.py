"""`posewright detect` on folders of every kind."""

import csv
import json
import os

import numpy as np
import pytest
from PIL import Image

from pipeline import quarantine
from pipeline.imports import ROOT
from pipeline.people import labels, skeleton
from pipeline.render import plan, render
from pipeline.sources import folder
from pipeline.sources.entries import Options
from stages import commands, detection

REAL = ROOT.parent / "shared" / "realdata"


@pytest.fixture(scope="module")
def figures():
    return [render(spec) for spec in plan("natural", people=2, poses=1, seed=660_001)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, figures):
    """A folder of three people and a meadow, of several kinds and sizes, and of files that are of no use."""
    place = tmp_path_factory.mktemp("pictures")
    first, second = (Image.fromarray(figure.image) for figure in figures)
    (place / "walk").mkdir()
    (place / "img").mkdir()
    first.save(place / "img" / "anna.png")
    second.resize((352, 512)).save(place / "walk" / "anna.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown upright after a quarter turn
    first.transpose(Image.Transpose.ROTATE_90).save(place / "turned.png", exif=exif)
    Image.new("RGB", (300, 200), (90, 120, 90)).save(place / "turned.jpg")
    Image.new("RGB", (1, 1)).save(place / "dot.bmp")
    (place / "page.jpg").write_text("<html>")
    (place / "empty.png").touch()
    (place / "cut.png").write_bytes((place / "turned.png").read_bytes()[:2000])
    (place / "notes.txt").write_text("milk")
    (place / ".hidden.png").write_bytes(b"")
    (place / "link.png").symlink_to(place / "img" / "anna.png")
    (place / "linked").symlink_to(place / "walk")
    os.mkfifo(place / "pipe.png")
    (place / "two\nlines.png").write_bytes(b"x")
    (place / "labels8").mkdir()
    (place / "labels8" / "anna.png").write_bytes(labels.to_png(figures[0].labels))
    return place


def call(*arguments):
    return commands.main(["detect", *map(str, arguments)])


@pytest.fixture(scope="module")
def found(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("found") / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        assert call(pictures, "--out", out) == 0
    return out


def annotation(out):
    """(18, 3) joints by the name in annotation.csv, read as the field's programs do: plain JSON between colons."""
    header, *lines = (out / "annotation.csv").read_text().splitlines()
    assert header == "name:keypoints_y:keypoints_x"
    rows = {}
    for line in lines:
        name, y, x = line.split(":")
        y, x = json.loads(y), json.loads(x)
        assert {type(value) for value in [*y, *x]} == {int}
        rows[name] = np.array([x, y], float).T
    return rows


def test_every_picture_that_can_be_read_has_a_row_a_map_and_a_crop(found):
    rows = annotation(found)
    # Two pictures called `turned`: the second by its whole path.
    assert list(rows) == ["anna.png", "dot.bmp", "turned.jpg", "turned_png.png", "walk/anna.jpg"]
    for stem in ("anna", "dot", "turned", "turned_png", "walk/anna"):
        with (
            Image.open(found / "labels8" / f"{stem}.png") as parsed,
            Image.open(found / "images" / f"{stem}.png") as cut,
        ):
            assert (parsed.mode, parsed.size) == ("P", (176, 256))
            assert np.asarray(parsed).max() <= 7
            assert (cut.mode, cut.size) == ("RGB", (176, 256))
    assert {(path.name, path.is_dir()) for path in found.iterdir()} == {
        *((name, False) for name in ("annotation.csv", "pictures.csv", "quarantine.csv", "sheet.png")),
        *((name, True) for name in ("images", "labels8")),
    }


def test_nobody_is_minus_one_and_a_person_is_where_it_is(found, figures):
    rows = annotation(found)
    for name in ("dot.bmp", "turned.jpg"):
        assert (rows[name] == -1).all()
    figure = figures[0]
    for name in ("anna.png", "turned_png.png"):
        there = (rows[name] >= 0).all(axis=1)
        assert there.sum() >= 14
        away = np.linalg.norm(rows[name][there] - figure.joints[there, :2], axis=1)
        # The turned one is read at its network's size as well, so both stay as they are.
        assert np.median(away) < 6
    with Image.open(found / "labels8" / "anna.png") as parsed:
        assert (np.asarray(parsed) == figure.labels).mean() > 0.9


def test_what_cannot_be_read_is_told(found):
    reasons = dict(quarantine.read(found / "quarantine.csv"))
    assert set(reasons) == {"page.jpg", "empty.png", "cut.png", "link.png", "linked", "pipe.png", "two\\nlines.png"}
    assert "not a picture" in reasons["page.jpg"]
    assert "empty" in reasons["empty.png"]
    assert "damaged" in reasons["cut.png"]
    assert "link" in reasons["link.png"]


def test_the_table_leads_back_to_the_originals(found, figures):
    with (found / "pictures.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert {row["crop"] for row in rows.values()} == {"none", "pad", "person"}
    assert rows["anna.png"]["source"] == "img/anna.png"
    row = rows["walk/anna.jpg"]
    assert row["crop"] == "person"
    # The original is the second figure, twice as large.
    cropped = annotation(found)["walk/anna.jpg"]
    there = (cropped >= 0).all(axis=1)
    scale = np.array([float(row["scale_x"]), float(row["scale_y"])])
    original = (cropped + 0.5) / scale + [float(row["left"]), float(row["top"])]
    away = np.linalg.norm(original / 2 - 0.5 - figures[1].joints[:, :2], axis=1)[there]
    assert np.median(away) < 6


def test_the_result_is_a_raw_folder_again(found):
    source = folder.read(found, Options())
    assert [entry.id for entry in source.entries] == ["anna", "dot", "turned", "turned_png", "walk/anna"]
    assert set(source.label_paths) == {"anna", "dot", "turned", "turned_png", "walk/anna"}
    assert source.set_aside == []
    for name, joints in annotation(found).items():
        read = source.annotations[name.rpartition(".")[0]]
        assert np.array_equal(read[:, :2], joints)


def test_processes_and_batches_change_no_byte(pictures, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detection, "BATCH", 2)
    (tmp_path / "out" / detection.UNFINISHED).mkdir(parents=True)  # as a run leaves it that was stopped
    assert call(pictures, "--out", "out", "--workers", 2) == 0
    written = [
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (found, tmp_path / "out")
    ]
    assert written[0] == written[1]


def test_without_a_crop_pictures_keep_their_size(pictures, figures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(pictures / "walk", "--out", "out", "--crop", "none") == 0
    with Image.open("out/labels8/anna.png") as parsed, Image.open("out/images/anna.png") as kept:
        assert parsed.size == kept.size == (352, 512)
    joints = annotation(tmp_path / "out")["anna.jpg"]
    there = (joints >= 0).all(axis=1)
    assert np.median(np.linalg.norm(joints / 2 - figures[1].joints[:, :2], axis=1)[there]) < 6


def test_a_crop_that_does_not_fit_gives_the_whole_picture(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(pictures / "walk", "--out", "out", "--crop", "columns") == 0
    with (tmp_path / "out" / "pictures.csv").open() as file:
        assert [row["crop"] for row in csv.DictReader(file)] == ["pad"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "out"], "nowhere: there is no such folder"),
        (["notes.txt", "--out", "out"], "notes.txt: there is no such folder"),
        (["bare", "--out", "out"], "bare: no picture in it (1 other files)"),
        (["good", "--out", "full"], "--out full: holds files, which may be yours"),
        (["good", "--out", "good"], "--out good: holds files, which may be yours"),
        (["good", "--out", "notes.txt"], "--out notes.txt: is a file"),
        (["good", "--out", "out", "--workers", "-1"], "--workers -1: give the number"),
        (["good", "--out", "out", "--pose-weights", "no.pkl"], "--pose-weights no.pkl: there is no such file"),
        (["good", "--out", "out", "--pose-weights", "a.pkl"], "a.pkl: a pickle can run any code"),
        (["good", "--out", "out", "--parsing-weights", "a.pkl"], "a.pkl: not a file of weights"),
        (["good", "--out", "out", "--vocabulary", "lip"], "8 labels, but the vocabulary 'lip' has 20"),
        (["bad", "--out", "out"], "bad: no picture can be read; out/quarantine.csv says why"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("good", "full", "bare", "bad"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (176, 256)).save("good/one.png")
    (tmp_path / "bad" / "one.png").write_text("no picture")
    for name in ("notes.txt", "full/yours.txt", "bare/readme.md", "a.pkl"):
        (tmp_path / name).write_text("text")
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert (tmp_path / "full" / "yours.txt").read_text() == "text"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not at hand")
def test_real_photographs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    names = [
        "fashionMENSweatshirts_Hoodiesid0000600801_4full",
        "fashionWOMENDressesid0000370504_1front",
        "fashionWOMENBlouses_Shirtsid0000531105_7additional",
    ]
    for name in names:
        (tmp_path / "raw" / f"{name}.png").write_bytes((REAL / "deepfashion" / "images" / f"{name}.png").read_bytes())
    assert call("raw", "--out", "out", "--crop", "columns") == 0
    theirs = folder.read(REAL / "deepfashion", Options()).annotations
    for name, joints in annotation(tmp_path / "out").items():
        true = skeleton.move(theirs[name.removesuffix(".png")], offset=(40, 0), scale=(1, 1), size=(176, 256))
        both = skeleton.is_present(true) & (joints >= 0).all(axis=1)
        assert both.sum() >= 12
        assert np.median(np.linalg.norm(joints - true[:, :2], axis=1)[both]) < 8


@pytest.mark.parametrize("vocabulary", labels.MERGE)
def test_every_vocabulary_of_the_parameters_can_be_named(vocabulary):
    arguments = commands.make_parser().parse_args(["detect", "x", "--out", "y", "--vocabulary", vocabulary])
    assert arguments.vocabulary == vocabulary
