"""transfer, dress and blend on pictures that look like photographs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from models.adgan import Adgan
from models.attributes import empty_codes
from models.data import to_levels
from models.method import build, load, save
from pipeline import params
from pipeline.engine import Item
from pipeline.errors import UserError
from pipeline.imports import ROOT
from pipeline.people import labels
from pipeline.people.labels import FACE, HAIR, LABELS, PANTS, SKIRT, UPPER_CLOTHES
from pipeline.pictures import decode
from pipeline.render import plan, render
from stages import checkpoints, commands, crop, keypoints, parsing
from stages.looks import Recipe, read_recipe
from stages.photograph import make_batch, read_photographs

REAL = ROOT.parent / "shared" / "realdata"
SMALL = {
    "width": 0.05,
    "scale": 0.5,
    "texture_vgg": "none",
    "pooling": "part",
    "pose_map": "gaussian",
    "first_weights": "kaiming",
    "perceptual": 0,
    "contextual": 0,
}


def _figure(garment):
    """A person of the embedded ones, seen from the front, who wears the garment."""
    for spec in plan("natural", people=20, poses=1, seed=5):
        if abs((figure := render(spec)).yaw_deg) > 40:
            continue
        shares = np.bincount(figure.labels.ravel(), minlength=8) / figure.labels.size
        if (shares[[garment, HAIR, FACE, UPPER_CLOTHES]] > 0.004).all():
            return figure.image
    raise AssertionError(f"nobody wears {LABELS[garment]}")


def _as_photograph(*figures):
    """The figures twice as large, side by side in a wide grey picture."""
    large = [np.asarray(Image.fromarray(figure).resize((352, 512))) for figure in figures]
    canvas = np.full((640, 352 * len(figures) + 240, 3), 150, np.uint8)
    canvas[60:572, 120:-120] = np.concatenate(large, axis=1)
    return Image.fromarray(canvas)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    trousers, skirt = _figure(PANTS), _figure(SKIRT)
    Image.fromarray(trousers).save(folder / "anna.png")
    Image.fromarray(skirt).save(folder / "ready.png")
    _as_photograph(skirt).save(folder / "dora.jpg", quality=95)
    _as_photograph(trousers, skirt).save(folder / "both.jpg", quality=95)
    _as_photograph(trousers).crop((120, 60, 472, 280)).save(folder / "bust.jpg", quality=95)
    Image.new("RGB", (300, 400), (90, 120, 90)).save(folder / "meadow.png")
    Image.new("RGB", (30, 400)).save(folder / "slim.png")
    (folder / "notes.jpg").write_text("milk, bread")
    save(folder / "data" / "pretrain" / "adgan" / "weights.safetensors", build("adgan", SMALL, seed=3))
    return folder


@pytest.fixture
def album(made, monkeypatch):
    monkeypatch.chdir(made)
    before = set(made.iterdir())
    yield made
    for path in set(made.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def call(*args):
    return commands.main([str(arg) for arg in args])


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_transfer_draws_what_the_network_gives(album, capsys):
    assert call("transfer", "--person", "anna.png", "--pose", "dora.jpg", "ready.png", "--show", "show.png") == 0
    captured = capsys.readouterr()
    assert captured.out == "transfer.png\nshow.png\n"
    assert "network: data/pretrain/adgan/weights.safetensors (adgan)" in captured.err
    assert "found the person in dora.jpg: 1" in captured.err
    strip = pixels("transfer.png")
    assert strip.shape == (256, 2 * 176, 3)
    assert not np.array_equal(strip[:, :176], strip[:, 176:])
    anna, ready = read_photographs([Path("anna.png"), Path("ready.png")], Recipe()).values()
    expected = load(checkpoints.newest()).generate(make_batch(anna, ready))[0].permute(1, 2, 0).numpy()
    assert np.abs(strip[:, 176:] - (expected + 1) * 127.5).max() <= 0.51
    assert pixels("show.png").shape[1] > 1000


def test_the_same_call_gives_the_same_bytes(album):
    written = []
    for name in ("one.png", "two.png"):
        assert call("transfer", "--person", "dora.jpg", "--pose", "anna.png", "--out", name) == 0
        written.append((album / name).read_bytes())
    assert written[0] == written[1]
    assert not list(album.glob("*.part"))


def test_a_photograph_is_what_the_stages_make_of_it(album):
    photograph = read_photographs([Path("dora.jpg")], Recipe())[Path("dora.jpg")]
    recipe = Recipe()
    cut = crop.Cut("person", recipe.size, recipe.min_size_px, recipe.max_pixels, "ours")
    [cropped] = crop.make_worker(cut, recipe.pose_weights)([Item("dora", (Path("dora.jpg").read_bytes(), b"", b""))])
    item = Item("dora", (cropped["image"],))
    [joints] = keypoints.make_worker(recipe.pose_weights, keypoints.Accept(6, 1))([item])
    [parsed] = parsing.make_worker(recipe.parsing_weights, parsing.Labelling(), 0.02)([item])
    assert np.array_equal(photograph.image, decode(cropped["image"]))
    assert np.array_equal(photograph.joints.ravel(), np.frombuffer(joints["joints"], "<f4"))
    assert np.array_equal(photograph.parsing, labels.from_png(parsed["labels"]))


def test_the_network_s_size_is_taken_as_it_is_unless_a_crop_is_asked_for(album):
    as_it_is = read_photographs([Path("anna.png")], Recipe())[Path("anna.png")]
    assert np.array_equal(as_it_is.image, pixels("anna.png"))
    around = read_photographs([Path("anna.png")], Recipe(crop="person"))[Path("anna.png")]
    assert around.image.shape == as_it_is.image.shape
    assert not np.array_equal(around.image, as_it_is.image)


def test_params_yaml_says_the_size_where_there_is_one(album, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = params.load().domains[params.load().pretrain_domain]
    recipe = read_recipe("pad")
    assert recipe.crop == "pad"
    assert recipe.size == (settings.crop.width, settings.crop.height)
    assert str(recipe.pose_weights) == settings.keypoints.weights


def test_pictures_of_every_kind_are_upright_rgb(album):
    upright = Image.open("dora.jpg")
    grey = np.asarray(upright.convert("L"))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save("turned.png", exif=exif)
    upright.convert("RGBA").save("clear.png")
    upright.convert("P", palette=Image.Palette.ADAPTIVE).save("palette.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save("deep.png")
    paths = [Path(name) for name in ("dora.jpg", "turned.png", "clear.png", "palette.png", "deep.png")]
    first, *others = read_photographs(paths, Recipe()).values()
    assert np.array_equal(others[0].image, first.image)
    assert np.array_equal(others[1].joints, first.joints)
    for photograph in others:
        assert photograph.image.shape == (256, 176, 3)
        assert np.median(np.abs(photograph.joints - first.joints)[:, :2]) < 4


def test_of_several_people_the_main_one_is_taken_and_it_is_said(album, capsys):
    assert call("transfer", "--person", "both.jpg", "--pose", "anna.png") == 0
    assert "1 more of comparable size" in capsys.readouterr().err


def test_dress_and_blend_agree_where_they_meet(album):
    poses = ("--person", "anna.png", "--pose", "dora.jpg")
    assert call("transfer", "--person", "anna.png", "--pose", "dora.jpg", "--out", "anna_moves.png") == 0
    assert call("transfer", "--person", "ready.png", "--pose", "dora.jpg", "--out", "ready_moves.png") == 0
    assert call("dress", *poses, "--take", "upper=ready.png", "skirt=ready.png", "--out", "dressed.png") == 0
    assert call("blend", *poses, "--with", "ready.png", "--part", "upper", "pants", "--steps", "3") == 0
    strip = pixels("blend.png")
    assert strip.shape == (256, 3 * 176, 3)
    assert np.array_equal(strip[:, :176], pixels("anna_moves.png"))
    assert np.array_equal(strip[:, -176:], pixels("dressed.png"))
    assert not np.array_equal(pixels("dressed.png"), pixels("anna_moves.png"))
    assert call("blend", *poses, "--with", "ready.png", "--steps", "2") == 0
    assert np.array_equal(pixels("blend.png")[:, -176:], pixels("ready_moves.png"))


def test_a_removed_part_has_the_code_of_nothing(album):
    method, anna = load(checkpoints.newest()), read_photographs([Path("anna.png")], Recipe())[Path("anna.png")]
    batch = make_batch(anna, anna)
    codes = method.part_codes(batch)
    codes[:, UPPER_CLOTHES] = empty_codes(method, batch)[:, UPPER_CLOTHES]
    assert call("dress", "--person", "anna.png", "--remove", "upper", "--out", "bare.webp") == 0
    assert np.array_equal(pixels("bare.webp"), to_levels(method.generate(batch, codes))[0].permute(1, 2, 0).numpy())
    assert call("transfer", "--person", "anna.png", "--pose", "anna.png", "--out", "new/whole.jpg") == 0
    assert np.abs(pixels("bare.webp").astype(int) - pixels("new/whole.jpg")).mean() > 1


POSES = ("--person", "anna.png", "--pose", "anna.png")
DRESS, BLEND = ("dress", "--person", "anna.png"), ("blend", "--person", "anna.png", "--with", "ready.png")


def test_who_wears_trousers_lends_them_for_a_skirt(album, capsys):
    assert call("dress", "--person", "ready.png", "--take", "skirt=anna.png", "--out", "one.png") == 0
    assert "anna.png shows pants instead of skirt: that is taken" in capsys.readouterr().err
    assert call("dress", "--person", "ready.png", "--take", "pants=anna.png", "--out", "other.png") == 0
    assert np.array_equal(pixels("one.png"), pixels("other.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transfer", "--person", "nobody.jpg", "--pose", "anna.png"], "nobody.jpg: there is no such file"),
        (["transfer", "--person", "data", "--pose", "anna.png"], "data: cannot be read (Is a directory)"),
        (["transfer", "--person", "notes.jpg", "--pose", "anna.png"], "notes.jpg: not a picture"),
        (["transfer", "--person", "slim.png", "--pose", "anna.png"], "slim.png: 30x400 is too small"),
        (["transfer", "--person", "anna.png", "--pose", "meadow.png"], "meadow.png: --crop person: no person was"),
        (["transfer", *POSES, "meadow.png", "--crop", "pad"], "meadow.png: nobody was found; give a picture"),
        (["transfer", *POSES, "dora.jpg", "--crop", "columns"], "dora.jpg: --crop columns: 592x640"),
        (["transfer", *POSES, "--out", "a.gif"], "--out a.gif: give a name that ends in .png, .jpg"),
        (["transfer", *POSES, "--out", "anna.png"], "--out anna.png: this would write over one of your files"),
        (["transfer", *POSES, "--show", "a.jpg"], "--show a.jpg: the sheet is a PNG"),
        (["transfer", *POSES, "--show", "transfer.png"], "--show transfer.png: this would write over"),
        (["transfer", *POSES, "--checkpoint", "no.safetensors"], "no.safetensors: there is no such file"),
        (["transfer", *POSES, "--checkpoint", "notes.jpg"], "notes.jpg: no safetensors file"),
        ([*DRESS], "nothing to do: give --take PART=FILE"),
        ([*DRESS, "--take", "upper"], "--take upper: expected PART=FILE"),
        ([*DRESS, "--take", "hat=dora.jpg"], f"'hat' is none of the eight parts {', '.join(LABELS)}"),
        ([*DRESS, "--take", "=dora.jpg"], "'' is none of the eight parts"),
        ([*DRESS, "--take", "hair=a.png", "--take", "hair=b.png"], "hair is asked for twice"),
        ([*DRESS, "--take", "hair=a.png", "--remove", "hair"], "hair is asked for twice"),
        ([*DRESS, "--take", "leg=bust.jpg"], "bust.jpg: no leg was found in it, only background, hair, face"),
        ([*BLEND, "--steps", "1"], "--steps 1: give a number between 2 and 64"),
        ([*BLEND, "--steps", "-3"], "--steps -3: give a number between 2 and 64"),
        ([*BLEND, "--steps", "100000"], "--steps 100000: give a number"),
        ([*BLEND, "--part", "shoe"], "--part: 'shoe' is none of the eight parts"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(album, capsys, arguments, message):
    before = sorted(album.iterdir())
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.splitlines()[-1].startswith(f"posewright {arguments[0]}: ")
    assert captured.out == ""
    assert sorted(album.iterdir()) == before


def test_a_damaged_network_is_named(album):
    whole = checkpoints.newest().read_bytes()
    for kept in (0, 5, 2000, len(whole) - 100):
        Path("torn.safetensors").write_bytes(whole[:kept])
        with pytest.raises(UserError, match=r"torn\.safetensors: no safetensors file, or a damaged one"):
            load(Path("torn.safetensors"))
    system = {"method": "adgan", "settings": SMALL}
    save_file({"x": torch.zeros(1)}, "odd.safetensors", {"system": json.dumps(system)})
    with pytest.raises(UserError, match=r"odd\.safetensors: the weights do not fit the settings beside them"):
        load(Path("odd.safetensors"))


def test_a_system_without_codes_transfers_but_does_not_dress(album, capsys, monkeypatch):
    monkeypatch.setattr(Adgan, "edits", frozenset())
    assert call("transfer", *POSES) == 0
    assert call(*DRESS, "--remove", "hair") == 1
    assert "adgan has no codes of single parts, so it cannot dress" in capsys.readouterr().err


def test_the_newest_network_is_the_one_written_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no trained network .* run `dvc repro` .* --checkpoint"):
        checkpoints.newest()
    names = ("pretrain/adgan/weights", "finetune/adgan/drawings", "pretrain/pg2/weights", "finetune/adgan/scratch/toon")
    for time, name in enumerate(names):
        path = tmp_path / "data" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time, time))
    assert checkpoints.newest() == Path("data/pretrain/pg2/weights.safetensors")
    os.utime("data/finetune/adgan/drawings.safetensors", (9, 9))
    assert checkpoints.newest() == Path("data/finetune/adgan/drawings.safetensors")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not at hand")
def test_real_photographs(album, capsys):
    fashion, street = REAL / "deepfashion" / "images", REAL / "ccp" / "images"
    person, close = fashion / "fashionMENTees_Tanksid0000662101_4full.png", street / "0010.jpg"
    # Cut off at the neck and filling the picture: the person is found at the second, smaller look.
    headless = fashion / "fashionMENTees_Tanksid0000286601_2side.png"
    assert call("transfer", "--person", person, "--pose", headless, close) == 0
    assert pixels("transfer.png").shape == (256, 2 * 176, 3)
    assert call("dress", "--person", close, "--take", f"upper={person}", "--remove", "hair") == 0
    assert "18 of 18 joints; hair, face, upper_clothes, pants, arm" in capsys.readouterr().err
