"""SCA-GAN's networks once more, as plain formulas from the published description.

Nothing of the project's own networks is used here. `state` holds the entries of a checkpoint, of any width.
"""

import torch
from torch.nn import functional as F

from tests.models.published import convolved, normalised

DECODER = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
SIZES = ((8, 6), (16, 11), (16, 11), (32, 22), (64, 44), (128, 88), (256, 176))


def batch_normalised(state, key, x, *, is_training):
    mean, var = state[f"{key}.running_mean"], state[f"{key}.running_var"]
    if is_training:
        mean = x.mean((0, 2, 3))
        var = (x - mean[:, None, None]).square().mean((0, 2, 3))
    x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    return x * state[f"{key}.weight"][:, None, None] + state[f"{key}.bias"][:, None, None]


def transferred(state, edge, pose, crops, prefix="", *, is_training=False):
    """PCT-Net."""

    def norm(key, x):
        return batch_normalised(state, f"{prefix}{key}", x, is_training=is_training)

    def conv(key, x, **how):
        return convolved(state, f"{prefix}{key}", x, **how)

    x = torch.cat([edge, pose, crops], 1)
    x = F.relu(norm("prepro.2", conv("prepro.1", x, pad=3)))
    for layer in (0, 3):
        x = F.relu(norm(f"encoder.{layer + 1}", conv(f"encoder.{layer}", x, stride=2, pad=1, mode="constant")))
    for block in range(6):
        key = f"residual.{block}.conv_block"
        inner = F.relu(norm(f"{key}.2", conv(f"{key}.1", x, pad=1)))
        x = x + norm(f"{key}.6", conv(f"{key}.5", inner, pad=1))
    for layer in (0, 3):
        x = F.relu(norm(f"decoder.{layer + 1}", transposed(state[f"{prefix}decoder.{layer}.weight"], x)))
    return torch.tanh(conv("postpro.1", x, pad=3))


def transposed(weight, x):
    """Stride 2, padding 1, output padding 1: zeros between the pixels, then a convolution with the mirrored kernel."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, 2 * height, 2 * width)
    spread[:, :, ::2, ::2] = x
    return F.conv2d(F.pad(spread, (1, 1, 1, 1)), weight.transpose(0, 1).flip(2, 3))


def style_map(state, x):
    for number, layer in enumerate(("head_0", "down_0", "down_1", "down_2", "down_3", "down_4")):
        how = {"stride": 1, "pad": 3} if number == 0 else {"stride": 2, "pad": 1}
        first, skip = (
            F.relu(convolved(state, f"enc_style.{layer}.{part}.conv", x, **how)) for part in ("conv1", "skip")
        )
        x = F.relu(convolved(state, f"enc_style.{layer}.conv2.conv", first, pad=1)) + skip
    return x


def nearest(x, size):
    rows, columns = (torch.arange(to) * was // to for to, was in zip(size, x.shape[2:], strict=True))
    return x[:, :, rows][..., columns]


def bilinear(x, size):
    for axis, to in ((2, size[0]), (3, size[1])):
        was = x.shape[axis]
        place = ((torch.arange(to, dtype=torch.double) + 0.5) * was / to - 0.5).clamp(0, was - 1)
        low = place.floor().long()
        high, share = (low + 1).clamp_max(was - 1), (place - low)
        share = share[:, None] if axis == 2 else share
        x = x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share
    return x


def modulated(state, key, x, guide):
    hidden = F.relu(convolved(state, f"{key}.mlp_shared.0", nearest(guide, x.shape[2:]), pad=1, mode="constant"))
    gamma, beta = (convolved(state, f"{key}.mlp_{name}", hidden, pad=1, mode="constant") for name in ("gamma", "beta"))
    return F.leaky_relu(normalised(x) * (1 + gamma) + beta, 0.2)


def block(state, name, x, style, edge, pose):
    branches = []
    for number, letter, guide in ((1, "e", edge), (2, "p", pose)):
        inner = x
        for layer, seen in ((f"s{number}", style), (f"{letter}1", guide), (f"{letter}2", guide)):
            inner = modulated(state, f"{name}.norm_{layer}", inner, seen)
            inner = convolved(state, f"{name}.conv_{layer}", inner, pad=1, mode="constant")
        branches.append(inner)
    return branches[0] + branches[1]


def painted(state, source, edge, pose, z=None, sizes=SIZES):
    """IS-Net from the target's edges on."""
    style = style_map(state, source)
    if z is None:
        x = convolved(state, "fc", nearest(pose, sizes[0]), pad=1, mode="constant")
    else:
        x = (z @ state["fc.weight"].T + state["fc.bias"]).unflatten(1, (-1, 8, 6))
    for number, name in enumerate(DECODER):
        if number and sizes[number] != sizes[number - 1]:
            x = bilinear(x, sizes[number])
        x = block(state, name, x, style, edge, pose)
    return torch.tanh(convolved(state, "conv_img", F.leaky_relu(x, 0.2), pad=1, mode="constant"))


def scagan(state, source, edge, pose, crops, z=None):
    """Both networks: the predicted edges, and the picture."""
    predicted = transferred(state, edge, pose, crops, "edge_generator.model_edge.")
    return predicted, painted(state, source, predicted, pose, z)
