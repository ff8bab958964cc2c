import pytest
import torch

from models.features import Trunk, to_imagenet
from models.likeness import Likeness


def pictures(channels):
    dice = torch.Generator().manual_seed(0)
    return [torch.rand(2, channels, 32, 24, generator=dice) * 2 - 1 for _ in range(2)]


def test_the_terms_are_their_formulas_on_the_features_of_the_vgg():
    """Perceptual: the mean distance behind relu1_2. Contextual: every position by loops, a sum over two layers."""
    ours, theirs = pictures(3)
    terms = Likeness("vgg16").terms(ours, theirs, perceptual=2.0, contextual=0.1)
    trunk = Trunk("vgg16", layers=21).load()
    near = [trunk.taps(to_imagenet(image), ["relu1_2"])[0].double() for image in (ours, theirs)]
    assert float(terms["perceptual"]) == pytest.approx(2.0 * float((near[0] - near[1]).abs().mean()), rel=1e-5)
    expected = 0.0
    for tap in ("relu3_2", "relu4_2"):
        x, y = (trunk.taps(image, [tap])[0].double().flatten(2) for image in (ours, theirs))
        mean = y.mean((0, 2))[:, None]
        for sample in range(2):
            a, b = ((z[sample] - mean) / (z[sample] - mean).norm(dim=0).clamp_min(1e-8) for z in (x, y))
            distance = torch.stack([(1 - (b[:, p : p + 1] * a).sum(0)) / 2 for p in range(b.shape[1])])
            weight = torch.exp((1 - distance / (distance.min(0).values + 1e-5)) / 0.5)
            expected -= float((weight / weight.sum(0)).max(1).values.mean().log()) / 2
    assert float(terms["contextual"]) == pytest.approx(0.1 * expected, rel=1e-4)


def test_an_edge_map_looks_to_the_vgg_like_a_grey_picture():
    edges, others = pictures(1)
    likeness = Likeness("vgg16")
    (found,) = likeness.terms(edges, others, perceptual=1.0, contextual=0.0).values()
    grey = likeness.terms(edges.expand(-1, 3, -1, -1), others.expand(-1, 3, -1, -1), perceptual=1.0, contextual=0.0)
    assert float(found) == pytest.approx(float(grey["perceptual"]), rel=1e-6)
    assert likeness.terms(edges, others, perceptual=0.0, contextual=0.0) == {}


def test_reading_the_vgg_leaves_the_dice_alone():
    ours, theirs = pictures(3)
    before = torch.get_rng_state()
    Likeness("vgg16").terms(ours, theirs, perceptual=1.0, contextual=0.0)
    assert torch.equal(torch.get_rng_state(), before)
