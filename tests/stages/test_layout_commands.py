"""restyle and edit on rendered people: what is put where, the way of a label map out and back, what is refused."""

import numpy as np
import pytest
from PIL import Image

from models.method import build, save
from pipeline.errors import UserError
from pipeline.people import labels
from pipeline.people.labels import ARM, BACKGROUND, PANTS, SKIRT, UPPER_CLOTHES
from pipeline.render import plan, render
from stages import commands
from stages.captions import STRIP_PX
from stages.commands._layouts import read_layout, write_layout

TINY = {"width": 0.05, "scale": 0.25}


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    figures = [render(spec) for spec in plan("natural", people=8, poses=1, seed=5)]
    front = [one for one in figures if abs(one.yaw_deg) < 40][:2]
    for name, one in zip(("anna", "bert"), front, strict=True):
        Image.fromarray(one.image).save(folder / f"{name}.png")
    save(folder / "data" / "pretrain" / "spt" / "weights.safetensors", build("spt", TINY, seed=1))
    save(folder / "blind.safetensors", build("spt", TINY | {"mode": "baseline"}, seed=1))
    adgan = {"width": 0.05, "texture_vgg": "none", "perceptual": 0, "contextual": 0}
    save(folder / "adgan.safetensors", build("adgan", adgan, seed=1))
    return folder


@pytest.fixture
def run(album, monkeypatch, capsys):
    monkeypatch.chdir(album)

    def call(*args):
        code = commands.main(list(args))
        return code, capsys.readouterr()

    return call


def picture(path):
    return np.asarray(Image.open(path))


def test_a_label_map_goes_out_and_comes_back(run, album):
    assert run("edit", "--person", "anna.png", "--write-layout", "layout.png")[0] == 0
    found = labels.from_png((album / "layout.png").read_bytes())
    assert found.shape == (256, 176)
    assert {BACKGROUND, UPPER_CLOTHES} <= set(np.unique(found))
    assert run("edit", "--person", "anna.png", "--out", "own.png", "--layout", "layout.png")[0] == 0
    # As a paint program saves it: plain colours.
    painted = found.copy()
    painted[100:140, 60:110] = SKIRT
    Image.fromarray(labels.paint(painted)).save(album / "painted.png")
    assert run("edit", "--person", "anna.png", "--layout", "painted.png", "--out", "edited.png")[0] == 0
    captioned = ("--captions", "--out", "told.png")
    assert run("edit", "--person", "anna.png", "--layout", "painted.png", *captioned)[0] == 0
    own, edited = picture(album / "own.png"), picture(album / "edited.png")
    assert own.shape == edited.shape == (256, 176, 3)
    assert np.array_equal(picture(album / "told.png")[:256], edited)
    assert len(picture(album / "told.png")) == 256 + STRIP_PX
    assert not np.array_equal(own, edited)


def test_a_part_is_relabelled(run, album):
    code, _ = run("edit", "--person", "anna.png", "--change", "arm=upper", "--write-layout", "long.png")
    assert code == 0
    found = labels.from_png((album / "long.png").read_bytes())
    assert ARM not in found
    assert UPPER_CLOTHES in found


def test_texture_lands_in_the_named_parts_alone(run, album):
    assert run("edit", "--person", "anna.png", "--write-layout", "layout.png")[0] == 0
    assert run("restyle", "--person", "anna.png", "--style", "bert.png", "--part", "upper", "--out", "new.png")[0] == 0
    before, after = picture(album / "anna.png"), picture(album / "new.png")
    inside = labels.from_png((album / "layout.png").read_bytes()) == UPPER_CLOTHES
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).mean() > 0.5
    assert run("restyle", "--person", "anna.png", "--style", "bert.png", "--part", "all", "--out", "all.png")[0] == 0
    assert not np.array_equal(picture(album / "all.png")[~inside], before[~inside])


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["edit", "--person", "anna.png"], "nothing to do"),
        (["edit", "--person", "anna.png", "--change", "arm"], "expected PART=PART"),
        (["edit", "--person", "anna.png", "--change", "tail=arm"], "none of the eight parts"),
        (
            ["edit", "--person", "anna.png", "--change", "arm=upper", "--checkpoint", "adgan.safetensors"],
            "adgan cannot edit",
        ),
        (["restyle", "--person", "anna.png", "--style", "bert.png", "--checkpoint", "blind.safetensors"], "baseline"),
        (
            ["restyle", "--person", "anna.png", "--style", "bert.png", "--out", "anna.png"],
            "write over one of your files",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(run, args, text):
    code, output = run(*args)
    assert code == 1
    assert text in output.err


@pytest.mark.parametrize(
    ("size", "value", "text"),
    [((256, 176), 9, "none of the eight labels"), ((128, 88), 0, "176x256")],
)
def test_a_wrong_label_map_is_refused(tmp_path, size, value, text):
    Image.fromarray(np.full(size, value, np.uint8)).save(tmp_path / "map.png")
    with pytest.raises(UserError, match=text):
        read_layout(tmp_path / "map.png", (256, 176))


def test_label_maps_survive_indexed_and_coloured(tmp_path):
    layout = np.random.default_rng(0).integers(0, 8, (256, 176)).astype(np.uint8)
    write_layout(tmp_path / "map.png", layout)
    np.testing.assert_array_equal(read_layout(tmp_path / "map.png", layout.shape), layout)
    Image.fromarray(labels.paint(layout)).save(tmp_path / "colours.png")
    np.testing.assert_array_equal(read_layout(tmp_path / "colours.png", layout.shape), layout)
    assert PANTS in layout
    with pytest.raises(UserError, match="no such file"):
        read_layout(tmp_path / "none.png", layout.shape)
