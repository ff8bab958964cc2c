import numpy as np
import pytest
import torch
from scipy import ndimage

from models.features import Trunk
from models.metrics.networks import Perceptual
from models.metrics.pictures import contextual_distances, perceptual_distances, score_picture, score_pictures, sharpness
from models.metrics.protocols import PROTOCOLS


@pytest.fixture
def pictures():
    dice = np.random.default_rng(0)
    target = ndimage.gaussian_filter(dice.random((64, 60, 3)), (3, 3, 0))
    target = 255 * (target - target.min()) / np.ptp(target)
    generated = np.clip(0.8 * target + dice.normal(10, 12, target.shape), 0, 255)
    return np.rint(generated).astype(np.uint8), np.rint(target).astype(np.uint8)


def blurred(x, protocol):
    """Local means of the definition, written with other means: a convolution of each channel."""
    if protocol in ("plain", "padded"):
        line = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
        kernel = np.outer(line, line) / line.sum() ** 2
    else:
        width = {"train_fid": 51, "pg2": 7}[protocol]
        kernel = np.full((width, width), 1 / width**2)
    edge = kernel.shape[0] // 2
    return ndimage.convolve(x, kernel[..., None], mode="reflect")[edge:-edge, edge:-edge], kernel.size


def defined_ssim(one, other, protocol):
    one, other = one.astype(float), other.astype(float)
    span = np.ptp(one) if protocol == "padded" else 255
    (mean1, size), (mean2, _) = blurred(one, protocol), blurred(other, protocol)
    factor = size / (size - 1) if protocol in ("train_fid", "pg2") else 1
    variance1, variance2, covariance = (
        factor * (blurred(product, protocol)[0] - means)
        for product, means in ((one * one, mean1**2), (other * other, mean2**2), (one * other, mean1 * mean2))
    )
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    top = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return (top / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))).mean()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_ssim_is_that_of_its_definition(pictures, name):
    generated, target = pictures
    wide = [np.pad(p, ((0, 0), (40, 40), (0, 0)), constant_values=255) if name == "padded" else p for p in pictures]
    expected = defined_ssim(*wide, name)
    assert score_picture(generated, target, protocol=PROTOCOLS[name])["ssim"] == pytest.approx(expected, abs=1e-6)


def test_padding_flatters():
    """White columns are equal in both pictures: the reason why numbers of two protocols are not to be compared."""
    dice = np.random.default_rng(1)
    one, other = (dice.integers(0, 256, (64, 60, 3), np.uint8) for _ in range(2))
    assert score_picture(one, other, protocol=PROTOCOLS["padded"])["ssim"] > 0.2
    assert score_picture(one, other)["ssim"] < 0.1


def test_psnr_and_l1_are_those_of_their_formulas(pictures):
    generated, target = (picture.astype(float) / 255 for picture in pictures)
    ours = score_picture(*pictures)
    assert ours["psnr"] == pytest.approx(10 * np.log10(1 / np.mean((generated - target) ** 2)))
    assert ours["l1"] == pytest.approx(np.abs(generated - target).mean())


def test_a_perfect_picture_has_perfect_scores(pictures):
    _, target = pictures
    person = np.zeros(target.shape[:2], bool)
    person[20:40, 10:30] = True
    ours = score_pictures(
        [target, target], [target, target], [person, person], PROTOCOLS["pg2"], [person.view(np.uint8)] * 2
    )
    for name in ("ssim", "ssim_mask", "ssim_masked"):
        np.testing.assert_allclose(ours[name], 1, atol=1e-9)
    assert not ours["l1_mask"].any()


def test_errors_outside_the_mask_do_not_count(pictures):
    _, target = pictures
    person = np.zeros(target.shape[:2], bool)
    person[20:40, 10:30] = True
    generated = target.copy()
    generated[:, 56:] = 0  # further away than half a window
    ours = score_picture(generated, target, person)
    assert ours["ssim_mask"] == pytest.approx(1, abs=1e-9)
    assert ours["l1_mask"] == 0
    assert ours["l1"] > 0


def test_the_masked_similarity_is_that_of_the_pictures_times_the_pose_mask(pictures):
    """Of the pose mask, not of the label map; and only where the protocol asks for it."""
    generated, target = pictures
    person, pose_mask = (np.zeros(target.shape[:2], np.uint8) for _ in range(2))
    person[10:50, 10:50], pose_mask[20:40, 25:35] = 1, 1
    scores = score_picture(generated, target, person.astype(bool), PROTOCOLS["pg2"], pose_mask)
    hidden = [picture * pose_mask[..., None] for picture in pictures]
    assert scores["ssim_masked"] == score_picture(*hidden, protocol=PROTOCOLS["pg2"])["ssim"]
    assert "ssim_masked" not in score_picture(generated, target, person.astype(bool), PROTOCOLS["plain"], pose_mask)


def test_where_there_is_nothing_to_average_there_is_no_number(pictures):
    generated, target = pictures
    nobody = score_picture(generated, target, np.zeros(target.shape[:2], bool))
    assert np.isnan([nobody["l1_mask"], nobody["ssim_mask"]]).all()
    small = score_picture(generated[:40, :40], target[:40, :40], protocol=PROTOCOLS["train_fid"])
    assert np.isnan(small["ssim"])
    assert np.isnan(score_picture(np.zeros_like(target), target, protocol=PROTOCOLS["train_fid"])["ssim_256"])


def test_blurring_lowers_sharpness(pictures):
    _, target = pictures
    soft = ndimage.gaussian_filter(target, (5, 5, 0))
    assert sharpness(soft) < 0.7 * sharpness(target)
    ramp = np.repeat(np.arange(0, 250, 5, np.uint8)[None, :, None], 20, 0).repeat(3, 2)
    assert sharpness(ramp) == pytest.approx(5 / 255, rel=1e-6)


def test_lpips_of_the_stand_in_is_the_packages_formula(pictures):
    """Heads of the package over our trunk: normalised features, squared difference, weighted sum, mean over space."""
    network, trunk = Perceptual(), Trunk("vgg16").load()
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    taps = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    ours, theirs = (
        trunk.taps(((torch.tensor(p).float() / 127.5 - 1 - shift) / scale).permute(2, 0, 1)[None], taps)
        for p in pictures
    )
    heads = [layer.model[-1].weight for layer in network.network.lins]
    unit = lambda f: f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10)  # noqa: E731
    expected = sum(
        ((unit(a) - unit(b)).square() * w).sum(1).mean() for a, b, w in zip(ours, theirs, heads, strict=True)
    )
    found = perceptual_distances(network, [pictures[0]], [pictures[1]])
    assert found[0] == pytest.approx(expected.item(), rel=1e-4)
    assert perceptual_distances(network, [pictures[0]], [pictures[0]])[0] == 0


def test_contextual_distance_is_smallest_to_oneself(pictures):
    trunk = Trunk("vgg16").load()
    generated, target = pictures
    own, other = contextual_distances(trunk, [generated, generated], [generated, target])
    assert own < other


def test_padded_measures_the_middle_columns_of_a_square_picture():
    """Whoever keeps 256 columns is measured as those who keep 176 of them: the outer 40 on each side do not count."""
    dice = np.random.default_rng(2)
    one, other = (dice.integers(0, 256, (256, 256, 3), np.uint8) for _ in range(2))
    whole, middle = (
        score_picture(*pictures, protocol=PROTOCOLS["padded"])
        for pictures in ((one, other), (one[:, 40:216], other[:, 40:216]))
    )
    assert {name: whole[name] for name in ("ssim", "psnr", "l1")} == {
        name: middle[name] for name in ("ssim", "psnr", "l1")
    }
    assert PROTOCOLS["padded"].prepared(one).shape == (256, 256, 3)
