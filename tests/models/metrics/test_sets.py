import numpy as np
import pytest
import torch
from scipy import linalg

from models.metrics.networks import Lite0
from models.metrics.sets import Seen, frechet_distance, inception_score, kernel_distance, look


@pytest.fixture
def sets():
    dice = np.random.default_rng(0)
    one, other = dice.normal(0, 1, (200, 12)), dice.normal(0.4, 1.5, (150, 12))
    logits = dice.normal(0, 2, (200, 7))
    return tuple(Seen(torch.tensor(x), torch.tensor(logits[: len(x)])) for x in (one, other))


def test_frechet_distance_is_that_of_two_gaussians(sets):
    one, other = (seen.features.numpy() for seen in sets)
    root = linalg.sqrtm(np.cov(one.T) @ np.cov(other.T)).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(np.cov(one.T) + np.cov(other.T) - 2 * root)
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_pictures_than_features_is_no_less_than_nothing():
    dice = np.random.default_rng(0)
    few = Seen(torch.tensor(dice.normal(0, 3, (40, 500))), torch.zeros(40, 4))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(few, Seen(few.features + 1, few.logits)) == pytest.approx(500)


def test_kernel_distance_is_the_unbiased_discrepancy(sets):
    one, other = sets[0].features.numpy()[:150], sets[1].features.numpy()
    kernel = lambda x, y: (x @ y.T / 12 + 1) ** 3  # noqa: E731
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))  # noqa: E731
    expected = off(kernel(one, one)) + off(kernel(other, other)) - 2 * kernel(one, other).mean()
    # Every subset is the whole set.
    ours = kernel_distance(Seen(sets[0].features[:150], sets[0].logits[:150]), sets[1])
    assert ours == pytest.approx(expected, rel=1e-9)


def test_inception_score_is_one_where_every_picture_has_the_same_classes_and_k_where_all_differ():
    same = Seen(torch.zeros(50, 3), torch.ones(50, 4))
    assert inception_score(same) == pytest.approx(1)
    # Ten splits of four pictures each; a split that holds every class once scores 4, others less.
    sure = Seen(torch.zeros(4000, 3), 100 * torch.eye(4).repeat(1000, 1))
    assert inception_score(sure) == pytest.approx(4, abs=0.05)


def test_too_few_pictures_give_no_number():
    one = Seen(torch.zeros(1, 3), torch.zeros(1, 4))
    assert np.isnan([frechet_distance(one, one), kernel_distance(one, one), inception_score(one)]).all()


def test_lite0_sees_each_picture_for_itself():
    dice = np.random.default_rng(0)
    pictures = [dice.integers(0, 256, (64, 44, 3), np.uint8) for _ in range(3)]
    network = Lite0()
    seen, alone = look(network, pictures), look(network, pictures[1:2])
    assert seen.features.shape == (3, 1280)
    assert seen.logits.shape == (3, 1000)
    torch.testing.assert_close(seen.features[1:2], alone.features, atol=1e-4, rtol=1e-4)
    assert len(network.sha256) == 64
