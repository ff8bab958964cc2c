"""PG2: the published sizes, the formulas once more in double precision, and who learns when."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.blocks import SameConv
from models.data import take
from models.method import Moment, build
from models.pg2 import CRITICS, Pg2, Pg2Settings
from tests.models.contract import CPU, MethodContract, Updates, resized

TINY = {"width": 0.05, "scale": 1.0, "rows": 64, "columns": 44, "radius_px": 4.0, "learning_rate": 1e-3}


class TestPg2(MethodContract):
    name = "pg2"
    tiny: ClassVar = {"width": 0.05, "rows": 64, "columns": 44}


@pytest.fixture
def batch(train_pairs):
    return take(train_pairs, 3, CPU)


# The published sizes.


def _full(**settings):
    with torch.device("meta"):
        return Pg2(Pg2Settings(**settings))


def _numbers(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("settings", "coarse", "fine", "critic"),
    [
        ({"columns": 256}, 122_103_235, 12_696_067, 10_896_257),
        ({"rows": 128, "columns": 64, "variant": "market"}, 70_795_075, 6_058_883, 4_324_737),
    ],
)
def test_networks_have_the_published_numbers_of_parameters(settings, coarse, fine, critic):
    method = _full(**settings)
    assert (_numbers(method.coarse), _numbers(method.fine), _numbers(method.critic)) == (coarse, fine, critic)


def test_176_columns_need_a_bottleneck_of_8_by_6():
    """By hand: against 256 columns a quarter of both linear layers and of the critic's last one goes."""
    method = _full()
    assert _numbers(method.coarse) == 122_103_235 - 16 * 768 * 64 - 16 * 128 * (64 + 1)
    assert _numbers(method.critic) == 10_896_257 - 16 * 512
    assert method._pads((256, 176)) == (8, 8, 0, 0)


@pytest.mark.parametrize(
    ("settings", "widths", "ups", "smallest"),
    [
        ({"columns": 256}, [896, 1280, 1024, 768, 512, 256], [640, 512, 384, 256, 128], (8, 8)),
        ({"rows": 128, "columns": 64}, [768, 1024, 768, 512, 256], [512, 384, 256, 128], (8, 4)),
    ],
)
def test_g1_has_the_published_shapes(settings, widths, ups, smallest):
    g1 = _full(**settings).coarse
    levels, area = len(widths), smallest[0] * smallest[1]
    assert g1.encoder.first.weight.shape == (128, 21, 3, 3)
    assert [pair.first.weight.shape for pair in g1.encoder.pairs] == [
        (128 * c, 128 * c, 3, 3) for c in range(1, levels + 1)
    ]
    assert [down.weight.shape for down in g1.encoder.downs] == [
        (128 * c + 128, 128 * c, 3, 3) for c in range(1, levels)
    ]
    assert g1.encoder.code.weight.shape == (64, area * 128 * levels)
    assert g1.decoder.grow.weight.shape == (area * 128, 64)
    assert [pair.second.weight.shape for pair in g1.decoder.pairs] == [(width, width, 3, 3) for width in widths]
    assert [up.weight.shape for up in g1.decoder.ups] == [
        (up, width, 1, 1) for up, width in zip(ups, widths, strict=False)
    ]
    assert g1.decoder.last.weight.shape == (3, 256, 3, 3)


@pytest.mark.parametrize(
    ("settings", "inputs"),
    [({"columns": 256}, [1024, 512, 384, 256]), ({"rows": 128, "columns": 64, "variant": "market"}, [768, 384, 128])],
)
def test_g2_reads_the_published_skips(settings, inputs):
    assert [level[0].weight.shape[1] for level in _full(**settings).fine.decoder] == inputs


def test_the_critic_has_the_published_shapes():
    critic = _full(columns=256).critic
    assert [conv.weight.shape for conv in critic.convs] == [
        (64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (512, 512, 5, 5),
    ]  # fmt: skip
    assert [norm.num_features for norm in critic.norms] == [128, 256, 512, 512]
    assert critic.score.weight.shape == (1, 32_768)
    # A pair is six channels.
    assert _numbers(_full(columns=256, critic="pairs").critic) == 10_896_257 + 64 * 3 * 25


def test_first_weights():
    method = build("pg2", TINY | {"width": 0.25})
    assert float(method.critic.convs[2].weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    weight = method.coarse.decoder.pairs[1].first.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (2 * 9 * weight.shape[0])) ** 0.5, rel=0.05)


# The formulas once more, in double precision.


def _tf_same(state, key, x, stride=1):
    """TensorFlow's rule written out: as much zero padding as brings ceil(size / stride), the odd one behind."""
    weight = state[f"{key}.weight"]
    kernel, pads = weight.shape[-1], []
    for side in (x.shape[3], x.shape[2]):
        total = max((int(np.ceil(side / stride)) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, state[f"{key}.bias"], stride)


def _reference_g1(state, x, levels):
    x, skips = F.relu(_tf_same(state, "encoder.first", x)), []
    for level in range(levels):
        y = F.relu(_tf_same(state, f"encoder.pairs.{level}.first", x))
        x = x + F.relu(_tf_same(state, f"encoder.pairs.{level}.second", y))
        skips.append(x)
        if level < levels - 1:
            x = F.relu(_tf_same(state, f"encoder.downs.{level}", x, stride=2))
    shape = x.shape
    code = x.reshape(len(x), -1) @ state["encoder.code.weight"].T + state["encoder.code.bias"]
    x = code @ state["decoder.grow.weight"].T + state["decoder.grow.bias"]
    x = x.reshape(len(x), -1, shape[2], shape[3])
    for level in range(levels):
        x = torch.cat([x, skips[levels - 1 - level]], 1)
        y = F.relu(_tf_same(state, f"decoder.pairs.{level}.first", x))
        x = x + F.relu(_tf_same(state, f"decoder.pairs.{level}.second", y))
        if level < levels - 1:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = F.relu(_tf_same(state, f"decoder.ups.{level}", x))
    return _tf_same(state, "decoder.last", x)


def _reference_g2(state, x, levels, *, drops_finest):
    x, skips = F.relu(_tf_same(state, "first", x)), []
    for level in range(levels):
        for conv in (0, 1):
            x = F.relu(_tf_same(state, f"encoder.{level}.{conv}", x))
        skips.append(x)
        if level < levels - 1:
            x = F.relu(_tf_same(state, f"downs.{level}", x, stride=2))
    for level in range(levels):
        if not (drops_finest and level == levels - 1):
            x = torch.cat([x, skips[levels - 1 - level]], 1)
        for conv in (0, 1):
            x = F.relu(_tf_same(state, f"decoder.{level}.{conv}", x))
        if level < levels - 1:
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return _tf_same(state, "last", x)


def _reference_critic(state, x, layers):
    for layer in range(layers):
        x = _tf_same(state, f"convs.{layer}", x, stride=2)
        if layer:
            mean = x.mean((0, 2, 3), keepdim=True)
            x = (x - mean) / ((x - mean).square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
            scale, offset = (state[f"norms.{layer - 1}.{name}"][:, None, None] for name in ("weight", "bias"))
            x = x * scale + offset
        x = torch.where(x > 0, x, 0.2 * x)
    return (x.reshape(len(x), -1) @ state["score.weight"].T + state["score.bias"])[:, 0]


def _double(network):
    dice = torch.Generator().manual_seed(0)
    for parameter in network.double().parameters():  # biases, scales and the last layer of G2 too
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=dice, dtype=torch.double)
    return network.state_dict()


def _noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (1, 1)])
@pytest.mark.parametrize("size", [(8, 6), (7, 5), (6, 9)])
def test_padding_is_tensorflows(kernel, stride, size):
    """Every output pixel as the sum that TensorFlow's documentation of SAME writes down."""
    conv = SameConv(2, 3, kernel, stride).double()
    x, (height, width) = _noise(1, 2, *size), size
    found = conv(x)[0]
    rows, columns = -(-height // stride), -(-width // stride)
    before = [max((n - 1) * stride + kernel - side, 0) // 2 for n, side in ((rows, height), (columns, width))]
    expected = conv.bias[:, None, None].expand(3, rows, columns).clone()
    for row in range(rows):
        for column in range(columns):
            for i in range(kernel):
                for j in range(kernel):
                    y, z = row * stride + i - before[0], column * stride + j - before[1]
                    if 0 <= y < height and 0 <= z < width:
                        expected[:, row, column] += conv.weight[:, :, i, j] @ x[0, :, y, z]
    torch.testing.assert_close(found, expected)


def test_g1_is_the_published_formula():
    g1 = build("pg2", TINY).coarse
    x = _noise(2, 21, 64, 48)
    state = _double(g1)
    torch.testing.assert_close(g1(x), _reference_g1(state, x, 4))


@pytest.mark.parametrize("variant", ["deepfashion", "market"])
def test_g2_is_the_published_formula(variant):
    g2 = build("pg2", TINY | {"variant": variant, "rows": 128}).fine
    state, x = _double(g2), _noise(2, 6, 32, 24)
    expected = _reference_g2(state, x, 3, drops_finest=variant == "market")
    torch.testing.assert_close(g2(x[:, :3], x[:, 3:]), expected)


@pytest.mark.parametrize("is_training", [True, False])
def test_the_critic_is_the_published_formula(is_training):
    critic = build("pg2", TINY | {"columns": 43}).critic.train(is_training)
    state, x = _double(critic), _noise(4, 3, 64, 43)
    torch.testing.assert_close(critic(x), _reference_critic(state, x, 3))


def _bce(scores, label):
    probability = 1 / (1 + torch.exp(-scores))
    return -torch.log(probability if label else 1 - probability).mean()


def _expected_losses(settings, method, image, coarse, batch):
    """Loss of the critic, and what G2 is told, of one batch, as the specification words them."""
    state = method.critic.state_dict()

    def scores(*pictures):
        together = _reference_critic(state, torch.cat(pictures), 3)
        return together.chunk(len(pictures))

    source, target = batch.source, batch.target
    match settings:
        case {"critic": "pairs"}:
            real, fake = scores(torch.cat([source, target], 1), torch.cat([source, image], 1))
            return (_bce(real, 1) + _bce(fake, 0)) / 2, _bce(fake, 1)
        case {"critic": "wgan"}:
            real, fake = scores(torch.cat([source, target], 1), torch.cat([source, image], 1))
            return fake.mean() - real.mean(), -fake.mean()
        case {"critic": "wgan_triplet"}:
            real, fake, copied = scores(target, image, source)
            return (fake.mean() + copied.mean()) / 2 - real.mean(), -fake.mean()
        case {"compat": "original", "variant": "market"}:
            real, copied, _, fake = scores(target, source, coarse, image)
            return 0.5 * _bce(real, 1) + 0.25 * _bce(copied, 0) + 0.25 * _bce(fake, 0), _bce(fake, 1)
        case {"compat": "original"}:
            real, fake, copied = scores(target, image, source)
            both = torch.cat([fake, copied])
            return (_bce(real, 1) + _bce(both, 0)) / 2, _bce(both, 1)
        case _:
            real, fake, copied = scores(target, image, source)
            return (_bce(real, 1) + _bce(torch.cat([fake, copied]), 0)) / 2, _bce(fake, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"critic": "pairs"},
        {"critic": "triplet"},
        {"critic": "triplet", "compat": "original"},
        {"critic": "triplet", "compat": "original", "variant": "market"},
        {"critic": "wgan"},
        {"critic": "wgan_triplet"},
    ],
)
def test_losses_are_the_published_formulas(settings, batch):
    """The losses that reach the optimisers, nothing being moved; G2's with its weight of the pose-mask loss."""
    method = build(
        "pg2", TINY | {"rows": 62, "columns": 42, "critic_steps": 1, "reconstruction": 10} | settings
    ).double()
    _double(method.critic), _double(method.fine)
    doubled = {key: value.double() for key, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    batch = resized(replace(batch, **doubled), 64, 44)
    found = {}
    terms = method.train_step(batch, lambda name, loss: found.__setitem__(name, loss), Moment("fine", 0, 1))
    # WGAN clips whatever its update did.
    coarse = method._draw_coarse(batch)
    image = method._refine(coarse, batch)
    wanted, verdict = _expected_losses(settings, method, image, coarse, batch)
    error = (image - batch.target).abs()
    distance = error.mean() + (error * batch.target_mask).mean()
    if not settings["critic"].startswith("wgan"):
        torch.testing.assert_close(found["critic"], wanted)
    torch.testing.assert_close(found["fine"], 10 * distance + verdict)
    torch.testing.assert_close(terms["fine"], distance.detach())


def test_the_first_phases_loss_is_the_pose_mask_loss(batch):
    """A sum over pixels: each counts once, and once more under the mask."""
    method, found = build("pg2", TINY), {}
    terms = method.train_step(batch, lambda name, loss: found.__setitem__(name, loss), Moment("coarse", 0, 1))
    error = (method._draw_coarse(batch) - batch.target).abs().detach().double().numpy()
    mask = batch.target_mask.double().numpy()
    total = sum(
        error[i, c, y, x] * (1 + mask[i, 0, y, x])
        for i in range(3)
        for c in range(3)
        for y in range(64)
        for x in range(44)
    )
    assert float(found["coarse"].detach()) == pytest.approx(total / error.size, rel=1e-5)
    assert terms.keys() == {"coarse"}


# What the networks are given.


def test_g1_reads_the_source_and_discs(batch):
    """18 maps of -1 and 1; a joint on a whole pixel is the 49 pixels within 4; a missing joint is -1 all over."""
    joints = batch.target_joints.clone()
    joints[0, 3] = torch.tensor([20.0, 30.0, 1.0])
    joints[0, 4] = torch.tensor([-1.0, -1.0, 0.0])
    method, seen = build("pg2", TINY | {"columns": 40}), []
    method.coarse.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    method.generate(replace(batch, target_joints=joints))
    x = seen[0]
    assert x.shape == (3, 21, 64, 48)  # 44 columns, padded by two on each side
    torch.testing.assert_close(x[:, :3, :, 2:-2], batch.source)
    assert set(x[:, 3:].unique().tolist()) == {-1.0, 1.0}
    assert int((x[0, 3 + 3] == 1).sum()) == 49
    assert x[0, 3 + 3, 30, 20 + 2 + 4] == 1
    assert x[0, 3 + 3, 30, 20 + 2 + 5] == -1
    assert (x[0, 3 + 4] == -1).all()


def test_discs_shrink_with_the_picture(batch):
    method, seen = build("pg2", TINY | {"scale": 0.5}), []
    method.coarse.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    joints = torch.tensor([11.5, 15.5, 1.0]).expand(3, 18, 3)
    method.generate(resized(replace(batch, target_joints=joints), 64, 48))
    assert int((seen[0][0, 3] == 1).sum()) in (12, 13)  # radius 2


@pytest.mark.parametrize(("rows", "columns"), [(256, 176), (256, 256), (128, 64), (100, 75)])
def test_every_size_is_padded_to_what_halves(batch, rows, columns):
    method = build("pg2", {"width": 0.05, "rows": rows, "columns": columns})
    sized, seen = resized(batch, rows, columns), []
    method.coarse.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[2:]))
    assert method.generate(sized).shape == (3, 3, rows, columns)
    assert seen[0] == {176: (256, 192), 256: (256, 256), 64: (128, 64), 75: (112, 80)}[columns]


# Who learns when.


def _trained(batch, steps, **settings):
    """The order of the updates of `steps` steps of the second phase, and the method."""
    method = build("pg2", TINY | settings)
    updates = Updates(method, "fine")
    for step in range(steps):
        method.train_step(batch, updates, Moment("fine", step, steps))
    return method, updates


@pytest.mark.parametrize("critic", ["wgan", "wgan_triplet"])
def test_a_wgans_critic_takes_ten_steps_before_each_of_g2(batch, critic):
    _, updates = _trained(batch, 20, critic=critic)
    assert updates.order == (["critic"] * 10 + ["fine"]) * 2
    _, updates = _trained(batch, 6, critic=critic, critic_steps=5)
    assert updates.order == ["critic"] * 5 + ["fine", "critic"]


@pytest.mark.parametrize("critic", ["pairs", "triplet"])
def test_other_critics_and_g2_take_turns(batch, critic):
    _, updates = _trained(batch, 3, critic=critic)
    assert updates.order == ["critic", "fine"] * 3


def test_a_wgans_weights_are_clipped_after_each_step(batch):
    """They begin beyond the limit, and RMSProp takes each of them far: only clipping brings them back."""
    method = build("pg2", TINY | {"critic": "wgan", "learning_rate": 0.01})
    assert max(float(p.detach().abs().max()) for p in method.critic.parameters()) > 0.03
    updates, largest = Updates(method, "fine"), []

    def watched(name, loss):
        updates(name, loss)
        largest.append(max(float(p.detach().abs().max()) for p in method.critic.parameters()))

    for step in range(3):
        method.train_step(batch, watched, Moment("fine", step, 30))
        assert max(float(p.detach().abs().max()) for p in method.critic.parameters()) <= 0.01 + 1e-8
    assert min(largest) > 0.015
    assert all(
        float(p.detach().abs().max()) <= 0.005
        for p in _trained(batch, 1, critic="wgan", clip=0.005)[0].critic.parameters()
    )
    unclipped = _trained(batch, 2, critic="triplet", learning_rate=0.01)[0]
    assert max(float(p.detach().abs().max()) for p in unclipped.critic.parameters()) > 0.03


@pytest.mark.parametrize("critic", CRITICS)
def test_optimisers_are_the_recipes(critic):
    method = build("pg2", {"width": 0.05, "critic": critic})
    first, second = method.optimisers("coarse"), method.optimisers("fine")
    assert list(first) == ["coarse"]
    assert list(second) == ["fine", "critic"]
    assert isinstance(first["coarse"], torch.optim.Adam)
    kind = torch.optim.RMSprop if critic.startswith("wgan") else torch.optim.Adam
    for optimiser in second.values():
        assert isinstance(optimiser, kind)
        assert optimiser.defaults["lr"] == 2e-5
        assert optimiser.defaults.get("betas", (0.5, 0.999)) == (0.5, 0.999)


def test_g1_rests_in_the_second_phase_and_the_rest_in_the_first(batch):
    before = build("pg2", TINY).state_dict()
    after = _trained(batch, 2)[0].state_dict()
    assert {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])} == {"fine", "critic"}
    method = build("pg2", TINY)
    method.train_step(batch, Updates(method, "coarse"), Moment("coarse", 0, 1))
    after = method.state_dict()
    assert {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])} == {"coarse"}


def test_a_frozen_critic_judges_and_g2_learns_at_every_step(batch):
    method = build("pg2", TINY | {"critic": "wgan"})
    method.let_learn("decoder")
    updates = Updates(method, "fine")
    for step in range(2):
        terms = method.train_step(batch, updates, Moment("fine", step, 2))
    assert updates.order == ["fine", "fine"]
    assert terms.keys() == {"fine", "gan"}


def test_g1_alone(batch):
    method = build("pg2", TINY | {"coarse": 1.0})
    assert [(phase.name, phase.share) for phase in method.phases] == [("coarse", 1.0)]
    assert {key.split(".")[0] for key in method.state_dict()} == {"coarse"}
    torch.testing.assert_close(method.generate(batch), method._draw_coarse(batch).detach().clamp(-1, 1))


def test_shares_of_the_phases():
    method = build("pg2", TINY | {"coarse": 0.6})
    assert [(phase.name, round(phase.share, 6)) for phase in method.phases] == [("coarse", 0.6), ("fine", 0.4)]


def test_differences_begin_at_none_but_in_the_original(batch):
    coarse, both = build("pg2", TINY).draw_both(batch)
    torch.testing.assert_close(both, coarse)
    coarse, both = build("pg2", TINY | {"compat": "original"}).draw_both(batch)
    assert float((both - coarse).detach().abs().mean()) > 0.01
