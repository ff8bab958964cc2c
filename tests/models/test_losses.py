"""Each loss against its formula, in numpy and float64."""

import numpy as np
import pytest
import torch

from models.losses import contextual, foreground_l1, log_likelihood, lsgan, perceptual


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 4, 3, generator=dice), torch.randn(2, 5, 4, 3, generator=dice)


def test_lsgan(pair):
    scores = pair[0].double().numpy()
    assert float(lsgan(pair[0], is_real=True)) == pytest.approx(((scores - 1) ** 2).mean(), rel=1e-5)
    assert float(lsgan(pair[0], is_real=False)) == pytest.approx((scores**2).mean(), rel=1e-5)


def test_log_likelihood(pair):
    """-log D(real) and -log(1 - D(fake)) with D the sigmoid of the score."""
    probability = 1 / (1 + np.exp(-pair[0].double().numpy()))
    assert float(log_likelihood(pair[0], is_real=True)) == pytest.approx(-np.log(probability).mean(), rel=1e-5)
    assert float(log_likelihood(pair[0], is_real=False)) == pytest.approx(-np.log(1 - probability).mean(), rel=1e-5)


@pytest.mark.parametrize("extra", [0.0, 1.0, 3.5])
def test_foreground_l1(pair, extra):
    output, target = (image.double().numpy() for image in pair)
    mask = torch.zeros(2, 1, 4, 3)
    mask[:, :, 1:3] = 1
    expected = (np.abs(output - target) * (1 + extra * mask.numpy())).mean()
    assert float(foreground_l1(*pair, mask, extra)) == pytest.approx(expected, rel=1e-5)


def test_perceptual(pair):
    output, target = (features.double().numpy() for features in pair)
    assert float(perceptual(*pair)) == pytest.approx(np.abs(output - target).mean(), rel=1e-5)


def _contextual_by_loops(output: np.ndarray, target: np.ndarray, sigma: float) -> float:
    """The definition, pair by pair of positions."""
    mean = target.mean((0, 2, 3))
    losses = []
    for ours, theirs in zip(output, target, strict=True):
        x = [v / np.linalg.norm(v) for v in (ours.reshape(len(mean), -1).T - mean)]
        y = [v / np.linalg.norm(v) for v in (theirs.reshape(len(mean), -1).T - mean)]
        distance = np.array([[(1 - p @ q) / 2 for q in x] for p in y])
        relative = distance / (distance.min(axis=0) + 1e-5)
        weights = np.exp((1 - relative) / sigma)
        similarity = weights / weights.sum(axis=0)
        losses.append(-np.log(np.mean([max(row) for row in similarity])))
    return float(np.mean(losses))


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_contextual_equals_its_definition(pair, sigma):
    expected = _contextual_by_loops(*(features.double().numpy() for features in pair), sigma)
    assert float(contextual(*(features.double() for features in pair), sigma=sigma)) == pytest.approx(
        expected, rel=1e-9
    )
    assert float(contextual(*pair, sigma=sigma)) == pytest.approx(expected, rel=1e-3)


def test_contextual_of_equal_features_is_least(pair):
    output, target = pair
    assert float(contextual(target, target)) < float(contextual(output, target))


def test_contextual_survives_a_position_that_equals_the_mean():
    flat = torch.zeros(1, 5, 4, 3, requires_grad=True)
    loss = contextual(flat, torch.zeros(1, 5, 4, 3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(flat.grad).all()
