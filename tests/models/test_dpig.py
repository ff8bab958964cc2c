from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.data import pose_maps, take
from models.discriminators import clip_weights
from models.dpig import Dpig, DpigSettings
from models.dpig_codes import BACKGROUND, FOREGROUND, POSE, CodeCritic, ResidualMlp, WhitenedMapping
from models.dpig_networks import Decoder, PoseDecoder
from models.method import Method, Moment, build
from models.regions import pose_joints, pose_vector
from models.settings import SettingsError, read_settings
from tests.models.contract import MethodContract, Updates
from tests.test_recipes import applied

TINY: dict[str, Any] = {"width": 0.05, "scale": 1.0, "rows": 64, "columns": 44, "crop_px": 8}


class TestDpig(MethodContract):
    name = "dpig"
    tiny: ClassVar = TINY | {"gan": 1.0, "critics_after": 0.9, "pose_share": 0.1, "mapping_share": 0.1}
    by_heart: ClassVar = {"steps": 150, "rate": 2.0}

    def distance(self, method: Method, batch: Any) -> float:
        """It learns to draw the source again."""
        image = method.generate(_in_own_pose(batch))
        return float((image - batch.source).abs().mean())


@pytest.mark.slow
class TestDpigWithPlaces(MethodContract):
    name = "dpig"
    tiny: ClassVar = TestDpig.tiny | {"placed": "limbs", "codes": "standard", "foreground": 3.0, "twist": 0.7}
    by_heart: ClassVar = TestDpig.by_heart
    distance = TestDpig.distance


@pytest.mark.slow
class TestDpigOfDeepFashion(MethodContract):
    name = "dpig"
    tiny: ClassVar = TestDpig.tiny | {
        "layout": "deepfashion",
        "mask": "limbs",
        "compat": "original",
        "sampling": "mappings",
    }
    by_heart: ClassVar = TestDpig.by_heart
    distance = TestDpig.distance


@pytest.mark.slow
class TestDpigAsVae(MethodContract):
    name = "dpig"
    tiny: ClassVar = TestDpig.tiny | {"sampling": "vae", "regions": "whole", "kl": 0.001}
    by_heart: ClassVar = TestDpig.by_heart
    distance = TestDpig.distance


def _in_own_pose(batch):
    return replace(batch, target_joints=batch.source_joints)


@pytest.fixture
def batch(train_pairs):
    return take(train_pairs, 3, torch.device("cpu"))


# The published networks.


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


MARKET = DpigSettings()
FASHION = DpigSettings(layout="deepfashion", rows=256, columns=256, crop_px=64)


@pytest.mark.parametrize(
    ("settings", "encoder", "decoder", "critic"),
    [(MARKET, 47_352_736, 71_197_123, 4_324_737), (FASHION, 58_140_832, 82_088_387, 10_896_257)],
)
def test_the_networks_have_the_published_sizes(settings, encoder, decoder, critic):
    with torch.device("meta"):
        method = Dpig(settings)
    assert _count(method.encoder) == encoder
    assert _count(method.decoder) == decoder
    assert _count(method.critic) == critic


def test_the_small_networks_have_the_published_sizes():
    with torch.device("meta"):
        method = build("dpig", {})
        assert _count(method.pose_encoder) == 2_145_824
        assert _count(method.pose_decoder) == 2_145_846
        assert {key: _count(net) for key, net in method.mappings.items()} == {
            FOREGROUND: 2_331_360, BACKGROUND: 592_256, POSE: 2_134_560,
        }  # fmt: skip
        assert {key: _count(net) for key, net in method.code_critics.items()} == {
            FOREGROUND: 903_681, BACKGROUND: 854_529, POSE: 805_377,
        }  # fmt: skip
        fashion = build("dpig", {"layout": "deepfashion", "rows": 256, "columns": 256, "crop_px": 64})
    assert fashion.factors == (FOREGROUND, POSE)
    assert fashion.settings.numbers == {FOREGROUND: 224, POSE: 32}


def test_published_layers_have_the_pages_shapes():
    with torch.device("meta"):
        encoder, decoder = Dpig(MARKET).encoder, Dpig(FASHION).decoder
    shapes = {key: tuple(value.shape) for key, value in [*encoder.state_dict().items(), *decoder.state_dict().items()]}
    assert shapes["region.head.weight"] == (32, 3 * 3 * 640)
    assert shapes["background.head.weight"] == (128, 8 * 4 * 640)
    assert shapes["encoder.first.weight"] == (128, 242, 3, 3)
    assert shapes["encoder.code.weight"] == (64, 16 * 16 * 640)
    assert shapes["decoder.grow.weight"] == (16 * 16 * 128, 64)
    assert shapes["decoder.pairs.1.first.weight"] == (1024, 1024, 3, 3)


@pytest.mark.parametrize(("size", "scores"), [((128, 64), 1), ((256, 256), 8), ((256, 128), 4), ((256, 176), 6)])
def test_the_originals_critic_gives_a_large_picture_several_scores(size, scores):
    """Rows of 16,384 numbers of the last map, 512 channels at a sixteenth of the size."""
    critic = Dpig(DpigSettings(width=0.05, rows=size[0], columns=size[1], compat="original")).critic
    assert critic(torch.rand(2, 3, *size)).shape == (2 * scores,)
    mended = Dpig(DpigSettings(width=0.05, rows=size[0], columns=size[1])).critic
    assert mended(torch.rand(2, 3, *size)).shape == (2,)


# The parts, against plain ones.


def tiny_decoder():
    settings = DpigSettings(**TINY)
    return Decoder(settings.numbers, size=settings.size, width=settings.width).double()


def test_the_code_stands_at_every_pixel_borders_included():
    torch.manual_seed(0)
    decoder = tiny_decoder()
    nn.init.normal_(decoder.encoder.first.bias)
    code, pose = torch.randn(2, decoder.numbers).double(), torch.randn(2, 18, 48, 37).double()
    spread = code[..., None, None].expand(-1, -1, 48, 48)
    laid_out = torch.cat([spread, F.pad(pose, (0, 11), value=-1.0)], 1)
    expected = decoder(laid_out)[..., :37]
    torch.testing.assert_close(decoder.draw(code, pose), expected)


def test_codes_stand_at_their_places_and_the_background_elsewhere():
    torch.manual_seed(0)
    decoder = tiny_decoder()
    code, pose = torch.randn(2, decoder.numbers).double(), torch.randn(2, 18, 48, 37).double()
    places = (torch.rand(2, 7, 48, 37) < 0.2).double()
    laid_out = torch.zeros(2, decoder.numbers + 18, 48, 48).double()
    laid_out[:, decoder.numbers :] = F.pad(pose, (0, 11), value=-1.0)
    length = decoder.foreground // 7
    is_free = torch.ones(2, 48, 48).double()
    for region in range(7):
        place = F.pad(places[:, region], (0, 11))
        is_free *= 1 - place
        for number in range(length * region, length * (region + 1)):
            laid_out[:, number] = code[:, number, None, None] * place
    for number in range(decoder.foreground, decoder.numbers):
        laid_out[:, number] = code[:, number, None, None] * is_free
    torch.testing.assert_close(decoder.draw(code, pose, places), decoder(laid_out)[..., :37])


def test_without_a_background_only_regions_have_a_place(batch):
    method = build("dpig", TINY | {"layout": "deepfashion", "placed": "limbs", "mask": "limbs"})
    assert method.decoder.numbers == method.decoder.foreground
    assert torch.isfinite(method.generate(batch)).all()


def _mlp(network, x, *, is_entry_linear):
    """The layers one by one, in numpy."""

    def linear(layer, x):
        return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    def act(x):
        return np.where(x > 0, x, 0.2 * x)

    x = linear(network.entry, x.numpy())
    x = x if is_entry_linear else act(x)
    for first, second in network.blocks:
        x = x + act(linear(second, act(linear(first, x))))
    return linear(network.exit, x)


def test_mappings_and_pose_networks_are_the_pages():
    torch.manual_seed(0)
    mapping, pose = ResidualMlp(6, 10, 6).double(), PoseDecoder(8).double()
    z, code = torch.randn(3, 6).double(), torch.randn(3, 32).double()
    np.testing.assert_allclose(mapping(z).detach(), _mlp(mapping, z, is_entry_linear=False))
    found, plain = pose(code).detach().numpy(), _mlp(pose, code, is_entry_linear=True)
    np.testing.assert_allclose(found[..., :2].reshape(3, 36), plain[:, :36])
    np.testing.assert_array_equal(found[..., 2], (plain[:, 36:] > 0).astype(float))
    critic, x = CodeCritic(6, 10).double(), z.numpy()
    for index in (0, 2, 4, 6):
        x = x @ critic[index].weight.detach().numpy().T + critic[index].bias.detach().numpy()
        x = np.where(x > 0, x, 0.2 * x)
    last = critic[8]
    np.testing.assert_allclose(critic(z).detach(), x @ last.weight.detach().numpy().T + last.bias.detach().numpy())


def test_visibility_is_rounded_and_lets_the_gradient_through():
    network, code = PoseDecoder(8).double(), torch.randn(1, 32, dtype=torch.double, requires_grad=True)
    plain = ResidualMlp.forward(network, code)[:, 36:]
    expected = torch.autograd.grad(torch.sigmoid(plain).sum(), code)[0]
    assert expected.abs().max() > 0
    torch.testing.assert_close(torch.autograd.grad(network(code)[..., 2].sum(), code)[0], expected)


def test_joints_become_a_vector_and_come_back():
    joints = torch.tensor([[[30.0, 10.0, 0.7]] + [[-1.0, -1.0, 0.0]] * 17])
    vector = pose_vector(joints, (64, 40))
    # row / H * 2 - 1, column / W * 2 - 1, visible
    torch.testing.assert_close(vector[0, 0], torch.tensor([10 / 64 * 2 - 1, 30 / 40 * 2 - 1, 1.0]))
    assert vector[0, 5].tolist() == [-1, -1, 0]
    back = pose_joints(vector, (64, 40))
    torch.testing.assert_close(back[0, 0], torch.tensor([30.0, 10.0, 1.0]))
    assert (back[0, 1:] == joints[0, 1:]).all()
    outside = vector.clone()
    outside[0, 0, 1] = 1.2
    assert pose_joints(outside, (64, 40))[0, 0].tolist() == [-1, -1, 0]


def test_a_region_that_is_not_there_has_code_zero(batch):
    joints = batch.source_joints.clone()
    joints[:, 8:14] = torch.tensor([-1.0, -1, 0])  # no hips, knees, ankles
    codes = build("dpig", TINY).codes(replace(batch, source_joints=joints))[FOREGROUND].unflatten(1, (7, -1))
    gone = [2, 5, 6]  # legs, left leg, right leg
    assert (codes[:, gone] == 0).all()
    assert (codes[:, [0, 1, 3, 4]].abs().amax(2) > 0).all()


def test_the_background_is_no_part_of_the_foreground(batch):
    """The encoder's stem reaches 3 pixels: what changes farther off the person leaves its code alone."""
    method = build("dpig", TINY | {"mask": "labels"})
    person = (batch.source_parsing > 0).float()[:, None]
    near = F.max_pool2d(person, 7, 1, 3)
    assert 0.05 < float(1 - near.mean()) < 0.95
    moved = replace(batch, source=torch.where(near > 0, batch.source, -batch.source))
    before, after = method.codes(batch), method.codes(moved)
    torch.testing.assert_close(after[FOREGROUND], before[FOREGROUND])
    assert not torch.allclose(after[BACKGROUND], before[BACKGROUND])
    inside = F.max_pool2d(1 - person, 7, 1, 3) == 0
    recoloured = method.codes(replace(batch, source=torch.where(inside, -batch.source, batch.source)))
    torch.testing.assert_close(recoloured[BACKGROUND], before[BACKGROUND])
    assert not torch.allclose(recoloured[FOREGROUND], before[FOREGROUND])


# Learning.


def _step(method, batch, phase, step=0, steps=10):
    torch.manual_seed(0)
    updates = Updates(method, phase)
    return method.train_step(batch, updates, Moment(phase, step, steps)), updates.order


def test_the_target_plays_no_part_in_learning(batch):
    """No pairs are needed: with everything of the target unreadable the losses are the same to the last bit."""
    blind = {
        key: torch.full_like(value, torch.nan) if value.is_floating_point() else torch.zeros_like(value)
        for key, value in vars(batch).items()
        if key.startswith("target") and value is not None
    }
    assert "target_joints" in blind
    for phase in ("appearance", "pose", "mappings"):
        terms, _ = _step(build("dpig", TINY | {"gan": 1.0}), batch, phase, 4)
        unpaired, _ = _step(build("dpig", TINY | {"gan": 1.0}), replace(batch, **blind), phase, 4)
        assert terms == unpaired


def test_the_person_weighs_more(batch):
    settings = TINY | {"twist": 0.0, "gan": 0.0, "mask": "labels", "placed": "limbs"}
    plain = build("dpig", settings)
    image = plain._decoded(plain.codes(batch), batch.source_joints, batch)
    difference = (image.detach() - batch.source).abs().double().numpy()
    person = (batch.source_parsing > 0)[:, None].double().numpy()
    terms, _ = _step(plain, batch, "appearance")
    assert float(terms["l1"]) == pytest.approx(20 * difference.mean(), rel=1e-5)
    terms, _ = _step(build("dpig", settings | {"foreground": 2.0}), batch, "appearance")
    assert float(terms["l1"]) == pytest.approx(20 * (difference * (1 + 2 * person)).mean(), rel=1e-5)


def test_reconstruction_is_twenty_times_the_mean_distance(batch):
    method = build("dpig", TINY | {"twist": 0.0, "gan": 1.0, "critics_after": 0.0})
    image = method.decoder.draw(
        torch.cat([method.codes(batch)[factor] for factor in (FOREGROUND, BACKGROUND)], 1),
        pose_maps(batch.source_joints, batch.size, kind="disc", sigma_px=4.0) * 2 - 1,
    )
    difference = (image.detach().double() - batch.source.double()).abs().numpy()
    verdict = method.critic(image.detach()).detach().double().numpy()
    on_real = method.critic(batch.source).detach().double().numpy()
    terms, order = _step(method, batch, "appearance")
    assert order == ["generator", "critic"]
    assert float(terms["l1"]) == pytest.approx(20 * difference.mean(), rel=1e-5)
    assert float(terms["gan"]) == pytest.approx(np.log1p(np.exp(-verdict)).mean(), rel=1e-4)
    # The critic's step comes after the generator's, on the picture drawn before it.
    expected = (np.log1p(np.exp(-on_real)).mean() + np.log1p(np.exp(verdict)).mean()) / 2
    assert float(terms["critic"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("compat", ["mended", "original"])
def test_pose_loss_against_a_loop(batch, compat):
    method = build("dpig", TINY | {"compat": compat})
    joints, (height, width) = batch.source_joints.double().numpy(), batch.size
    told = np.full((len(joints), 18, 3), -1.0)
    told[..., 2] = 0
    for person in range(len(joints)):
        for joint in range(18):
            x, y, score = joints[person, joint]
            if score > 0:
                told[person, joint] = y / height * 2 - 1, x / width * 2 - 1, 1
    code = method.pose_encoder(torch.from_numpy(told).float().flatten(1))
    found = method.pose_decoder(code).detach().double().numpy()
    weight = np.ones_like(told)
    if compat == "mended":
        weight[..., :2] = told[..., 2:]
    terms, order = _step(method, batch, "pose")
    assert order == ["pose"]
    assert float(terms["pose"]) == pytest.approx(20 * (weight * (found - told) ** 2).mean(), rel=1e-4)


def test_a_mapping_takes_every_fifth_step_and_its_critic_stays_clipped(batch):
    method, orders = build("dpig", TINY), []
    frozen = {key: value.clone() for key, value in method.state_dict().items() if not key.startswith(("mapp", "code_"))}
    for step in range(10):
        _, order = _step(method, batch, "mappings", step)
        orders.append(order)
        assert all(float(value.abs().max()) <= 0.01 for value in method.code_critics.parameters())
    critics = [f"critic_{factor}" for factor in (FOREGROUND, BACKGROUND, POSE)]
    assert [order for number, order in enumerate(orders, 1) if number % 5] == [critics] * 8
    both = [name for factor in (FOREGROUND, BACKGROUND, POSE) for name in (f"critic_{factor}", f"mapping_{factor}")]
    assert orders[4] == orders[9] == both
    assert all(torch.equal(value, method.state_dict()[key]) for key, value in frozen.items())


def test_whitened_mappings_step_with_their_critics_whose_weights_may_be_larger_the_narrower_they_are(batch):
    method = build("dpig", TINY | {"sampling": "whitened", "mapping_rate": 0.5})
    order = [name for factor in (FOREGROUND, BACKGROUND, POSE) for name in (f"critic_{factor}", f"mapping_{factor}")]
    assert [_step(method, batch, "mappings", step)[1] for step in range(2)] == [order] * 2
    assert float(max(value.abs().max() for value in method.code_critics.parameters())) == pytest.approx(0.01 / 0.05)


def _correlated_codes() -> torch.Tensor:
    torch.manual_seed(0)
    mixed = torch.randn(300, 3) @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.1, 0.3], [0.0, 0.0, 0.02]])
    return mixed + torch.tensor([5.0, -1.0, 0.5])


def test_a_fresh_whitened_mapping_is_the_gaussian_of_the_codes_of_its_phase():
    codes, mapping = _correlated_codes(), WhitenedMapping(3, 8)
    mapping.begin_with_gaussian()
    mapping.real(torch.full((4, 3), 900.0), is_first=True)  # of another phase: forgotten
    for place in range(0, 300, 3):
        mapping.real(codes[place : place + 3], is_first=place == 0)
    drawn = mapping(torch.randn(200_000, 3) * 0.2).detach().double().numpy()
    expected = np.cov(codes.double().numpy().T, bias=True)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.02)
    spare = np.trace(expected) / 3 / 100  # the mean variance, as if in one of the hundred batches
    np.testing.assert_allclose(np.cov(drawn.T), expected + spare * np.eye(3), atol=0.03)


def test_whitened_codes_have_the_length_of_mahalanobis():
    codes, mapping = _correlated_codes(), WhitenedMapping(3, 8)
    white = mapping.real(codes, is_first=True).double().numpy()
    x = codes.double().numpy()
    covariance = np.cov(x.T, bias=True)
    covariance += np.trace(covariance) / 3 * np.eye(3)
    away = x - x.mean(0)
    np.testing.assert_allclose((white**2).sum(1), (away @ np.linalg.inv(covariance) * away).sum(1), rtol=1e-4)
    assert (mapping.real(torch.ones(2, 3), is_first=True) == 0).all()


def test_critic_of_codes_tells_the_difference_of_its_means(batch):
    method = build("dpig", TINY)
    critic, mapping = method.code_critics[POSE], method.mappings[POSE]
    codes = method.codes(batch)[POSE]
    torch.manual_seed(0)
    # Drawn in the factors' order.
    z = [torch.randn(3, number) * 0.2 for number in method.settings.numbers.values()][-1]
    expected = critic(mapping(z)).double().mean() - critic(codes).double().mean()
    terms, _ = _step(method, batch, "mappings", 0)
    assert float(terms["critic_pose"]) == pytest.approx(float(expected), abs=1e-5)


def test_mappings_learn_where_codes_lie():
    """A cloud of codes far from where a fresh mapping draws: WGAN moves the samples there."""
    torch.manual_seed(0)
    mapping, critic = ResidualMlp(4, 32, 4), CodeCritic(4, 64)
    codes = torch.randn(512, 4) * torch.tensor([0.1, 0.3, 0.1, 0.1]) + torch.tensor([1.0, -1.0, 0.5, 0.0])
    own = {"mapping": mapping, "critic": critic}
    optimisers = {key: torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9) for key, net in own.items()}

    def distance():
        return float((mapping(torch.randn(512, 4) * 0.2).mean(0) - codes.mean(0)).norm())

    before = distance()
    for step in range(400):
        real, fake = codes[torch.randint(512, (32,))], mapping(torch.randn(32, 4) * 0.2)
        optimisers["critic"].zero_grad()
        (critic(fake.detach()).mean() - critic(real).mean()).backward()
        optimisers["critic"].step()
        clip_weights(critic, 0.01)
        if step % 5 == 4:
            optimisers["mapping"].zero_grad()
            (-critic(mapping(torch.randn(32, 4) * 0.2)).mean()).backward()
            optimisers["mapping"].step()
    assert distance() < 0.5 * before


def test_the_vaes_divergence_against_the_formula(batch):
    method = build("dpig", TINY | {"sampling": "vae", "kl": 0.5})
    told = method.pose_encoder(pose_vector(batch.source_joints, batch.size).flatten(1)).detach().double().numpy()
    mean, spread = told[:, :32], told[:, 32:]
    expected = 0.5 * np.mean(
        [
            0.5 * sum(m**2 + np.exp(s) - 1 - s for m, s in zip(*row, strict=True))
            for row in zip(mean, spread, strict=True)
        ]
    )
    terms, _ = _step(method, batch, "pose")
    assert float(terms["kl"]) == pytest.approx(expected, rel=1e-4)
    assert [phase.name for phase in method.phases] == ["appearance", "pose"]
    assert not list(method.mappings)


def test_phases_take_the_shares_that_the_settings_say():
    method = build("dpig", TINY | {"pose_share": 0.1, "mapping_share": 0.6})
    assert [(phase.name, round(phase.share, 6)) for phase in method.phases] == [("appearance", 0.3), ("pose", 0.1), ("mappings", 0.6)]  # fmt: skip
    method.let_learn("decoder")
    assert [phase.name for phase in method.phases] == ["appearance"]
    with pytest.raises(SettingsError, match=r"dpig\.pose_share: 0\.5 and mapping_share 0\.5 leave no step"):
        build("dpig", {"pose_share": 0.5, "mapping_share": 0.5})


def test_twists_are_for_learning_alone(batch):
    method = build("dpig", TINY | {"twist": 1.0}).train()
    first, again = method.codes(batch), method.codes(batch)
    assert all(torch.equal(first[factor], again[factor]) for factor in first)
    plain, twisted = (_step(build("dpig", TINY | {"twist": twist}), batch, "appearance")[0] for twist in (0.0, 1.0))
    assert plain["l1"] != twisted["l1"]


@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [("dpig-market", MARKET, [120_000, 60_000, 600_000]), ("dpig", FASHION, [120_000, 120_000, 600_000])],
)
def test_the_released_recipes_are_the_settings_defaults(name, settings, steps):
    found = applied(name)
    given = read_settings(DpigSettings, found.system("dpig"), where="dpig")
    different = {key for key, value in vars(settings).items() if getattr(given, key) != value}
    assert different == {"compat", "pose_share", "mapping_share"}
    total = found.training("pretrain", "dpig")["steps"]
    shares = [1 - given.pose_share - given.mapping_share, given.pose_share, given.mapping_share]
    assert [round(total * share, -1) for share in shares] == pytest.approx(steps, abs=10)
