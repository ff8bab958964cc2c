from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from models.adgan import Adgan, Generator, TextureEncoder, one_hot, part_boxes, reach
from models.data import take
from models.discriminators import ResidualDiscriminator
from models.features import Trunk
from models.method import Moment, build
from tests.models.contract import MethodContract

SHAPES = Path(__file__).parents[3] / "shared" / "reference" / "shapes"
SMALL = {
    "width": 0.05,
    "texture_vgg": "none",
    "pooling": "part",
    "first_weights": "kaiming",
    "gan": 0.5,
    "l1": 5.0,
    "perceptual": 0,
    "contextual": 0,
}


class TestAdgan(MethodContract):
    name = "adgan"
    tiny: ClassVar = {"width": 0.05, "perceptual": 0.0}


def _conv(name: str, outputs: int, inputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def _generator_shapes() -> dict[str, tuple[int, ...]]:
    """The table of the specification, written out."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, (outputs, inputs, kernel) in enumerate([(64, 18, 7), (128, 64, 4), (256, 128, 4)]):
        shapes |= _conv(f"enc_content.model.{index}.conv", outputs, inputs, kernel)
    for block in range(8):
        for half in range(2):
            shapes |= _conv(f"enc_content.model.3.model.{block}.model.{half}.conv", 256, 256, 3)
            shapes |= _conv(f"dec.model.0.model.{block}.model.{half}.conv", 256, 256, 3)
            for statistic in ("mean", "var"):
                shapes[f"dec.model.0.model.{block}.model.{half}.norm.running_{statistic}"] = (256,)
    for number, (outputs, inputs, kernel) in enumerate([(64, 3, 7), (128, 128, 4), (256, 256, 4), (512, 512, 4)], 1):
        shapes |= _conv(f"enc_style.conv{number}.conv", outputs, inputs, kernel)
    shapes |= _conv("enc_style.model.1", 64, 1024, 1)
    inputs, index = 3, 0
    for channels, count in [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)]:
        for _ in range(count):
            shapes |= _conv(f"enc_style.vgg.{index}", channels, inputs, 3)
            inputs, index = channels, index + 2
        index += 1
    for index, (outputs, inputs) in {2: (128, 256), 4: (64, 128)}.items():
        shapes |= _conv(f"dec.model.{index}.conv", outputs, inputs, 5)
        shapes |= {f"dec.model.{index}.norm.gamma": (outputs,), f"dec.model.{index}.norm.beta": (outputs,)}
    shapes |= _conv("dec.model.5.conv", 3, 64, 7)
    for name, outputs, inputs in [("fc", 512, 512), ("mlp.model.0", 256, 512), ("mlp.model.1", 256, 256)]:
        shapes |= {f"{name}.fc.weight": (outputs, inputs), f"{name}.fc.bias": (outputs,)}
    return shapes | {"mlp.model.2.fc.weight": (8192, 256), "mlp.model.2.fc.bias": (8192,)}


def _shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def _listed(name: str) -> dict[str, tuple[int, ...]]:
    path = SHAPES / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"{name}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {key: tuple(int(number) for number in shape[1:-1].split(",") if number.strip()) for key, shape, _ in rows}


@pytest.fixture(scope="module")
def full_size() -> Generator:
    with torch.device("meta"):
        return Generator(width=1.0, texture_vgg="vgg19")


def test_generator_has_the_published_entries(full_size):
    assert _shapes(full_size) == _generator_shapes()
    assert sum(parameter.numel() for parameter in full_size.parameters()) == 48_799_299
    assert sum(parameter.numel() for parameter in full_size.parameters() if parameter.requires_grad) == 28_774_915


def test_generator_has_the_listed_entries(full_size):
    assert _shapes(full_size) == _listed("adgen")


@pytest.mark.parametrize(
    ("name", "inputs", "norm", "dropout", "count"),
    [
        ("D_PB", 21, "instance", True, 3_975_424),
        ("D_PP", 6, "instance", True, 3_928_384),
        ("D_PB_market", 21, "batch", True, 3_977_408),
        ("patn_D_PB_market", 21, "batch", True, 3_977_408),
        ("patn_D_PP_market", 6, "batch", True, 3_930_368),
    ],
)
def test_discriminators_have_the_published_entries(name, inputs, norm, dropout, count):
    critic = ResidualDiscriminator(inputs, norm=norm, dropout=dropout)
    assert sum(parameter.numel() for parameter in critic.parameters()) == count
    assert _shapes(critic) == _listed(name)


def test_the_critics_map_is_a_quarter_of_the_picture():
    assert ResidualDiscriminator(6, width=0.25)(torch.rand(2, 6, 32, 24)).shape == (2, 64, 8, 6)


@pytest.fixture
def batch(train_pairs):
    return take(train_pairs, 3, torch.device("cpu"))


@pytest.mark.parametrize(("vgg", "pooling"), [("none", "picture"), ("none", "part"), ("vgg16", "part")])
def test_folded_masks_equal_a_loop_over_the_parts(batch, vgg, pooling):
    generator = Generator(width=0.1, texture_vgg=vgg, pooling=pooling)
    parsing = one_hot(batch.source_parsing)
    alone = [generator.enc_style(batch.source, parsing[:, part : part + 1]) for part in range(8)]
    torch.testing.assert_close(generator.encode(batch.source, parsing), torch.stack(alone, dim=1), atol=1e-6, rtol=1e-5)


def _masks():
    """(1, 8, 128, 88): what is left, three parts inside, two at borders, two that are not there."""
    masks = torch.zeros(1, 8, 128, 88)
    masks[0, 1, 60:70, 40:50] = masks[0, 2, 5:20, 30:40] = masks[0, 3, 56, 43] = 1
    masks[0, 4, 120:, 60:] = masks[0, 5, :3, 80:] = 1
    masks[0, 0] = 1 - masks.sum(1)
    return masks


@pytest.mark.parametrize(
    ("vgg", "pooling"),
    [("vgg16", "picture"), ("vgg16", "part"), pytest.param("vgg19", "picture", marks=pytest.mark.slow)],
)
def test_parts_within_their_boxes_have_the_codes_and_gradients_of_whole_pictures(vgg, pooling):
    """The weights are random, and biases too, so that nothing is nothing only where nothing is."""
    torch.manual_seed(0)
    encoder = TextureEncoder(0.05, vgg, pooling).double()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.02 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5)
    image, masks = torch.rand(1, 3, 128, 88).double() * 2 - 1, _masks().double()
    boxes = part_boxes(masks[0], reach(encoder.vgg, "relu4_1"))
    assert boxes[7] == (0, 0, 0, 0)
    whole = encoder(image.repeat_interleave(8, 0), masks[0, :, None])
    within = encoder.codes(image, masks)[0]
    assert (within - whole).abs().max() < 1e-10 * whole.abs().max()
    looks = torch.randn_like(whole)
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    ours, theirs = (torch.autograd.grad((codes * looks).sum(), learning) for codes in (within, whole))
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() < 1e-10 * other.abs().max()


def test_boxes_hold_all_that_changes_and_little_more():
    """A row of pixels changes features as far away as weights above zero can carry it."""
    trunk = Trunk("vgg16", layers=19).double()
    for layer in trunk:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.constant_(layer.weight, 1 / layer.in_channels)
            torch.nn.init.zeros_(layer.bias)
    image, mask = torch.zeros(1, 3, 144, 8, dtype=torch.float64), torch.zeros(1, 144, 8)
    image[..., 72, :] = mask[:, 72] = 1
    rows = trunk(image)[0].sum((0, 2)).nonzero().flatten()
    first, last = 8 * int(rows[0]), 8 * int(rows[-1]) + 8
    top, bottom = part_boxes(torch.cat([mask] * 9), reach(trunk, "relu4_1"))[0][:2]
    assert first - 8 <= top <= first
    assert last <= bottom <= last + 8


def test_boxes_are_left_where_they_save_nothing():
    assert part_boxes(torch.ones(8, 128, 88), 33) is None
    assert part_boxes(torch.zeros(8, 132, 88), 33) is None


def test_one_hot_is_the_parsing_in_our_order(batch):
    parsing = one_hot(batch.source_parsing)
    assert parsing.shape == (3, 8, 64, 44)
    torch.testing.assert_close(parsing.argmax(1), batch.source_parsing.long())
    assert (parsing.sum(1) == 1).all()


def test_pooling_over_the_part_makes_its_size_no_matter():
    """A plain colour: the code of a large part is that of a small one, as nearly as the border lets it."""
    torch.manual_seed(0)
    encoder = TextureEncoder(0.25, "none", "part")
    image = torch.full((2, 3, 128, 96), 0.5)
    parts = torch.zeros(2, 1, 128, 96)
    parts[0, :, 16:112, 16:80] = 1
    parts[1, :, 32:96, 24:72] = 1
    large, small = encoder(image, parts)
    nothing = encoder(image[:1], torch.zeros(1, 1, 128, 96))[0]
    assert (large - small).norm() < 0.2 * (large - nothing).norm()
    large, small = TextureEncoder(0.25, "none", "picture")(image, parts)
    assert not torch.allclose(large, small, rtol=0.01)


@pytest.mark.parametrize("pooling", ["part", "picture"])
def test_a_part_that_is_not_there_has_one_code_for_everybody(batch, pooling):
    codes = Generator(width=0.1, pooling=pooling).encode(batch.source, one_hot(batch.source_parsing))
    skirt, face = codes[:, 5], codes[:, 2]
    torch.testing.assert_close(skirt, skirt[:1].expand_as(skirt))
    assert not torch.allclose(skirt, face)


def test_texture_encoder_has_the_gradient_of_its_differences():
    encoder = TextureEncoder(0.05, "none", "part").double()
    image = torch.rand(1, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    part = torch.zeros(1, 1, 16, 16, dtype=torch.double)
    part[..., 4:12, 2:9] = 1
    assert torch.autograd.gradcheck(lambda x: encoder(x, part).square().sum(), image, fast_mode=True)


def test_a_picture_has_the_batchs_size_at_any_scale(batch):
    for scale in (0.5, 1.0):
        image = build("adgan", SMALL | {"scale": scale}).generate(batch)
        assert image.shape == (3, 3, 64, 44)
        assert image.abs().max() <= 1


def test_a_step_moves_every_network_in_the_papers_order(batch):
    method = build("adgan", SMALL | {"texture_vgg": "vgg16", "perceptual": 1, "contextual": 0.1})
    before = {key: value.clone() for key, value in method.state_dict().items()}
    optimisers, order = method.optimisers("train"), []

    def update(name: str, loss: torch.Tensor) -> None:
        order.append(name)
        optimisers[name].zero_grad()
        loss.backward(inputs=[p for group in optimisers[name].param_groups for p in group["params"]])
        optimisers[name].step()

    terms = method.train_step(batch, update, Moment("train", 0, 1))
    assert order == ["generator", "texture", "pose"]
    assert terms.keys() == {"gan", "l1", "perceptual", "contextual", "critic_texture", "critic_pose"}
    assert all(torch.isfinite(term) for term in terms.values())
    for network in ("enc_content", "enc_style.conv1", "fc", "mlp", "dec"):
        assert _moved(before, method, f"generator.{network}")
    assert _moved(before, method, "critic_pose")
    assert _moved(before, method, "critic_texture")
    assert not _moved(before, method, "generator.enc_style.vgg")
    assert not any("trunk" in key for key in method.state_dict())


def test_the_losses_weigh_what_the_published_code_says(batch, monkeypatch):
    """Every raw loss replaced by 1: what is left are the weights, 5 (1 + 1) / 2 for the critics' verdicts."""
    import models.adgan as module
    import models.likeness as likeness

    for place, name in ((module, "foreground_l1"), (likeness, "perceptual_loss"), (likeness, "contextual_loss")):
        monkeypatch.setattr(place, name, lambda *args: torch.ones((), requires_grad=True))
    monkeypatch.setattr(module, "ADVERSARIAL", {"lsgan": lambda scores, is_real: torch.ones((), requires_grad=True)})
    method = build("adgan", {"width": 0.05, "scale": 0.5})
    terms = method.train_step(batch, lambda name, loss: None, Moment("train", 0, 1))
    found = {name: round(float(term), 6) for name, term in terms.items()}
    # The contextual loss is the sum over two layers.
    expected = {"l1": 1, "perceptual": 1, "contextual": 0.2, "gan": 5, "critic_texture": 5, "critic_pose": 5}
    assert found == pytest.approx(expected)


def test_the_papers_adversarial_loss_trains(batch):
    method = build("adgan", SMALL | {"adversarial": "log", "critics_after": 0})
    terms = method.train_step(batch, lambda name, loss: None, Moment("train", 0, 1))
    # An undecided critic: -log(1/2) for each picture; raw scores of a fresh one are near 0.
    assert float(terms["critic_pose"]) == pytest.approx(0.5 * np.log(2), rel=0.5)


def test_auto_is_vgg19_where_its_weights_are_given():
    kind = Adgan.Settings
    assert kind().trunk("auto") == "vgg16"
    assert kind(vgg19_weights="some.pth").trunk("auto") == "vgg19"
    assert kind(vgg19_weights="some.pth").trunk("none") == "none"


def test_vgg19_is_read_from_torchvisions_file(tmp_path):
    """A file of torchvision's form with random numbers: they are in the texture branch and in the losses' trunk."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = Trunk("vgg19")
    state = {f"features.{key}": torch.randn_like(value) * 0.01 for key, value in features.state_dict().items()}
    torch.save(state | {"classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg19.pth")
    method = build("adgan", {"width": 0.05, "vgg19_weights": str(tmp_path / "vgg19.pth")})
    for trunk in (method.generator.enc_style.vgg, method._likeness.trunk(torch.zeros(1))):
        assert trunk.kind == "vgg19"
        torch.testing.assert_close(trunk[2].weight, state["features.2.weight"])


def test_critics_rest_until_their_share_of_the_steps(batch):
    method = build("adgan", SMALL | {"critics_after": 0.5})
    for step, expected in ((0, ["generator"]), (4, ["generator"]), (5, ["generator", "texture", "pose"])):
        order: list[str] = []
        method.train_step(batch, lambda name, loss, order=order: order.append(name), Moment("train", step, 10))
        assert order == expected


def _moved(before: dict[str, torch.Tensor], method: torch.nn.Module, prefix: str) -> bool:
    state = method.state_dict()
    keys = [key for key in before if key.startswith(prefix)]
    assert keys
    return any(not torch.equal(before[key], state[key]) for key in keys)


def test_original_generator_starts_small_and_critics_as_pytorch_makes_them():
    method = build("adgan", SMALL | {"width": 0.25, "first_weights": "original"})
    assert float(method.generator.enc_content.model[2].conv.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    # Kaiming-uniform with a = sqrt(5): deviation 1 / sqrt(3 x fan in)
    weight = method.critic_pose.model[7].weight.detach()
    assert float(weight.std()) == pytest.approx((3 * weight[0].numel()) ** -0.5, rel=0.05)


def test_kaiming_weights_begin_with_a_scale_around_one(batch):
    method = build("adgan", SMALL | {"width": 0.25, "first_weights": "kaiming"})
    codes = method.generator.encode(batch.source, one_hot(batch.source_parsing))
    style = method.generator.mlp(method.generator.fc(codes.flatten(1))).unflatten(1, (16, 2, -1))
    assert float(style[:, :, 1].mean().detach()) == pytest.approx(1, abs=0.1)
    assert float(style[:, :, 0].mean().detach()) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("critics", "judging"), [("pose", ["pose"]), ("texture", ["texture"]), ("none", [])])
def test_a_critic_that_is_left_out_neither_judges_nor_learns(batch, critics, judging):
    method = build("adgan", SMALL | {"critics": critics})
    before = {key: value.clone() for key, value in method.state_dict().items()}
    optimisers, order = method.optimisers("train"), []

    def update(name: str, loss: torch.Tensor) -> None:
        order.append(name)
        loss.backward(inputs=[p for group in optimisers[name].param_groups for p in group["params"]])
        optimisers[name].step()

    terms = method.train_step(batch, update, Moment("train", 9, 10))
    assert order == ["generator", *judging]
    assert list(optimisers) == ["generator", *judging]
    assert terms.keys() == {"l1", *(["gan"] if judging else []), *(f"critic_{name}" for name in judging)}
    for name in ("pose", "texture"):
        assert _moved(before, method, f"critic_{name}") == (name in judging)
    # What is saved stays the published checkpoint's, entry for entry.
    assert _shapes(method) == _shapes(build("adgan", SMALL))


@pytest.mark.parametrize("critics", ["both", "pose", "texture"])
def test_the_critics_that_judge_share_the_weight(batch, monkeypatch, critics):
    """Every verdict replaced by 1: the weight is 5 whether one judges or two."""
    import models.adgan as module

    monkeypatch.setattr(module, "ADVERSARIAL", {"lsgan": lambda scores, is_real: torch.ones((), requires_grad=True)})
    method = build("adgan", SMALL | {"critics": critics, "gan": 5.0})
    terms = method.train_step(batch, lambda name, loss: None, Moment("train", 0, 1))
    assert float(terms["gan"]) == 5


def test_whoever_shows_no_joint_has_a_ramp_for_a_pose(batch):
    """No norm is then given a picture without contrast, whose gradient grows beyond all numbers."""
    joints = batch.target_joints.clone()
    joints[0] = torch.tensor([-1.0, -1.0, 0.0])
    method = build("adgan", SMALL | {"scale": 1.0})
    maps = method._pose(replace(batch, target_joints=joints))
    assert torch.equal(maps[1:], method._pose(batch)[1:])
    height, width = batch.size
    expected = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (18, height, width))
    np.testing.assert_allclose(maps[0].numpy(), expected, atol=1e-6)
    joints[0, 4] = torch.tensor([10.0, 20.0, 1.0])
    assert (method._pose(replace(batch, target_joints=joints))[0, 5:] == 0).all()
