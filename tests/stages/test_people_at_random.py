"""sample, video and reid on a small network with random weights."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from models.data import Pairs, take, to_levels
from models.method import build, load, save
from pipeline.films import read_frames
from pipeline.imports import ROOT
from pipeline.packed import Pack, Picture, write_pack
from pipeline.people import skeleton
from pipeline.render import plan, render
from stages import artifacts, commands
from stages.captions import STRIP_PX
from stages.photograph import Recipe, follow_person
from stages.reid_sets import name_of, read_folder, read_pack

DPIG = {"width": 0.05, "scale": 0.25, "rows": 256, "columns": 176, "crop_px": 8, "first_weights": "kaiming"}
ADGAN = {"width": 0.05, "scale": 0.25, "texture_vgg": "none", "perceptual": 0, "contextual": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three pictures of each of two persons: as files, as a pack, and a clip of one of them walking through a meadow."""
    folder = tmp_path_factory.mktemp("random")
    weights = "models/detectors/weights"
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace(weights, f"{ROOT}/{weights}"))
    figures = [render(spec) for spec in plan("natural", people=2, poses=3, seed=7)]
    (folder / "frames").mkdir()
    for number, figure in enumerate(figures):
        Image.fromarray(figure.image).save(folder / f"{figure.id}.png")
        wide = np.full((300, 400, 3), (96, 140, 92), np.uint8)
        left = 40 + 30 * number
        wide[22:278, left : left + 176] = figures[0].image
        Image.fromarray(wide).save(folder / "frames" / f"walk_{number}.png")
    Image.new("RGB", (400, 300), (96, 140, 92)).save(folder / "frames" / "walk_2.png")
    save(folder / "dpig.safetensors", build("dpig", DPIG, seed=1))
    save(folder / "adgan.safetensors", build("adgan", ADGAN, seed=1))
    blank = np.zeros((256, 176), np.uint8)
    pictures = [Picture(f.id, f.person, f.image, f.joints, None, f.labels, blank, blank) for f in figures]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pairs = {"train": np.array([(0, 1), (1, 2)], np.int32), "test": np.array([(3, 4), (4, 5), (5, 0)], np.int32)}
        options = {"count": 6, "pairs": pairs, "size": (176, 256), "sigma_px": 6.0, "source": "figures"}
        write_pack(artifacts.pack("source"), pictures, with_heatmaps=False, **options)
    return folder


@pytest.fixture
def album(made, monkeypatch):
    monkeypatch.chdir(made)
    before = set(made.iterdir())
    yield made
    for path in set(made.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def call(*arguments):
    return commands.main([str(argument) for argument in arguments])


def pixels(name):
    with Image.open(name) as image:
        return np.asarray(image.convert("RGB"))


def strip(name, count):
    image = pixels(name)
    assert image.shape == (256, 176 * count, 3)
    return np.split(image, count, axis=1)


NET = ("--checkpoint", "dpig.safetensors")


def test_strangers_are_a_function_of_the_seed(album):
    for name, seed, count in (("a.png", 3, 3), ("b.png", 3, 2), ("c.png", 4, 2)):
        assert call("sample", *NET, "--seed", seed, "--count", count, "--out", name) == 0
    first, fewer, others = strip("a.png", 3), strip("b.png", 2), strip("c.png", 2)
    assert np.array_equal(first[0], fewer[0])
    assert np.array_equal(first[1], fewer[1])
    assert not np.array_equal(first[0], others[0])
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("names", [("p000_0", "source/p001_1"), ("source/p000_0", "p001_1.jpg")])
def test_a_picture_can_be_named_as_in_the_catalog(album, capsys, names):
    """Nothing is looked for again: picture, joints and labels are those of the pack."""
    net = ("--checkpoint", "adgan.safetensors")
    assert call("transfer", *net, "--person", names[0], "--pose", names[1], "--captions") == 0
    assert f"found the person in {names[0]}:" in capsys.readouterr().err
    pack = Pack(artifacts.pack("source"))
    rows = np.array([[pack.names.index(name) for name in ("p000_0", "p001_1")]], np.int32)
    drawn = load(album / "adgan.safetensors").generate(take(Pairs(pack, rows), 1, torch.device("cpu")))
    assert np.array_equal(pixels("transfer.png")[:256], to_levels(drawn)[0].permute(1, 2, 0).numpy())


def test_files_and_names_go_together(album):
    assert call("transfer", "--checkpoint", "adgan.safetensors", "--person", "p000_0.png", "--pose", "p001_1") == 0
    named = ("--person", "p001_1", "--vary", "pose", "--count", 1)
    assert call("sample", *NET, *named) == 0
    assert call("video", *NET, "--person", "p001_1", "--poses", "frames", "--every", 3) == 0


def test_a_person_varies_and_goes_towards_another(album, capsys):
    person = ("--person", "p000_0.png")
    assert call("sample", *NET, *person, "--vary", "background", "--count", 2, "--show", "found.png") == 0
    assert capsys.readouterr().out == "sample.png\nfound.png\n"
    one, other = strip("sample.png", 2)
    assert not np.array_equal(one, other)
    assert call("sample", *NET, *person, "--vary", "background", "--count", 2, "--captions", "--out", "told.png") == 0
    assert pixels("told.png").shape == (256 + STRIP_PX, 2 * 176, 3)
    assert np.array_equal(pixels("told.png")[:256], pixels("sample.png"))
    for through in ("codes", "noise"):
        assert call("sample", *NET, *person, "--towards", "p001_0.png", "--count", 3, "--through", through) == 0
        assert len(strip("sample.png", 3)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", *NET, "--count", "0"], "--count 0: give a number between 1 and 64"),
        (["sample", *NET, "--seed", "-1"], "--seed -1: give a number of at least 0"),
        (["sample", *NET, "--towards", "p001_0.png"], "--towards: give the person where it begins, too"),
        (["sample", *NET, "--vary", "pose"], "--vary: what does not vary comes from a picture"),
        (["sample", *NET, "--person", "p000_0.png"], "--person: say what of it shall change"),
        (["sample", "--checkpoint", "adgan.safetensors"], "adgan cannot sample; give a --checkpoint of dpig"),
        (
            ["reid", "make", "--checkpoint", "adgan.safetensors", "--out", "v"],
            "adgan cannot sample; give a --checkpoint",
        ),
        (
            ["sample", *NET, "--person", "p00", "--vary", "pose"],
            "p00: 6 pictures of the catalog are called or begin so:",
        ),
        (["sample", *NET, "--person", "p9_1", "--vary", "pose"], "p9_1: there is no such file, and no picture of that"),
        (["reid", "make", *NET, "--out", "frames"], "--out frames: there is something already"),
        (["reid", "make", *NET, "--out", "v", "--identities", "0"], "--identities 0: give a number between 1 and 9999"),
        (["reid", "check", "--train", "nothing"], "nothing: there is no such folder; `posewright reid make` makes one"),
        (["reid", "check", "--train", "frames"], "frames: no pictures with names such as 0002_c1s1_000451_03.jpg"),
        (
            ["video", "--person", "p000_0.png", "--poses", "frames", "--out", "a.png"],
            "--out a.png: give a name that ends",
        ),
        (["video", "--person", "p000_0.png", "--poses", "frames", "--fps", "0"], "--fps 0: give a number between"),
        (
            ["video", "--person", "p000_0.png", "--poses", "frames", "--every", "0"],
            "--every 0: give a number of at least 1",
        ),
        (["video", *NET, "--person", "p000_0.png", "--poses", "none.mp4"], "none.mp4: there is no such file or folder"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(album, capsys, arguments, message):
    before = sorted(album.iterdir())
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert sorted(album.iterdir()) == before


def test_a_person_moves_as_the_frames_do(album, capsys):
    """Any system can do it; the frame in which nobody is seen is left out and named."""
    person = ("--person", "p001_0.png", "--poses", "frames", "--checkpoint", "adgan.safetensors")
    assert call("video", *person, "--beside", "--captions", "--out", "walk.gif") == 0
    assert "nobody was found in 1 of 6 frames, which are left out: walk_2.png" in capsys.readouterr().err
    film = read_frames(album / "walk.gif", max_pixels=10**6)
    assert [picture.shape for picture in film.values()] == [(256 + STRIP_PX, 3 * 176 + 4, 3)] * 5


def test_the_window_follows_the_person_steadily():
    """Somebody who walks through a wide picture stays in the middle, at one size, whatever the boxes do."""
    figure = render(next(iter(plan("natural", people=1, poses=1, seed=7))))
    frames = {}
    for number in range(4):
        wide = np.full((300, 500, 3), (96, 140, 92), np.uint8)
        wide[22:278, 20 + 40 * number : 196 + 40 * number] = figure.image
        frames[str(number)] = wide
    followed = follow_person(frames, Recipe())
    assert [pose.name for pose in followed] == list(frames)
    joints = np.stack([pose.joints for pose in followed])
    there = skeleton.is_present(joints).all(0)
    heights = np.ptp(joints[:, there, 1], axis=1)
    assert heights.max() - heights.min() < 4
    # Forty pixels a frame in the film.
    assert np.abs(np.diff(joints[:, there, 0].mean(1))).max() < 5
    assert all(pose.image.shape == (256, 176, 3) for pose in followed)


def test_a_virtual_set_is_named_as_market_1501(album, capsys):
    assert call("reid", "make", *NET, "--identities", 3, "--images", 4, "--out", "virtual") == 0
    names = sorted(path.name for path in (album / "virtual").iterdir())
    assert len(names) == 12
    assert all(re.fullmatch(r"\d{4}_c[1-6]s1_\d{6}_\d{2}\.jpg", name) for name in names)
    assert names[:2] == ["0001_c1s1_000000_01.jpg", "0001_c2s1_000001_01.jpg"]
    assert len({(album / "virtual" / name).read_bytes() for name in names}) == 12
    people = read_folder(album / "virtual")
    assert people.images.shape == (12, 3, 128, 64)
    assert sorted(set(people.persons)) == ["0001", "0002", "0003"]
    assert call("reid", "make", *NET, "--identities", 2, "--images", 2, "--poses", "real", "--out", "posed") == 0
    assert pixels("posed/0001_c1s1_000000_01.jpg").shape == (256, 176, 3)


def test_names_count_identities_from_one_and_cameras_to_six():
    assert [name_of(41, picture) for picture in (0, 8)] == ["0042_c1s1_000000_01", "0042_c3s1_000008_01"]


def test_re_identification_is_checked_on_people_who_are_held_out(album, capsys):
    assert call("reid", "make", *NET, "--identities", 3, "--images", 4, "--out", "virtual") == 0
    capsys.readouterr()
    options = ("--epochs", 1, "--adapt", "--kissme", "--out", "reid.json")
    assert call("reid", "check", "--train", "virtual", *options) == 0
    found = json.loads((album / "reid.json").read_text())
    assert list(found) == ["random weights", "virtual", "virtual + KISSME", "virtual + PUL"]
    # Four of the pack's pictures are in test pairs; the one of p000 has nobody to be found with.
    assert all(row["queries"] == 3 and 0 <= row["rank1"] <= 1 and 0 < row["map"] <= 1 for row in found.values())
    told = capsys.readouterr()
    assert "Rank-1" in told.out
    # The only person of the training pairs is one cluster.
    assert "virtual + PUL + KISSME is left out: KISSME compares pictures of one person and of two" in told.err


def test_held_out_people_come_from_the_pack(album):
    people = read_pack(Pack(artifacts.pack("source")), ("val", "test"))
    assert people.persons == ("p000", "p001", "p001", "p001")
    assert len(set(people.cameras)) == 4


def test_market_is_queries_gallery_and_unlabelled_pictures(album):
    """Folders in Market-1501's form: junk and distractors are there, and count as its rules say."""
    dice = np.random.default_rng(0)
    for folder, names in {
        "bounding_box_train": ["0007_c1s1_000001_01", "0007_c2s1_000002_01", "0009_c1s1_000003_01"],
        "query": ["0001_c1s1_000451_00", "0002_c2s1_000452_00"],
        "bounding_box_test": ["-1_c1s1_000401_03", "0000_c3s1_000402_02", "0001_c2s1_000001_01", "0002_c1s1_000009_01"],
    }.items():
        (album / "market" / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(dice.integers(0, 255, (128, 64, 3), np.uint8)).save(
                album / "market" / folder / f"{name}.jpg"
            )
        (album / "market" / folder / "Thumbs.db").write_bytes(b"x")
    train = album / "market" / "bounding_box_train"
    assert call("reid", "check", "--train", train, "--market", "market", "--epochs", 1, "--out", "m.json") == 0
    found = json.loads((album / "m.json").read_text())
    assert found["random weights"]["queries"] == 2
