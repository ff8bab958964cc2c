"""SCA-GAN's and PATN's checkpoints: read strictly, written entry for entry, and what they draw."""

import re
from pathlib import Path

import pytest
import torch

from models.discriminators import ResidualDiscriminator
from models.method import build
from models.originals import OriginalMismatch, load_original, to_method, to_original
from models.scagan_networks import Generator, PriorTransfer
from tests.models.published import critic, critic_shapes, doubled, empty, lively, same, shapes_of, worst
from tests.models.published_scagan import transferred

SHAPES = Path(__file__).parents[3] / "shared" / "reference" / "shapes"
STYLE = ("head_0", "down_0", "down_1", "down_2", "down_3", "down_4")
CRITICS = {"scagan_pct_d_pose": 19, "scagan_pct_d_source": 2, "scagan_d_pose": 21, "scagan_d_texture": 6}


def with_twins(shapes):
    """The entries of IS-Net's checkpoint, which names the layers of the style encoder twice."""
    twins = {
        key.replace(f"enc_style.{layer}.", f"enc_style.model.{number}."): shape
        for number, layer in enumerate(STYLE)
        for key, shape in shapes.items()
        if key.startswith(f"enc_style.{layer}.")
    }
    assert len(twins) == 36
    return shapes | twins


with torch.device("meta"):
    PRIOR_SHAPES = shapes_of(PriorTransfer())
    SHAPES_OF = {start: with_twins(shapes_of(Generator(start=start))) for start in ("noise", "pose")}


def numbered(shapes):
    """Every entry full of a number of its own, but twins alike."""
    names = {
        key: key.replace(f"model.{n}.", f"{layer}.")
        for key in shapes
        for n, layer in enumerate(STYLE)
        if f"enc_style.model.{n}." in key
    }
    order = {key: number for number, key in enumerate(shapes)}
    return {
        key: torch.tensor(7)
        if key.endswith("num_batches_tracked")
        else torch.full(shape, order[names.get(key, key)] / 64)
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def prior_state():
    return lively(PRIOR_SHAPES)


@torch.no_grad()
def test_pct_net_is_read_written_and_the_published_one(prior_state):
    network = load_original("scagan_pct", prior_state)
    dice = torch.Generator().manual_seed(0)
    given = {
        name: torch.rand(1, channels, 32, 24, generator=dice) * 2 - 1
        for name, channels in (("edge", 1), ("pose", 18), ("crops", 18))
    }
    given["crops"] = given["crops"] * 255 + 254
    expected = transferred(doubled(prior_state), **{key: value.double() for key, value in given.items()})
    assert worst(network.double()(**{key: value.double() for key, value in given.items()}), expected) < 1e-9
    assert same(to_original("scagan_pct", load_original("scagan_pct", prior_state)), prior_state)
    assert not network.training


@pytest.mark.parametrize("start", ["noise", "pose"])
def test_is_net_is_read_and_written_entry_for_entry(start):
    state = numbered(SHAPES_OF[start])
    network = load_original("scagan", state)
    assert (network.start, network.size) == (start, (256, 176))
    assert network.ignored == ()
    assert same(to_original("scagan", network), state)
    assert torch.equal(
        network.edge_generator["model_edge"].postpro[1].bias, state["edge_generator.model_edge.postpro.1.bias"]
    )


@pytest.mark.parametrize(("name", "start"), [("csgen", "noise"), ("csgen_novae", "pose")])
def test_the_listed_entries_of_is_net_are_these(name, start):
    path = SHAPES / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"{name}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    listed = {key: torch.Size(int(n) for n in shape[1:-1].split(",") if n.strip()) for key, shape, _ in rows}
    assert listed == SHAPES_OF[start]
    assert len(listed) == 516


def test_the_style_encoder_must_be_there_twice_and_the_same():
    state = empty(SHAPES_OF["pose"])
    key = "enc_style.model.2.conv1.conv.bias"
    with pytest.raises(OriginalMismatch, match=re.escape(f"{key} is not equal to enc_style.down_1.conv1.conv.bias")):
        load_original("scagan", state | {key: torch.ones(256)})
    with pytest.raises(OriginalMismatch, match=re.escape(f"missing: {key}")):
        load_original("scagan", {other: value for other, value in state.items() if other != key})
    with pytest.raises(OriginalMismatch, match=r"unexpected: enc_style\.model\.9\.conv\.bias"):
        load_original("scagan", state | {"enc_style.model.9.conv.bias": torch.ones(1)})


def test_checkpoints_that_are_mixed_up_are_recognised():
    with pytest.raises(OriginalMismatch, match="they fit 'scagan'"):
        load_original("scagan_pct", empty(SHAPES_OF["noise"]))
    with pytest.raises(OriginalMismatch, match="they fit 'scagan_pct'"):
        load_original("scagan", empty(PRIOR_SHAPES))
    odd = empty(SHAPES_OF["noise"]) | {"fc.weight": torch.zeros(()).expand(24576, 128)}
    with pytest.raises(OriginalMismatch, match=r"fc\.weight \(24576, 128\) instead of \(24576, 256\)"):
        load_original("scagan", odd)


@pytest.mark.parametrize("name", CRITICS)
def test_critics_are_read_written_and_the_published_ones(name):
    state = lively(critic_shapes(CRITICS[name]))
    x = torch.rand(2, CRITICS[name], 32, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network = load_original(name, state)
    with torch.no_grad():
        assert worst(network(x), critic(doubled(state), x.double())) < 1e-4
    assert same(to_original(name, network), state)


@pytest.mark.parametrize("name", ["patn_D_PB_fashion", "patn_D_PP_fashion", "patn_D_PB_market", "patn_D_PP_market"])
def test_patns_critics_are_read_strictly(name):
    path = SHAPES / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"{name}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    shapes = {key: torch.Size(int(n) for n in shape[1:-1].split(",") if n.strip()) for key, shape, _ in rows}
    ours = "adgan_d_pose" if "PB" in name else "adgan_d_texture"
    network = load_original(ours, empty(shapes))
    assert isinstance(network, ResidualDiscriminator)
    assert {key: value.shape for key, value in to_original(ours, network).items()} == shapes
    lost = next(iter(shapes))
    with pytest.raises(OriginalMismatch, match=f"missing: {re.escape(lost)}"):
        load_original(ours, {key: value for key, value in empty(shapes).items() if key != lost})


@pytest.mark.parametrize("start", ["noise", "pose"])
def test_a_system_of_ours_is_made_of_the_published_one_and_goes_back(start, prior_state):
    state = numbered(SHAPES_OF[start])
    own_prior = {f"edge_generator.model_edge.{key}": value for key, value in prior_state.items()}
    critics = {"scagan_d_pose": numbered(critic_shapes(21)), "scagan_pct_d_source": numbered(critic_shapes(2))}
    method = to_method("scagan", state | own_prior, critics)
    settings = method.settings
    assert (settings.start, settings.compat, settings.width, settings.scale) == (start, "original", 1.0, 1.0)
    assert same(to_original("scagan", method), state | own_prior)
    assert same(to_original("scagan_pct", method), prior_state)
    assert all(same(to_original(name, method), critics[name]) for name in critics)


def test_a_setting_that_the_original_has_not_is_named():
    with torch.device("meta"):
        narrow, plain = build("scagan", {"width": 0.25}), build("scagan", {"block": "spade"})
    with pytest.raises(OriginalMismatch, match=r"the original has width = 1\.0, not 0\.25"):
        to_original("scagan", narrow)
    with pytest.raises(OriginalMismatch, match="the original has block = content_style, not spade"):
        to_original("scagan", plain)
    with pytest.raises(OriginalMismatch, match="no system works with this network alone"):
        to_method("scagan_pct", empty(PRIOR_SHAPES))
