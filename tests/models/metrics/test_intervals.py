import numpy as np
import pytest
from scipy.stats import bootstrap

from models.metrics.intervals import bootstrap_mean, choose_groups


def test_one_value_per_group_agrees_with_scipy():
    values = np.random.default_rng(1).normal(3, 1, 200)
    ours = bootstrap_mean(values, [str(i) for i in range(200)], draws=5000)
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=2).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.high, abs=0.03)


def test_equal_values_within_a_group_widen_the_interval():
    per_person = np.random.default_rng(0).normal(0, 1, 20)
    values, groups = np.repeat(per_person, 30), [f"p{i // 30}" for i in range(600)]
    apart = bootstrap_mean(values, [str(i) for i in range(600)])
    together = bootstrap_mean(values, groups)
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert together.groups == 20


def test_missing_values_are_left_out():
    ours = bootstrap_mean(np.array([1.0, np.nan, 3.0]), ["a", "a", "b"])
    assert (ours.value, ours.n) == (2.0, 2)
    assert bootstrap_mean(np.array([np.nan]), ["a"]).n == 0


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(10.0)
    groups = [str(i % 4) for i in range(10)]
    assert bootstrap_mean(values, groups, seed=3) == bootstrap_mean(values, groups, seed=3)


def test_of_a_few_persons_target_pictures_are_drawn():
    many, few = [str(number) for number in range(5)], ["a", "b", "a", "b", "a"]
    targets = [f"picture {number}" for number in range(5)]
    assert choose_groups(many, targets) == ("persons", many)
    assert choose_groups(few, targets) == ("pictures", targets)
