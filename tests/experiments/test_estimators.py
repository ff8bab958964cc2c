"""The estimators against answers that are known without them."""

import numpy as np
import pytest

from experiments import estimators

DICE = np.random.default_rng(5)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_mutual_information_of_gaussians(correlation):
    one = DICE.standard_normal((1500, 1))
    other = correlation * one + np.sqrt(1 - correlation**2) * DICE.standard_normal((1500, 1))
    assert estimators.mutual_information(one, other) == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=0.06)


def test_mutual_information_does_not_depend_on_units():
    one = DICE.standard_normal((300, 2))
    other = one @ np.array([[1.0], [2.0]]) + DICE.standard_normal((300, 1))
    assert estimators.mutual_information(one, other) == pytest.approx(
        estimators.mutual_information(one * 1000 + 7, other / 50), abs=1e-6
    )


def test_mutual_information_of_independent_numbers_is_no_more_than_chance():
    groups = np.repeat([f"p{index}" for index in range(30)], 6)
    one, other = DICE.standard_normal((180, 2)), DICE.standard_normal((180, 2))
    permutations = estimators.block_permutations(list(groups), draws=60, seed=0)
    value, chance, p = estimators.above_chance(one, other, permutations)
    assert value == pytest.approx(0, abs=0.15)
    assert chance == pytest.approx(0, abs=0.05)
    assert p > 0.05


def test_people_who_repeat_themselves_are_no_evidence():
    """Six nearly equal pictures of each of 30 people: shuffled singly they look dependent, person by person they do not."""
    groups = np.repeat([f"p{index:02d}" for index in range(30)], 6)
    one, other = (
        np.repeat(DICE.standard_normal((30, 1)), 6, 0) + 0.01 * DICE.standard_normal((180, 1)) for _ in range(2)
    )
    by_person = estimators.block_permutations(list(groups), draws=40, seed=0)
    singly = [DICE.permutation(180) for _ in range(40)]
    assert estimators.above_chance(one, other, singly)[2] < 0.05
    assert estimators.above_chance(one, other, by_person)[2] > 0.05


def test_block_permutations_keep_groups_together():
    groups = ["a", "a", "b", "b", "c", "c"]
    for rows in estimators.block_permutations(groups, draws=10, seed=1):
        assert sorted(rows) == list(range(6))
        moved = [groups[row] for row in rows]
        assert all(moved[place] == moved[place + 1] for place in (0, 2, 4))


def test_effective_rank_of_a_known_spectrum():
    axes = np.eye(6)
    even = np.vstack([axes[:4], -axes[:4]])
    assert estimators.effective_rank(even) == pytest.approx(4)
    # Variances 3 : 1 have the entropy of the coin 0.75 : 0.25.
    uneven = np.vstack([np.sqrt(3) * axes[:1], -np.sqrt(3) * axes[:1], axes[1:2], -axes[1:2]])
    assert estimators.effective_rank(uneven) == pytest.approx(0.75**-0.75 * 0.25**-0.25)
    assert estimators.spectrum(uneven)[:2] == pytest.approx([0.75, 0.25])
    assert estimators.effective_rank(np.ones((5, 3))) == 0


def test_a_probe_finds_what_is_linear_and_nothing_else():
    codes = DICE.standard_normal((240, 8))
    groups = [f"p{index // 6}" for index in range(240)]
    linear = codes @ DICE.standard_normal((8, 2)) + 3
    noise = DICE.standard_normal((240, 2))
    for told, expected in ((linear, 1.0), (noise, 0.0)):
        read = estimators.fit_probe(codes[:160], told[:160], groups[:160])
        share = estimators.explained(told[160:], read(codes[160:]), told[:160].mean(0))
        assert share == pytest.approx(expected, abs=0.12)


def test_the_mean_explains_nothing():
    told = DICE.standard_normal((20, 3))
    assert estimators.explained(told, np.tile(told.mean(0), (20, 1)), told.mean(0)) == pytest.approx(0)


def test_rank_correlation():
    x = DICE.standard_normal(50)
    assert estimators.rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert estimators.rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert np.isnan(estimators.rank_correlation(x, np.zeros(50)))


def test_intervals_of_statistics():
    values = DICE.standard_normal(400)
    groups = [str(index) for index in range(400)]

    def mean(rows):
        return float(values[rows].mean())

    standard_error = values.std(ddof=1) / 20
    for found in (estimators.bootstrap(mean, groups, draws=800, seed=0), estimators.jackknife(mean, groups)):
        assert found.value == pytest.approx(values.mean())
        assert (found.high - found.low) / 2 == pytest.approx(1.96 * standard_error, rel=0.1)


def test_leakage_of_a_system_without_any():
    """Regions that depend on their own component alone: the matrix is diagonal."""
    parsing = np.repeat(np.arange(4, dtype=np.uint8), 8)[None].repeat(6, 0)

    def draw(components):
        return np.asarray(components, np.uint8)[parsing][..., None].repeat(3, 2)

    before = [10, 20, 30, 40]
    changes = np.array(
        [
            estimators.region_changes(draw(before), draw([*before[:part], 200, *before[part + 1 :]]), parsing, 4)
            for part in range(4)
        ]
    )
    assert changes == pytest.approx(np.diag([190.0, 180, 170, 160]))
    assert estimators.own_share(changes) == pytest.approx([1, 1, 1, 1])
    assert estimators.own_share(np.ones((4, 4))) == pytest.approx([0.25] * 4)


def test_a_region_that_is_not_there_has_no_change():
    picture = np.zeros((4, 4, 3), np.uint8)
    changes = estimators.region_changes(picture, picture + 9, np.zeros((4, 4), np.uint8), 2)
    assert changes[0] == 9
    assert np.isnan(changes[1])
