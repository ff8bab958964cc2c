import re

import pytest
import torch
from safetensors.torch import save_file

from models.data import take
from models.method import METHODS, build, load, method_class, save
from models.settings import SettingsError, read_settings

SMALL = {
    "width": 0.05,
    "scale": 0.5,
    "critics_after": 0.8,
    "texture_vgg": "none",
    "pooling": "part",
    "first_weights": "kaiming",
    "gan": 0.5,
    "l1": 5.0,
    "perceptual": 0,
    "contextual": 0,
}


@pytest.mark.parametrize("name", METHODS)
def test_every_registered_system_is_called_what_it_is_registered_as(name):
    assert method_class(name).name == name
    assert {"scale"} <= {field for field in method_class(name).Settings.__dataclass_fields__}


def test_an_unknown_system_is_named():
    with pytest.raises(SettingsError, match=r"methods: 'gan' is not one of adgan"):
        build("gan", {})


def test_a_wrong_setting_is_named():
    with pytest.raises(SettingsError, match=r"unknown key 'adgan\.widht'; did you mean 'width'\?"):
        build("adgan", {"widht": 1})


def test_fresh_weights_are_a_function_of_the_seed_and_leave_the_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = build("adgan", SMALL, seed=1), build("adgan", SMALL, seed=1), build("adgan", SMALL, seed=2)
    assert torch.equal(torch.rand(1), expected)
    torch.testing.assert_close(first.state_dict(), again.state_dict(), rtol=0, atol=0)
    assert not torch.equal(first.generator.fc.fc.weight, other.generator.fc.fc.weight)


def test_a_saved_system_comes_back_with_settings_and_weights(tmp_path, train_pairs):
    method = build("adgan", SMALL | {"pose_map": "disc"}, seed=4)
    save(tmp_path / "deep" / "weights.safetensors", method)
    loaded = load(tmp_path / "deep" / "weights.safetensors")
    assert loaded.settings == method.settings
    assert not loaded.training
    batch = take(train_pairs, 2, torch.device("cpu"))
    torch.testing.assert_close(loaded.generate(batch), method.generate(batch), rtol=0, atol=0)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["weights.safetensors"]


def test_the_same_system_gives_the_same_file(tmp_path):
    for number in range(8):
        save(tmp_path / f"{number}", build("adgan", SMALL))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_system_starts_with_the_weights_of_a_file_and_names_what_does_not_fit(tmp_path):
    trained = build("adgan", SMALL, seed=1)
    path = tmp_path / "w.safetensors"
    save(path, trained)
    fresh = build("adgan", SMALL, seed=2, start=path)
    torch.testing.assert_close(fresh.state_dict(), trained.state_dict(), rtol=0, atol=0)
    with pytest.raises(SettingsError, match=r"w\.safetensors: '.*' has shape .* pretrain with the same adgan\.width"):
        build("adgan", SMALL | {"width": 0.25}, start=path)
    with pytest.raises(SettingsError, match=r"entry 'generator\.enc_style\.vgg\.0\.bias' does not fit these settings"):
        build("adgan", SMALL | {"texture_vgg": "vgg16"}, start=path)
    with pytest.raises(SettingsError, match=r"trained with adgan\.pose_map gaussian, here delta; use the same"):
        build("adgan", SMALL | {"pose_map": "delta"}, start=path)


def test_weights_that_a_file_brings_need_no_other_file(tmp_path):
    """A start with a VGG-19 in it does not ask for torchvision's file."""
    settings = SMALL | {"texture_vgg": "vgg19"}
    brought = method_class("adgan")(read_settings(method_class("adgan").Settings, settings, where="adgan"))
    save(tmp_path / "w.safetensors", brought)
    start = build("adgan", settings, start=tmp_path / "w.safetensors")
    torch.testing.assert_close(start.state_dict(), brought.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "no safetensors file, or a damaged one"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "no safetensors file, or a damaged one"),
        ({}, "no method and settings in its metadata"),
        ({"system": "not json"}, "no method and settings in its metadata"),
        ({"system": "[1]"}, "no method and settings in its metadata"),
        ({"system": '{"method": "gan", "settings": {}}'}, "methods: 'gan' is not one of adgan"),
        ({"system": '{"method": "adgan", "settings": {"widht": 1}}'}, "unknown key 'adgan.widht'"),
        ({"system": '{"method": "adgan", "settings": {"width": 0.05, "texture_vgg": "none"}}'}, "do not fit"),
    ],
)
def test_a_file_that_is_none_of_ours_is_named(tmp_path, content, message):
    path = tmp_path / "odd.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save_file({"x": torch.zeros(1)}, path, content or None)
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        load(path)
    assert "odd.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "learning", "frozen"),
    [
        ("everything", {"generator.enc_style", "generator.enc_content", "generator.dec", "critic_pose"}, set()),
        (
            "frozen_encoders",
            {"generator.fc", "generator.dec", "critic_pose"},
            {"generator.enc_style", "generator.enc_content"},
        ),
        (
            "decoder",
            {"generator.fc", "generator.mlp", "generator.dec"},
            {"generator.enc_style", "generator.enc_content", "critic_pose", "critic_texture"},
        ),
    ],
)
def test_what_learns_can_be_chosen(choice, learning, frozen):
    method = build("adgan", SMALL)
    method.let_learn(choice)
    for prefix in learning:
        assert all(p.requires_grad for name, p in method.named_parameters() if name.startswith(prefix))
    for prefix in frozen:
        assert not any(p.requires_grad for name, p in method.named_parameters() if name.startswith(prefix))


def test_an_unknown_choice_is_named():
    with pytest.raises(SettingsError, match="learn: 'all' is not one of everything, frozen_encoders, decoder"):
        build("adgan", SMALL).let_learn("all")
