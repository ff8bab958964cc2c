from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.adgan import Adgan, AdganSettings, Generator, one_hot
from models.originals import OriginalMismatch, load_original, to_method, to_original
from pipeline.people.labels import LABELS
from tests.models.published import (
    CRITICS,
    DICE,
    GENERATOR_SHAPES,
    UNREAD,
    adgan,
    critic,
    critic_shapes,
    doubled,
    drawn,
    empty,
    inputs,
    lively,
    same,
    worst,
)

SHAPES = Path(__file__).parents[3] / "shared" / "reference" / "shapes"
ADGAN_LABELS = ("background", "pants", "hair", "skirt", "face", "upper_clothes", "arm", "leg")


@pytest.fixture(scope="module")
def generator_state():
    return lively(GENERATOR_SHAPES)


@pytest.fixture(scope="module")
def generator(generator_state):
    return load_original("adgan", generator_state)


# ---- The same pictures


@pytest.mark.parametrize("size", [(32, 24), (64, 44)])
def test_generator_is_the_published_one(generator, generator_state, size):
    given_ = inputs(*size, batch=2 if size == (32, 24) else 1)
    expected = adgan(doubled(generator_state), *map(torch.Tensor.double, given_))
    assert worst(drawn(generator, *given_), expected) < 2e-5
    pose, source, parsing = given_
    for other in ((pose.flip(1), source, parsing), (pose, -source, parsing), (pose, source, parsing.flip(1))):
        assert worst(drawn(generator, *other), expected) > 0.1  # so every input matters with these weights


@pytest.mark.parametrize("first", ["small", "pytorch"])
def test_generator_is_the_published_one_with_any_weights(first):
    if first == "small":
        state = {key: torch.randn(shape, generator=DICE) * 0.02 for key, shape in GENERATOR_SHAPES.items()}
    else:
        state = Generator(width=1.0, texture_vgg="vgg19").state_dict()
    given_ = inputs(32, 24, batch=1)
    expected = adgan(doubled(state), *map(torch.Tensor.double, given_))
    assert worst(drawn(load_original("adgan", state), *given_), expected) < 2e-4


KINDS = [{"norm": norm, "dropout": dropout} for norm in ("instance", "batch") for dropout in (True, False)]


@pytest.fixture(params=[(name, kind) for name in CRITICS for kind in KINDS], ids=str)
def critic_case(request):
    name, kind = request.param
    return name, lively(critic_shapes(CRITICS[name], **kind))


def test_discriminators_are_the_published_ones(critic_case):
    name, state = critic_case
    x = torch.rand(2, CRITICS[name], 32, 24, generator=DICE) * 2 - 1
    network = load_original(name, state)
    with torch.no_grad():
        scores = network(x)
    assert scores.shape == (2, 256, 8, 6)
    assert worst(scores, critic(doubled(state), x.double())) < 1e-4
    assert network.ignored == ()
    assert not network.training


# ---- Names of entries


LISTS = {"adgen": "adgan", "D_PB": "adgan_d_pose", "D_PP": "adgan_d_texture", "D_PB_market": "adgan_d_pose"}


@pytest.mark.parametrize(("listed", "name"), LISTS.items())
def test_the_listed_entries_come_back(listed, name):
    path = SHAPES / f"{listed}.txt"
    if not path.is_file():
        pytest.skip(f"{listed}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    shapes = {key: torch.Size(int(n) for n in shape[1:-1].split(",") if n.strip()) for key, shape, _ in rows}
    written = to_original(name, load_original(name, empty(shapes)))
    assert {key: value.shape for key, value in written.items()} == shapes


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_prefix_and_precision_do_not_count(dtype):
    state = lively(critic_shapes(6, norm="batch"))
    network = load_original("adgan_d_texture", {f"module.{key}": value.to(dtype) for key, value in state.items()})
    assert same(to_original("adgan_d_texture", network), {k: v.to(dtype).to(v.dtype) for k, v in state.items()})


def test_a_prefix_of_some_entries_is_a_mismatch(generator_state):
    state = {("module." if key == "fc.fc.bias" else "") + key: value for key, value in generator_state.items()}
    with pytest.raises(OriginalMismatch, match=r"missing: fc\.fc\.bias; unexpected: module\.fc\.fc\.bias"):
        load_original("adgan", state)


def test_what_nothing_reads_may_lack_and_is_named(generator_state, generator):
    dummies = [key for key in generator_state if UNREAD in key]
    assert sorted(generator.ignored) == sorted(dummies)
    assert len(dummies) == 32
    bare = load_original("adgan", {key: value for key, value in generator_state.items() if key not in dummies})
    assert bare.ignored == ()
    given_ = inputs(32, 24, batch=1)
    assert torch.equal(drawn(bare, *given_), drawn(generator, *given_))
    assert to_original("adgan", bare).keys() == generator_state.keys()


def test_statistics_of_instance_norms_are_ignored_and_named():
    state = lively(critic_shapes(21))
    norms = [f"model.{n}" for n in (2, 5, 8)] + [f"model.{n}.conv_block.{m}" for n in (10, 11, 12) for m in (2, 7)]
    old = {f"{norm}.{name}": torch.rand(256) for norm in norms for name in ("running_mean", "running_var")}
    old["model.2.num_batches_tracked"] = torch.tensor(3)
    network = load_original("adgan_d_pose", state | old)
    assert sorted(network.ignored) == sorted(old)
    assert to_original("adgan_d_pose", network).keys() == state.keys()
    with pytest.raises(OriginalMismatch, match=r"unexpected: model\.3\.running_mean"):
        load_original("adgan_d_pose", state | {"model.3.running_mean": torch.zeros(64)})


def test_batch_norms_of_old_versions_have_no_counters():
    state = lively(critic_shapes(21, norm="batch"))
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    written = to_original("adgan_d_pose", load_original("adgan_d_pose", old))
    assert written.keys() == state.keys()
    assert all(torch.equal(written[key], value) for key, value in old.items())


@settings(max_examples=25, deadline=None)
@given(key=st.sampled_from([key for key in GENERATOR_SHAPES if UNREAD not in key]))
def test_a_lost_entry_of_the_generator_is_noticed(key):
    state = empty(GENERATOR_SHAPES)
    del state[key]
    with pytest.raises(OriginalMismatch, match=rf"missing: {key};"):
        load_original("adgan", state)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_lost_entry_of_a_discriminator_is_noticed(kind):
    state = empty(critic_shapes(21, **kind))
    for key in state:
        with pytest.raises(OriginalMismatch, match=rf"missing: {key};"):
            load_original("adgan_d_pose", {other: value for other, value in state.items() if other != key})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fc.fc.weight": torch.zeros(512, 256)},
            r"another shape: fc\.fc\.weight \(512, 256\) instead of \(512, 512\)",
        ),
        ({"dec.model.0.model.0.model.0.norm.running_var": torch.zeros(8)}, r"running_var \(8,\) instead of \(256,\)"),
        ({"extra.bias": torch.zeros(1)}, r"unexpected: extra\.bias; give the state dict as"),
        ({f"extra.{n}": torch.zeros(1) for n in range(6)}, r"extra\.3 and 2 more"),
        ({"epoch": 800}, "no tensor: epoch; give the state dict of the network alone"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(OriginalMismatch, match=message):
        load_original("adgan", empty(GENERATOR_SHAPES) | change)


def test_another_networks_checkpoint_is_recognised():
    with pytest.raises(OriginalMismatch, match=r"model\.1\.weight \(64, 6, 7, 7\) instead .* fit 'adgan_d_texture'"):
        load_original("adgan_d_pose", empty(critic_shapes(6)))
    with pytest.raises(OriginalMismatch, match=r"\(64, 5, 7, 7\) instead of \(64, 6, 7, 7\); give the state dict"):
        load_original("adgan_d_texture", empty(critic_shapes(5)))


@pytest.mark.parametrize("call", [load_original, to_original, to_method])
def test_an_unknown_name_brings_the_known_ones(call):
    with pytest.raises(OriginalMismatch, match=r"'adgam'.*adgan, adgan_d_pose, adgan_d_texture"):
        call("adgam", {})


# ---- There and back


def test_round_trips_are_bit_equal(critic_case):
    name, state = critic_case
    written = to_original(name, load_original(name, state))
    assert same(written, state)
    assert all(value.is_contiguous() for value in written.values())


def test_the_generators_round_trip_is_bit_equal(generator_state, generator):
    assert same(to_original("adgan", generator), generator_state)


def test_nothing_is_shared_and_the_vgg_is_frozen(generator_state, generator):
    assert next(generator.parameters()).data_ptr() not in {value.data_ptr() for value in generator_state.values()}
    learns = {name.startswith("enc_style.vgg."): p.requires_grad for name, p in generator.named_parameters()}
    assert learns == {True: False, False: True}
    kept = generator_state["fc.fc.bias"].clone()
    to_original("adgan", generator)["fc.fc.bias"].zero_()
    assert torch.equal(generator.fc.fc.bias, kept)


@pytest.fixture(scope="module")
def pose_critic_state():
    return lively(critic_shapes(21))


@pytest.fixture(scope="module")
def method(generator_state, pose_critic_state):
    return to_method("adgan", generator_state, {"adgan_d_pose": pose_critic_state})


def test_our_system_draws_the_same_from_our_labels(method, generator):
    pose, source, parsing = inputs(32, 24)
    ours = parsing[:, [ADGAN_LABELS.index(label) for label in LABELS]]
    assert torch.equal(one_hot(ours.argmax(1)), ours)
    expected = drawn(generator, pose, source, parsing)
    with torch.no_grad():
        assert worst(method.generator(pose, source, ours), expected) < 2e-5
        assert worst(method.generator(pose, source, parsing), expected) > 0.1


def test_our_system_goes_back_bit_equal(method, generator_state, pose_critic_state):
    assert same(to_original("adgan", method), generator_state)
    assert same(to_original("adgan_d_pose", method), pose_critic_state)


def test_our_system_says_how_the_weights_were_trained(method):
    settings = method.settings
    assert (settings.width, settings.scale, settings.texture_vgg, settings.pooling) == (1.0, 1.0, "vgg19", "picture")
    assert (settings.pose_map, settings.first_weights) == ("delta", "original")
    assert not method.training
    assert len(method.ignored) == 32
    assert all(key.startswith("generator.dec.") for key in method.ignored)


def test_a_critic_that_none_is_given_for_is_the_same_every_time(method, generator_state):
    before = torch.get_rng_state()
    again = to_method("adgan", generator_state)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(again.critic_texture.state_dict(), method.critic_texture.state_dict())


def test_a_trained_system_of_ours_can_be_written():
    torch.manual_seed(0)
    settings = {"width": 1.0, "scale": 1.0, "pooling": "picture", "first_weights": "kaiming"}
    trained = Adgan(AdganSettings(**settings, texture_vgg="auto", vgg19_weights="vgg19.pth"))
    pose, source, parsing = inputs(32, 24, batch=1)
    ours = parsing[:, [ADGAN_LABELS.index(label) for label in LABELS]]
    with torch.no_grad():
        expected = trained.generator(pose, source, ours).double()
    assert worst(drawn(load_original("adgan", to_original("adgan", trained)), pose, source, parsing), expected) < 2e-5


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", 0.25), ("pooling", "part"), ("texture_vgg", "none"), ("texture_vgg", "vgg16"), ("texture_vgg", "auto")],
)
def test_a_setting_that_the_original_has_not_is_named(key, value):
    settings = {"width": 1.0, "texture_vgg": "vgg19", "pooling": "picture"} | {key: value}
    found = "vgg16" if value == "auto" else value
    with torch.device("meta"):
        method = Adgan(AdganSettings(**settings))
    with pytest.raises(OriginalMismatch, match=f"the original has {key} = .*, not {found}; train with {key}"):
        to_original("adgan", method)


def test_a_generator_alone_does_not_say_its_order_of_labels(method):
    with pytest.raises(OriginalMismatch, match=r"a Generator is not ADGAN's generator .* the whole system 'adgan'"):
        to_original("adgan", method.generator)


def test_critics_of_another_kind_do_not_fit_our_system(generator_state):
    market = empty(critic_shapes(21, norm="batch"))
    with pytest.raises(OriginalMismatch, match="adgan_d_pose: 'adgan' takes weights with instance norm and dropout"):
        to_method("adgan", generator_state, {"adgan_d_pose": market})
    with pytest.raises(OriginalMismatch, match="no system works with this network alone"):
        to_method("adgan_d_pose", market)
