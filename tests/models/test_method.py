import pytest
import torch

from models.data import take
from models.method import METHODS, build, load, method_class, save, start_from
from models.settings import SettingsError

SMALL = {"width": 0.05, "perceptual": 0, "contextual": 0}


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


def test_a_file_without_settings_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(SettingsError, match=r"other\.safetensors: no method and settings"):
        load(tmp_path / "other.safetensors")


def test_start_from_takes_the_weights_and_names_what_does_not_fit(tmp_path):
    trained = build("adgan", SMALL, seed=1)
    save(tmp_path / "w.safetensors", trained)
    fresh = build("adgan", SMALL, seed=2)
    start_from(fresh, tmp_path / "w.safetensors")
    torch.testing.assert_close(fresh.state_dict(), trained.state_dict(), rtol=0, atol=0)
    with pytest.raises(SettingsError, match=r"w\.safetensors: '.*' has shape .* pretrain with the same adgan\.width"):
        start_from(build("adgan", SMALL | {"width": 0.25}), tmp_path / "w.safetensors")
    with pytest.raises(SettingsError, match=r"entry 'generator\.enc_style\.vgg\.0\.bias' does not fit these settings"):
        start_from(build("adgan", SMALL | {"texture_vgg": "vgg16"}), tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("choice", "learning", "frozen"),
    [
        ("everything", {"generator.enc_style", "generator.enc_content", "generator.dec", "critic_pose"}, set()),
        ("frozen_texture", {"generator.enc_content", "generator.dec", "critic_pose"}, {"generator.enc_style"}),
        (
            "decoder",
            {"generator.fc", "generator.mlp", "generator.dec", "critic_pose", "critic_texture"},
            {"generator.enc_style", "generator.enc_content"},
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
    with pytest.raises(SettingsError, match="learn: 'all' is not one of everything, frozen_texture, decoder"):
        build("adgan", SMALL).let_learn("all")
