"""ADGAN's networks once more, as plain formulas from the published description, with weights and inputs to try them on.

Nothing of the project's own networks is used here but the shapes of their entries.
"""

import torch
from torch.nn import functional as F

from models.adgan import Generator
from models.discriminators import ResidualDiscriminator

CRITICS = {"adgan_d_pose": 21, "adgan_d_texture": 6}
DICE = torch.Generator().manual_seed(0)
UNREAD = ".norm.running_"


def convolved(state, key, x, *, stride=1, pad=0, mode="reflect"):
    x = F.pad(x, (pad,) * 4, mode=mode) if pad else x
    return F.conv2d(x, state[f"{key}.weight"], state.get(f"{key}.bias"), stride)


def linear(state, key, x):
    return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]


def normalised(x, over=(2, 3)):
    mean = x.mean(over, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(over, keepdim=True) + 1e-5).sqrt()


def munit_normalised(state, key, x):
    flat = x.flatten(1)
    mean = flat.mean(1)[:, None, None, None]
    deviation = ((flat - flat.mean(1, keepdim=True)).square().sum(1) / (flat.shape[1] - 1)).sqrt()[:, None, None, None]
    x = (x - mean) / (deviation + 1e-5)
    return x * state[f"{key}.gamma"][None, :, None, None] + state[f"{key}.beta"][None, :, None, None]


def pose_features(state, pose):
    x = convolved(state, "enc_content.model.0.conv", pose, pad=3)
    x = F.relu(normalised(x))
    for layer in (1, 2):
        x = F.relu(normalised(convolved(state, f"enc_content.model.{layer}.conv", x, stride=2, pad=1)))
    for block in range(8):
        key = f"enc_content.model.3.model.{block}.model"
        inner = F.relu(normalised(convolved(state, f"{key}.0.conv", x, pad=1)))
        x = x + normalised(convolved(state, f"{key}.1.conv", inner, pad=1))
    return x


def vgg_features(state, x):
    """Behind the ReLU of the first convolution of the blocks 1 to 4; no mean and deviation are taken out."""
    found = []
    for block in ((0, 2), (5, 7), (10, 12, 14, 16), (19,)):
        for layer in block:
            x = F.relu(convolved(state, f"enc_style.vgg.{layer}", x, pad=1, mode="constant"))
            if layer == block[0]:
                found.append(x)
        x = F.max_pool2d(x, 2)
    return found


def part_code(state, picture):
    seen, x = vgg_features(state, picture), picture
    for number, (stride, pad) in enumerate([(1, 3), (2, 1), (2, 1), (2, 1)]):
        x = F.relu(convolved(state, f"enc_style.conv{number + 1}.conv", x, stride=stride, pad=pad))
        x = torch.cat([x, seen[number]], 1)
    return convolved(state, "enc_style.model.1", x.mean((2, 3), keepdim=True)).flatten(1)


def adgan(state, pose, source, parsing):
    """The published generator; `parsing` in ADGAN's order."""
    code = torch.cat([part_code(state, source * parsing[:, part : part + 1]) for part in range(8)], 1)
    hidden = F.relu(linear(state, "mlp.model.0.fc", F.relu(linear(state, "fc.fc", code))))
    styles = linear(state, "mlp.model.2.fc", F.relu(linear(state, "mlp.model.1.fc", hidden)))
    x, at = pose_features(state, pose), 0
    for block in range(8):
        inner = x
        for half in range(2):
            shift, scale = (styles[:, at + k : at + k + 256, None, None] for k in (0, 256))
            key = f"dec.model.0.model.{block}.model.{half}.conv"
            inner, at = scale * normalised(convolved(state, key, inner, pad=1)) + shift, at + 512
            inner = F.relu(inner) if half == 0 else inner
        x = x + inner
    for layer in (2, 4):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = convolved(state, f"dec.model.{layer}.conv", x, pad=2)
        x = F.relu(munit_normalised(state, f"dec.model.{layer}.norm", x))
    return torch.tanh(convolved(state, "dec.model.5.conv", x, pad=3))


def critic(state, x):
    """The published discriminator; dropout does nothing in eval mode."""

    def norm(key, x):
        if f"{key}.running_mean" not in state:
            return normalised(x)
        mean, var, weight, bias = (
            state[f"{key}.{name}"][:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    second = 5 if "model.10.conv_block.5.weight" in state else 6
    x = F.relu(norm("model.2", convolved(state, "model.1", x, pad=3)))
    for layer in (4, 7):
        x = F.relu(norm(f"model.{layer + 1}", convolved(state, f"model.{layer}", x, stride=2, pad=1, mode="constant")))
    for block in (10, 11, 12):
        key = f"model.{block}.conv_block"
        inner = F.relu(norm(f"{key}.2", convolved(state, f"{key}.1", x, pad=1)))
        x = x + norm(f"{key}.{second + 1}", convolved(state, f"{key}.{second}", inner, pad=1))
    return x


def shapes_of(network):
    return {key: value.shape for key, value in network.state_dict().items()}


def critic_shapes(inputs, **kind):
    with torch.device("meta"):
        return shapes_of(ResidualDiscriminator(inputs, **kind))


with torch.device("meta"):
    GENERATOR_SHAPES = shapes_of(Generator(width=1.0, texture_vgg="vgg19"))


def lively(shapes):
    """Weights that keep the variance from layer to layer, so that every part of the input shows in the output."""
    state = {}
    for key, shape in shapes.items():
        draw = torch.randn(shape, generator=DICE)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1) or key.endswith("gamma"):
            state[key] = torch.rand(shape, generator=DICE) + 0.5
        else:
            state[key] = draw * ((2 / shape[1:].numel()) ** 0.5 if len(shape) > 1 else 0.1)
    for key in (key for key in shapes if UNREAD in key):  # as nobody updates them
        state[key] = torch.ones(shapes[key]) if key.endswith("var") else torch.zeros(shapes[key])
    return state


def empty(shapes):
    """Entries without memory, for what is told from names and shapes."""
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}


def doubled(state):
    return {key: value.double() for key, value in state.items()}


def inputs(height, width, batch=2):
    places = torch.randint(height * width, (batch, 18), generator=DICE)
    pose = torch.zeros(batch, 18, height * width).scatter_(2, places[..., None], 1.0).unflatten(2, (height, width))
    pose[0, 4] = 0  # a joint that is not seen
    labels = torch.randint(7, (batch, height // 4, width // 4), generator=DICE)  # and a part that nobody shows
    labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)
    source = torch.rand(batch, 3, height, width, generator=DICE) * 2 - 1
    return pose, source, F.one_hot(labels, 8).permute(0, 3, 1, 2).float()


def drawn(network, pose, source, parsing):
    with torch.no_grad():
        return network(pose=pose, source=source, parsing=parsing)


def worst(ours, theirs):
    return float((ours.double() - theirs.double()).abs().max())


def same(states, others):
    """The same entries, bit by bit."""
    equal = (torch.equal(value, others[key]) and value.dtype == others[key].dtype for key, value in states.items())
    return states.keys() == others.keys() and all(equal)
