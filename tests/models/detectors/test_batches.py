"""What makes the networks fast changes no result, or only what its name says."""

import numpy as np
import pytest
import torch
from torch import nn

from models.detectors import parsing, storage
from models.detectors.batches import Bfloat16, fused
from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector
from pipeline.people import skeleton


class Crossed(nn.Module):
    """Its batch norm is listed after the second convolution, but stands before the first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Conv2d(3, 3, 3), nn.Conv2d(3, channels, 1), nn.BatchNorm2d(3)
        self.norm.running_mean.fill_(0.5)
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(self.norm(x)))


def test_batch_norms_go_into_the_convolutions():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), norm, nn.ReLU()).eval()
    x = torch.randn(2, 3, 9, 7)
    quick = fused(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    assert isinstance(network[1], nn.BatchNorm2d)
    with torch.inference_mode():
        torch.testing.assert_close(quick(x), network(x))


@pytest.mark.parametrize("channels", [3, 4])
def test_a_network_in_another_order_is_left_as_it_is(channels):
    network = Crossed(channels)
    x = torch.randn(1, 3, 12, 12)
    with torch.inference_mode():
        torch.testing.assert_close(fused(network)(x), network(x))


def test_labels_are_those_of_the_plain_network(parser, unseen):
    """The network as segmentation_models_pytorch builds it, one picture at a time."""
    weights, description = storage.read(parsing.SHIPPED)
    network = parsing.build(description).eval()
    network.load_state_dict(weights)
    for image, found in zip(unseen.images, parser.parse(unseen.images), strict=True):
        x = (torch.from_numpy(image).permute(2, 0, 1)[None].float() - 127) / 128
        with torch.inference_mode():
            plain = parsing.scores_of(network, x, description["reduce"]).argmax(1)[0].numpy()
        assert (plain == found).mean() > 0.9999


def test_joints_are_those_of_the_plain_network(detector, unseen):
    plain = PoseDetector(batch=8)
    plain._predictor.model.to(memory_format=torch.contiguous_format)
    for found, expected in zip(detector.detect(unseen.images), plain.detect(unseen.images), strict=True):
        np.testing.assert_array_equal(found[0].joints, expected[0].joints)


@pytest.mark.parametrize(("precision", "mostly_px", "most_px"), [("fused", 0, 2 / 64), ("bfloat16", 0.25, 4)])
def test_a_faster_precision_moves_joints_a_little(detector, unseen, precision, mostly_px, most_px):
    quick = PoseDetector(precision=precision).detect(unseen.images)
    for found, expected in zip(quick, detector.detect(unseen.images), strict=True):
        there = skeleton.is_present(expected[0].joints)
        if precision == "fused":
            np.testing.assert_array_equal(skeleton.is_present(found[0].joints), there)
        both = there & skeleton.is_present(found[0].joints)
        assert both.sum() >= 0.9 * there.sum()
        moved_px = np.abs(found[0].joints - expected[0].joints)[both, :2]
        assert np.median(moved_px) <= mostly_px
        assert moved_px.max() <= most_px


def test_bfloat16_labels_are_nearly_the_same(parser, unseen):
    quick = Parser(precision="bfloat16").parse(unseen.images)
    for found, expected in zip(quick, parser.parse(unseen.images), strict=True):
        assert (found == expected).mean() > 0.99


def test_float32_comes_out_of_bfloat16():
    output = Bfloat16(nn.Conv2d(3, 4, 1))(torch.ones(1, 3, 5, 5))
    assert output.dtype == torch.float32


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="precision 'half' is not one of float32, fused, bfloat16"):
        PoseDetector(precision="half")
    with pytest.raises(ValueError, match="precision 'half' is not one of float32, bfloat16"):
        Parser(precision="half")
