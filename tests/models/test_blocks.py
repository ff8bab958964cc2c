import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.blocks import AdaIN, LayerNorm, StyledResidualBlock, fitted, instance_norm, scaled


@given(st.sampled_from([64, 128, 256, 512]), st.floats(0.05, 2))
def test_scaled_channels_are_whole_blocks_of_eight_near_the_wanted_number(channels, width):
    assert scaled(channels, width) % 8 == 0
    assert abs(scaled(channels, width) - channels * width) <= max(4, 8 - channels * width)


def test_width_one_changes_nothing():
    assert scaled(3, 1.0) == 3


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm(features, layout):
    x = features.double().numpy()
    mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(instance_norm(features.contiguous(memory_format=layout)).numpy(), expected, atol=1e-5)


def test_layer_norm_has_unbiased_deviation_with_eps_outside_the_root(features):
    norm = LayerNorm(6, eps=0.1)
    torch.nn.init.normal_(norm.beta)
    x = features.double().numpy()
    mean, deviation = x.mean((1, 2, 3), keepdims=True), x.std((1, 2, 3), ddof=1, keepdims=True)
    gamma, beta = (values.detach().double().numpy()[:, None, None] for values in (norm.gamma, norm.beta))
    np.testing.assert_allclose(
        norm(features).detach().numpy(), (x - mean) / (deviation + 0.1) * gamma + beta, atol=1e-5
    )


def test_adain_gives_each_channel_the_asked_mean_and_deviation(features):
    scale, shift = torch.rand(2, 6) + 0.5, torch.randn(2, 6)
    out = AdaIN(6)(features, scale, shift)
    torch.testing.assert_close(out.mean((2, 3)), shift, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out.std((2, 3), correction=0), scale, atol=1e-4, rtol=1e-4)


def test_style_is_read_as_shift_then_scale_of_the_first_norm_then_of_the_second(features):
    block = StyledResidualBlock(6)
    shift1, scale1, shift2, scale2 = torch.randn(4, 2, 6)
    first, second = block.model
    expected = features + AdaIN(6)(
        second.conv(torch.relu(AdaIN(6)(first.conv(features), scale1, shift1))), scale2, shift2
    )
    torch.testing.assert_close(block(features, torch.cat([shift1, scale1, shift2, scale2], dim=1)), expected)


def test_maps_of_another_size_are_averaged_or_repeated():
    x = torch.rand(2, 3, 4, 6)
    assert fitted(x, (4, 6)) is x
    torch.testing.assert_close(fitted(x, (2, 3))[:, :, 1, 2], x[:, :, 2:, 4:].mean((2, 3)))
    torch.testing.assert_close(fitted(x, (8, 6)), x.repeat_interleave(2, 2))
