import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from models.metrics.pictures import METRICS, score_pictures


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    target = rng.random((2, 3, 64, 44))
    return np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1), target


def score(generated, target, mask=None):
    mask = np.ones(target.shape[:1] + target.shape[2:], bool) if mask is None else mask
    return score_pictures(torch.tensor(generated), torch.tensor(target), torch.tensor(mask))


def test_ssim_equals_scikit_image(pictures):
    generated, target = pictures
    ours = score(generated, target)["ssim"]
    for row in range(2):
        theirs = structural_similarity(
            generated[row], target[row], channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, data_range=1.0,
        )  # fmt: skip
        assert ours[row].item() == pytest.approx(theirs, abs=2e-3)


def test_psnr_and_l1_equal_their_formulas(pictures):
    generated, target = pictures
    ours = score(generated, target)
    for row in range(2):
        assert ours["psnr"][row].item() == pytest.approx(
            peak_signal_noise_ratio(target[row], generated[row], data_range=1)
        )
        assert ours["l1"][row].item() == pytest.approx(np.abs(generated[row] - target[row]).mean())


def test_a_perfect_picture_has_perfect_scores(pictures):
    _, target = pictures
    ours = score(target, target)
    assert set(ours) == set(METRICS)
    assert torch.allclose(ours["ssim"], torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(ours["ssim_mask"], torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert ours["l1_mask"].abs().max() == 0


def test_errors_outside_the_mask_do_not_count(pictures):
    _, target = pictures
    mask = np.zeros((2, 64, 44), bool)
    mask[:, 20:40, 10:30] = True
    generated = target.copy()
    generated[:, :, 56:] = 0  # further away than half a window
    ours = score(generated, target, mask)
    assert torch.allclose(ours["ssim_mask"], torch.ones(2, dtype=torch.float64), atol=1e-6)
    assert ours["l1_mask"].abs().max() == 0
    assert (ours["l1"] > 0).all()


def test_an_empty_mask_gives_no_number(pictures):
    generated, target = pictures
    assert torch.isnan(score(generated, target, np.zeros((2, 64, 44), bool))["l1_mask"]).all()


def test_sharpness_is_the_mean_length_of_the_gradient(pictures):
    generated, target = pictures
    ours = score(generated, target)["sharpness"]
    for row in range(2):
        lengths = [
            np.hypot(
                generated[row, c, y + 1, x] - generated[row, c, y, x],
                generated[row, c, y, x + 1] - generated[row, c, y, x],
            )
            for c in range(3)
            for y in range(63)
            for x in range(43)
        ]
        assert ours[row].item() == pytest.approx(np.mean(lengths))


def test_a_ramp_is_as_sharp_as_it_is_steep():
    ramp = np.broadcast_to(np.arange(44) / 100, (1, 3, 64, 44)).copy()
    assert score(ramp, ramp)["sharpness"].item() == pytest.approx(0.01)
