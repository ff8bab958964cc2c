from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.data import Pairs, take
from models.discriminators import ResidualDiscriminator
from models.method import Moment, build
from models.scagan import ScaganSettings
from models.scagan_networks import Generator, PriorTransfer, Spade, StyleEncoder, _ladder, scale_norm
from models.settings import SettingsError, read_settings
from models.training import TrainingSettings, train
from tests.models.contract import TRAINING, MethodContract, Notebook, Updates, resized, section
from tests.models.published import worst
from tests.models.published_scagan import SIZES, painted, scagan, style_map, transferred

SHAPES = Path(__file__).parents[3] / "shared" / "reference" / "shapes"
CPU = torch.device("cpu")
TINY = {"width": 0.05, "perceptual": 0.0, "prior_share": 0.5}
PRIOR, PICTURE = Moment("prior", 9, 10), Moment("picture", 9, 10)


class TestScagan(MethodContract):
    name = "scagan"
    tiny: ClassVar = TINY


def listed(name):
    path = SHAPES / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"{name}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {key: tuple(int(number) for number in shape[1:-1].split(",") if number.strip()) for key, shape, _ in rows}


def shapes_of(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# ---- The published networks


def test_the_networks_have_the_published_entries_and_counts():
    with torch.device("meta"):
        prior, noise, pose = PriorTransfer(), Generator(), Generator(start="pose")
    assert (count(prior), count(noise), count(pose)) == (7_941_761, 142_671_492, 136_438_916)
    assert count(noise) - count(noise.edge_generator) == 134_729_731
    assert len(prior.state_dict()) == 104
    # The checkpoint holds the 36 entries of the style encoder twice.
    assert len(noise.state_dict()) == 516 - 36
    assert noise.fc.weight.shape == (24576, 256)
    assert pose.fc.weight.shape == (512, 18, 3, 3)


@pytest.mark.parametrize(
    ("name", "make"),
    [("pctnet", PriorTransfer), ("csgen", Generator), ("csgen_novae", lambda: Generator(start="pose"))],
)
def test_the_networks_have_the_listed_entries(name, make):
    with torch.device("meta"):
        own = shapes_of(make())
    assert own == {key: shape for key, shape in listed(name).items() if not key.startswith("enc_style.model.")}


@pytest.mark.parametrize(
    ("name", "inputs", "parameters"),
    [
        ("pct_D_PB", 19, 3_969_152),
        ("pct_D_PP", 2, 3_915_840),
        ("is_D_PB", 21, 3_975_424),
        ("is_D_PP", 6, 3_928_384),
        ("patn_D_PB_fashion", 21, 3_975_424),
        ("patn_D_PP_fashion", 6, 3_928_384),
    ],
)
def test_the_critics_have_the_listed_entries(name, inputs, parameters):
    with torch.device("meta"):
        critic = ResidualDiscriminator(inputs)
    assert count(critic) == parameters
    assert shapes_of(critic) == listed(name)


def test_the_systems_own_critics_see_what_the_published_ones_saw():
    with torch.device("meta"):
        method = build("scagan", {})
    inputs = [
        getattr(method, name).model[1].in_channels
        for name in ("prior_critic_pose", "prior_critic_source", "critic_pose", "critic_texture")
    ]
    assert inputs == [19, 2, 21, 6]


# ---- The published formulas


def tried(module, seed=0):
    """The module in double numbers and eval mode, with weights that keep the variance and norms that do something."""
    dice = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        draw = torch.randn(value.shape, generator=dice)
        if value.ndim > 1:
            last = 0.2 if key.startswith(("postpro", "conv_img")) or "postpro" in key else 1.0  # away from tanh's ends
            value.copy_(draw * last * (2 / value[0].numel()) ** 0.5)
        else:
            value.copy_(draw.abs() + 0.5 if key.endswith(("running_var", "weight")) else draw * 0.1)
    return module.double().eval()


def given_inputs(height=256, width=176, batch=1, seed=0):
    dice = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(batch, channels, height, width, generator=dice, dtype=torch.double) * 2 - 1
        for name, channels in (("source", 3), ("edge", 1), ("pose", 18), ("crops", 18))
    }


@torch.no_grad()
def test_pct_net_is_the_published_one():
    network, inputs = tried(PriorTransfer(width=0.25)), given_inputs(32, 24, batch=2)
    del inputs["source"]
    state = network.state_dict()
    for is_training in (False, True):
        expected = transferred(dict(state), **inputs, is_training=is_training)
        assert worst(network.train(is_training)(**inputs), expected) < 1e-10
    network.eval()
    expected = transferred(network.state_dict(), **inputs)
    for name in inputs:
        assert worst(network(**(inputs | {name: -inputs[name]})), expected) > 0.01, name


@torch.no_grad()
def test_the_style_encoder_is_the_published_one():
    network, source = tried(StyleEncoder(0.1, "none")), given_inputs()["source"]
    state = {f"enc_style.{key}": value for key, value in network.state_dict().items()}
    found = network(source)
    assert found.shape[2:] == (8, 6)
    assert worst(found, style_map(state, source)) < 1e-10


@torch.no_grad()
def test_is_net_is_the_published_one():
    """With noise, at the published size and a small width."""
    network, inputs = tried(Generator(width=0.05)), given_inputs()
    z = torch.randn(1, network.noises, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    expected = scagan(network.state_dict(), **inputs, z=z)
    for ours, theirs in zip(network(**inputs, z=z), expected, strict=True):
        assert worst(ours, theirs) < 1e-9


@torch.no_grad()
def test_is_net_without_noise_is_the_published_one_and_sees_every_input():
    network, inputs = tried(Generator(width=0.05, start="pose", size=(64, 44))), given_inputs(64, 44, batch=2)
    sizes = [(2, 2), (4, 3), (4, 3), (8, 6), (16, 11), (32, 22), (64, 44)]
    inputs["source"] = given_inputs(128, 88, batch=2)["source"]  # whose style map has the size of the start times two
    content, picture = network(**inputs)
    assert worst(picture, painted(network.state_dict(), inputs["source"], content, inputs["pose"], sizes=sizes)) < 1e-9
    for name in inputs:
        assert worst(network(**(inputs | {name: -inputs[name]}))[1], picture) > 0.01, name


@torch.no_grad()
def test_noise_matters():
    network, inputs = tried(Generator(width=0.05)), given_inputs(64, 44)
    z = torch.randn(1, network.noises, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    assert worst(network(**inputs, z=z)[1], network(**inputs, z=-z)[1]) > 0.01


@pytest.mark.slow
@torch.no_grad()
def test_the_published_width_is_the_published_one():
    network, inputs = tried(Generator()), given_inputs()
    z = torch.randn(1, 256, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    for ours, theirs in zip(network(**inputs, z=z), scagan(network.state_dict(), **inputs, z=z), strict=True):
        assert worst(ours, theirs) < 1e-9


def test_the_decoder_climbs_as_published():
    assert _ladder((256, 176)) == list(dict.fromkeys(SIZES))
    assert _ladder((128, 88)) == [(4, 3), (8, 6), (16, 11), (32, 22), (64, 44), (128, 88)]
    assert _ladder((61, 45)) == [(2, 2), (4, 3), (8, 6), (15, 11), (31, 23), (61, 45)]


@torch.no_grad()
def test_the_published_size_stays_whatever_the_input():
    network, inputs = tried(Generator(width=0.05, start="pose", size=(256, 176))), given_inputs(64, 44)
    content, picture = network(**inputs)
    assert content.shape == (1, 1, 64, 44)
    assert picture.shape == (1, 3, 256, 176)
    assert worst(picture, painted(network.state_dict(), inputs["source"], content, inputs["pose"])) < 1e-9


@torch.no_grad()
@pytest.mark.parametrize("size", [(128, 88), (64, 44), (61, 45), (40, 30), (27, 21)])
def test_a_much_enlarged_guide_is_modulated_by_as_if_it_were_convolved_whole(size):
    """Five rows and columns of each cell stand for all of it: the same numbers, also at the borders."""
    spade = tried(Spade(8, 6, 8).double())
    guide = torch.randn(2, 6, 4, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    found = spade._modulation(guide, size)
    expected = spade._convolved(F.interpolate(guide, size, mode="nearest"))
    for ours, theirs in zip(found, expected, strict=True):
        assert worst(ours, theirs) < 1e-12


# ---- Losses and phases


@pytest.fixture
def pairs(pack):
    return Pairs(pack, np.array([(0, 1), (3, 5)], np.int32), {"edges"})


@pytest.fixture
def batch(pairs):
    return take(pairs, 2, CPU)


def tiny(**changes):
    return build("scagan", section("scagan") | TINY | {"critics_after": 0.0} | changes)


def step(method, batch, at):
    torch.manual_seed(0)
    updates = Updates(method.train(), at.phase)
    return method.train_step(batch.scaled(method.settings.scale), updates, at), updates.order


def test_each_network_learns_in_its_phase_and_the_other_rests(batch):
    parts = {"prior": ("generator.edge_generator", "prior_critic_"), "picture": ("generator", "critic_")}
    for at in (PRIOR, PICTURE):
        method = tiny()
        before = {key: value.clone() for key, value in method.state_dict().items()}
        step(method, batch, at)
        moved = {key for key, value in method.state_dict().items() if not torch.equal(value, before[key])}
        assert moved
        assert all(key.startswith(parts[at.phase]) for key in moved)
        assert any("edge_generator" in key for key in moved) == (at.phase == "prior")


def test_the_order_of_updates_is_the_published_one(batch):
    assert step(tiny(), batch, PRIOR)[1] == ["generator", "source", "pose"]
    assert step(tiny(), batch, PICTURE)[1] == ["generator", "texture", "pose"]
    assert step(tiny(critics_after=0.95), batch, PICTURE)[1] == ["generator"]


def test_the_norm_of_scales_leaves_a_channel_its_mean():
    x = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (2, 5, 7, 4)))
    expected = x.numpy() / np.sqrt(np.mean(x.numpy() ** 2, axis=(2, 3), keepdims=True))
    np.testing.assert_allclose(scale_norm(x), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_colours_reach_the_style_map_from_the_first_step(seed):
    """By Kaiming's weights alone two colours differ by a sixth to a half of what they have in common."""
    red, blue = torch.zeros(2, 1, 3, 64, 44).unbind()
    red[:, 0], blue[:, 2] = 0.8, 0.8
    encoder = build("scagan", {"width": 0.125, "first_weights": "kaiming"}, seed=seed).generator.enc_style
    with torch.no_grad():
        one, other = encoder(red), encoder(blue)
    assert float((one - other).norm() / (one + other).norm()) > 0.6


def test_the_losses_weigh_what_the_published_code_says(batch, monkeypatch):
    """Every raw loss replaced by 1: what is left are the weights."""
    import models.likeness
    import models.scagan as module

    one = torch.ones((), requires_grad=True)
    for name in ("perceptual_loss", "contextual_loss"):
        monkeypatch.setattr(models.likeness, name, lambda *args: one)
    monkeypatch.setattr(module.F, "l1_loss", lambda *args: one)
    monkeypatch.setattr(module, "ADVERSARIAL", {"lsgan": lambda scores, is_real: one})
    method = build("scagan", {"width": 0.05, "scale": 0.5, "first_weights": "kaiming"})
    for at, prefix, own in ((PRIOR, "prior_", "source"), (PICTURE, "", "texture")):
        terms = method.train_step(batch, lambda name, loss: None, at)
        found = {name: round(float(term), 6) for name, term in terms.items()}
        expected = {"l1": 1, "perceptual": 1, "gan": 5, f"critic_{own}": 5, "critic_pose": 5}
        expected |= {"contextual": 0.2} if at is PICTURE else {}  # a sum over two layers
        assert found == pytest.approx({f"{prefix}{name}": value for name, value in expected.items()})


def test_the_losses_are_their_formulas(batch):
    """The whole picture phase in double numbers, from the networks' outputs."""
    method = tiny(l1=1.5, gan=2.0, perceptual=0.0, contextual=0.0, scale=1.0).double()
    for critic in (method.critic_pose, method.critic_texture):
        critic.eval()  # no dropout, so that both looks see the same
    batch = resized(batch, 64, 44)
    doubled_batch = type(batch)(
        **{
            key: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
            for key, value in vars(batch).items()
        }
    )
    terms = method.train_step(doubled_batch, lambda name, loss: None, PICTURE)
    edge, pose, crops = method._inputs(doubled_batch)
    fake = method.generator.paint(doubled_batch.source, method._guide(edge, pose, crops), pose)
    real, source = doubled_batch.target, doubled_batch.source
    scores = {
        name: [critic(torch.cat([image, seen], 1)) for image in (fake, real)]
        for name, critic, seen in (("pose", method.critic_pose, pose), ("texture", method.critic_texture, source))
    }
    expected = {"l1": 1.5 * (fake - real).abs().sum() / fake.numel()}
    expected["gan"] = 2.0 * sum(((of_fake - 1) ** 2).sum() / of_fake.numel() for of_fake, _ in scores.values()) / 2
    for name, (of_fake, of_real) in scores.items():
        halves = ((of_real - 1) ** 2).sum() + (of_fake**2).sum()
        expected[f"critic_{name}"] = 2.0 * 0.5 * halves / of_fake.numel()
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}, rel=1e-9
    )


@pytest.mark.parametrize(("compat", "drifts"), [("mended", False), ("original", True)])
def test_running_statistics_drift_as_the_originals_only_where_that_is_asked_for(batch, compat, drifts):
    method = tiny(compat=compat)
    before = {key: value.clone() for key, value in method.generator.edge_generator.state_dict().items()}
    step(method, batch, PICTURE)
    moved = {
        key
        for key, value in method.generator.edge_generator.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert bool(moved) == drifts
    assert all("running" in key or "num_batches" in key for key in moved)
    assert method.generator.edge_generator.training


def test_the_crops_are_the_originals_where_that_is_asked_for(batch):
    clean, original = (tiny(compat=compat)._inputs(batch)[2] for compat in ("mended", "original"))
    assert clean.shape == original.shape == (2, 18, 64, 44)
    assert (float(clean.min()), float(clean.max())) == (-1, 1)
    assert (float(original.min()), float(original.max())) == (-1, 509)
    assert (original == 507).any()


def test_what_contradicts_itself_is_refused():
    with pytest.raises(SettingsError, match=r"scagan\.compat: original goes with content: edges"):
        build("scagan", {"width": 0.05, "compat": "original", "content": "parsing"})
    with pytest.raises(SettingsError, match=r"reads=\{'edges'\}"):
        tiny()._content(None, torch.zeros(1, 8, 8, dtype=torch.uint8))


# ---- The paper's ablations

ABLATIONS = {
    "semantic content": {"content": "parsing"},
    "without prior transfer": {"prior_transfer": False},
    "without content branch": {"block": "pose_branch"},
    "SPADE residual block": {"block": "spade"},
    "batch norm": {"encoder_norm": "batch"},
    "instance norm": {"encoder_norm": "instance"},
    "noise": {"start": "noise"},
    "compatible": {"compat": "original"},
}


@pytest.mark.parametrize("changes", ABLATIONS.values(), ids=ABLATIONS)
def test_every_ablation_trains_all_that_it_has_and_draws(batch, changes):
    method, reached = tiny(**changes), set()
    for phase in method.phases:
        torch.manual_seed(0)
        updates = Updates(method.train(), phase.name)
        terms = method.train_step(batch.scaled(0.5), updates, Moment(phase.name, 9, 10))
        assert all(torch.isfinite(term) for term in terms.values())
        reached |= updates.reached
    assert all(id(value) in reached for value in method.parameters())
    image = method.generate(batch)
    assert image.shape == batch.target.shape
    assert torch.equal(image, method.generate(batch))


def test_the_ablations_change_what_they_say():
    full = tiny()
    assert [phase.name for phase in full.phases] == ["prior", "picture"]
    for changes in ({"prior_transfer": False}, {"block": "pose_branch"}):
        method = tiny(**changes)
        assert [phase.name for phase in method.phases] == ["picture"]
        assert not hasattr(method.generator, "edge_generator")
    assert not any("_e" in key or "s1" in key for key in tiny(block="pose_branch").generator.up_3)
    assert tiny(content="parsing").generator.up_3["norm_e1"].mlp_shared[0].in_channels == 8
    guides = tiny(block="spade").generator.up_3.norm_0.mlp_shared[0].in_channels
    assert guides == full.generator.channels + 1 + 18
    batch_norms = [
        m for m in tiny(encoder_norm="batch").generator.enc_style.modules() if isinstance(m, torch.nn.BatchNorm2d)
    ]
    assert len(batch_norms) == 18


def test_without_prior_transfer_the_sources_own_edges_guide(batch):
    method = tiny(prior_transfer=False, scale=1.0)
    assert torch.equal(method.predict_content(batch), batch.source_edges)
    assert method.predict_content(batch).shape == tiny(scale=1.0).predict_content(batch).shape


def test_phases_follow_what_learns():
    method = tiny(prior_share=0.3)
    assert [phase.share for phase in method.phases] == [0.3, 0.7]
    method.let_learn("decoder")
    assert [phase.name for phase in method.phases] == ["picture"]
    assert list(method.optimisers("picture")) == ["generator"]


def test_patience_begins_with_the_last_phase(pairs, tmp_path):
    """Nothing gets better at these learning rates: the first phase goes by, and of the second three looks."""
    method = tiny(prior_share=0.75, prior_rate=0.0, learning_rate=0.0)
    notebook = Notebook()
    settings = {"steps": 16, "patience": 2, "sample_every": 1, "checkpoint_every": 100}
    settings = read_settings(TrainingSettings, TRAINING | settings, where="test")
    train(method, pairs, settings, validation=pairs, logger=notebook, work_dir=tmp_path)
    assert max(notebook.sheets) == 12 + 3


def test_everybody_is_drawn_with_the_same_noise_or_with_none(batch):
    one, zero = tiny(start="noise"), tiny(start="noise", drawn_noise="zero")
    noise = one._noise(batch.source)
    assert noise.shape == (2, one.generator.noises)
    assert torch.equal(noise[0], noise[1])
    assert 0.5 < float(noise.std()) < 2
    assert (zero._noise(batch.source) == 0).all()
    zero.load_state_dict(one.state_dict())
    assert not torch.equal(one.generate(batch), zero.generate(batch))


def test_original_weights_are_the_published_codes():
    settings = ScaganSettings()
    assert (settings.prior_rate, settings.learning_rate, settings.gan, settings.contextual) == (2e-4, 1e-4, 5.0, 0.1)
    method = build("scagan", {"width": 0.125})
    assert float(method.generator.up_0["conv_e1"].weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(method.generator.edge_generator["model_edge"].prepro[2].weight.detach().mean()) == pytest.approx(
        1, abs=0.05
    )
