import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.adgan import Adgan, AdganSettings
from models.method import load, save
from stages import commands
from tests.models.published import GENERATOR_SHAPES, UNREAD, critic_shapes, lively, same


@pytest.fixture(scope="module")
def released():
    return {key: value.half().float() for key, value in lively(GENERATOR_SHAPES).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, released):
    """A checkpoint of the original program, as two graphics cards leave it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.save({f"module.{key}": value.half() for key, value in released.items()}, folder / "latest_net_netG.pth")
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def convert(*args):
    return commands.main(["convert", *args])


def test_there_and_back_again(folder, released, capsys):
    assert convert("latest_net_netG.pth", "--out", "new/adgan.safetensors") == 0
    said = capsys.readouterr().out
    assert "'adgan' with ADGAN's generator (netG) of latest_net_netG.pth, labels in this project's order" in said
    assert "pose_map delta" in said
    assert "32 entries that nothing reads were left out:" in said
    assert all(f"  generator.{key}\n" in said for key in released if UNREAD in key)

    with safe_open(folder / "new" / "adgan.safetensors", "pt") as file:
        system = json.loads(file.metadata()["system"])
    assert system["method"] == "adgan"
    assert system["settings"]["pooling"] == "picture"
    assert load(folder / "new" / "adgan.safetensors").settings.texture_vgg == "vgg19"

    assert convert("new/adgan.safetensors", "--out", "back.pth") == 0
    said = capsys.readouterr().out
    assert "back.pth: ADGAN's generator (netG) with the 162 entries" in said
    assert "its pose maps must be 'delta'" in said
    assert same(torch.load(folder / "back.pth", weights_only=True), released)

    assert convert("new/adgan.safetensors", "--out", "d.pth", "--name", "adgan_d_texture") == 0
    shapes = {key: value.shape for key, value in torch.load(folder / "d.pth", weights_only=True).items()}
    assert shapes == critic_shapes(6)
    assert not list(folder.rglob("*.part"))


@pytest.fixture(scope="module")
def small(folder):
    save(folder / "small.safetensors", Adgan(AdganSettings(width=0.05, texture_vgg="none", pooling="picture")))
    save_file({"fc.fc.bias": torch.zeros(512)}, folder / "bare.safetensors")
    (folder / "text.pth").write_text("no checkpoint")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent.pth", "--out", "a.safetensors"), "absent.pth: there is no such file"),
        (("absent.safetensors", "--out", "a.pth"), "absent.safetensors: there is no such file"),
        (("text.pth", "--out", "a.safetensors"), "text.pth: cannot be read"),
        (
            ("latest_net_netG.pth", "--out", "a.pth"),
            "--out a.pth: a published checkpoint becomes one of this project; give",
        ),
        (("small.safetensors", "--out", "a.safetensors"), "becomes a published one; give a name that ends in .pth"),
        (("small.safetensors", "--out", "a.pth"), "small.safetensors: adgan: the original has width = 1.0, not 0.05"),
        (("bare.safetensors", "--out", "a.safetensors"), "bare.safetensors: adgan: the entries do not fit ADGAN's"),
        (("bare.safetensors", "--out", "a.safetensors", "--name", "adgan_d_pose"), "no system works with this network"),
        (("small.safetensors", "--out", "a.pth", "--name", "adgam"), "'adgam' is not a published network"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(folder, small, capsys, arguments, message):
    assert convert(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert not list(folder.glob("a.*"))
