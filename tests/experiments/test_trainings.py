"""The runner and the scorer, really run on tiny packs."""

import dataclasses

import numpy as np
import pytest
import torch

from experiments import settings, trainings
from experiments.scores import Scores, chosen_pairs, generate
from models.method import build
from pipeline.packed import Pack
from stages import artifacts
from tests.models.conftest import pack  # noqa: F401

FOUND = settings.read()


@pytest.fixture
def project(pack, tmp_path, monkeypatch):  # noqa: F811
    """A folder with the tiny pack as both domains."""
    (tmp_path / "data" / "pack").mkdir(parents=True)
    for domain in ("source", "target"):
        (tmp_path / "data" / "pack" / f"{domain}.h5").write_bytes(pack.path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(group, name, **changes):
    row = FOUND.rows[group][name]
    return dataclasses.replace(row, set=row.set | {"adgan.width": 0.125, "adgan.scale": 1.0}, **changes)


def test_a_row_is_trained_and_the_same_again(project, tmp_path):
    row = small("trained", "cost_as_it_is", share=10 / 156)
    one, history = trainings.run(FOUND, row, tmp_path / "one")
    other, _ = trainings.run(FOUND, row, tmp_path / "other")
    assert history["10"]["train/l1"] > 0
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    packed = Pack(artifacts.pack("source"))
    drawn = generate(one, packed, packed.pairs("val"))
    assert len(drawn) == len(packed.pairs("val"))
    assert drawn[0].shape == (64, 44, 3)
    assert drawn[0].dtype == np.uint8


def test_a_row_sees_as_many_pictures_as_it_may(project):
    packed = Pack(artifacts.pack("target"))
    for count in (1, 2, 3):
        row = small("carried", "scratch_1", pictures=count)
        rows = packed.pairs("train")
        kept = trainings.in_turn(packed, rows)[:count]
        assert len(kept) == count
        if count > 1:  # this pack pairs no picture with itself
            found = trainings.pairs_of(packed, build("adgan", {"width": 0.125}), row).rows
            assert set(found.ravel()) == set(kept)
            assert len(found) == count * (count - 1)


def test_a_share_of_no_steps_leaves_the_weights(project, tmp_path):
    row = small("carried", "pretrained", begins="random")
    trained, history = trainings.run(FOUND, row, tmp_path / "runs")
    assert history == {}
    assert trained.name == "adgan"


def test_people_take_turns():
    class Two:
        persons = ("a", "a", "a", "b", "b")

    assert trainings.in_turn(Two(), np.array([(0, 1), (1, 2), (3, 4)])) == [0, 3, 1, 4, 2]


def test_chosen_pairs_are_spread_over_the_list():
    class Many:
        @staticmethod
        def pairs(split):
            assert split == "test"
            return np.arange(200).reshape(100, 2)

    assert chosen_pairs(Many(), 5)[:, 0].tolist() == [0, 50, 100, 148, 198]
    assert len(chosen_pairs(Many(), 1000)) == 100


def test_differences_are_taken_pair_by_pair():
    groups = [f"p{index}" for index in range(40)]
    hard = np.linspace(0, 1, 40)
    one = Scores({"ssim_mask": list(hard)}, groups, "persons", {"is_lite0": 2.0})
    other = Scores({"ssim_mask": list(hard - 0.01)}, groups, "persons", {"is_lite0": 1.5})
    apart = one.minus(other, "ssim_mask", FOUND)
    assert apart.low == pytest.approx(0.01)
    assert apart.high == pytest.approx(0.01)
    assert one.interval("ssim_mask", FOUND).high > one.interval("ssim_mask", FOUND).low + 0.1
    assert np.isnan(one.interval("is_lite0", FOUND).low)
