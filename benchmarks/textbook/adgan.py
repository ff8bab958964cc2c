"""ADGAN as its publication describes it, step by step: what our `models/adgan.py` is timed against.

Eight masked pictures go through the texture encoder one after the other, the VGG of the encoder and of the contextual
loss runs to its last layer, the critics judge real and drawn pictures apart, and the generator's gradient is taken with
respect to everything. The entries of the state dict are the published ones, so ours can be loaded.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
_TAPS = (
    0,
    5,
    10,
    17,
)  # of vgg16: relu1_1, relu2_1, relu3_1, relu4_1, each a convolution and the ReLU in place behind it


def vgg16() -> nn.Sequential:
    """Torchvision's `features`, whole."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in _VGG16:
        if outputs == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inputs, int(outputs), 3, padding=1), nn.ReLU(inplace=False)]
            inputs = int(outputs)
    return nn.Sequential(*layers).requires_grad_(False)


def vgg_features(vgg: nn.Sequential, x: Tensor, wanted: tuple[int, ...]) -> list[Tensor]:
    """Outputs of the layers `wanted`, after the whole network has run."""
    found = {}
    for index, layer in enumerate(vgg):
        x = layer(x)
        found[index] = x
    return [found[index] for index in wanted]


class Conv2dBlock(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, norm: nn.Module | None, act: str
    ) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(padding)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm = norm
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pad(x))
        x = x if self.norm is None else self.norm(x)
        return {"relu": F.relu, "tanh": torch.tanh, "none": lambda y: y}[self.act](x)


class LayerNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(len(x), -1)
        mean, deviation = flat.mean(1)[:, None, None, None], flat.std(1)[:, None, None, None]
        return (x - mean) / (deviation + 1e-5) * self.gamma[:, None, None] + self.beta[:, None, None]


class AdaptiveInstanceNorm(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        count, channels = x.shape[:2]
        flat = x.contiguous().view(1, count * channels, *x.shape[2:])
        out = F.batch_norm(flat, None, None, self.weight, self.bias, training=True, eps=1e-5)
        return out.view_as(x)


class _Model(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ResBlock(_Model):
    def __init__(self, channels: int, norm: type[nn.Module]) -> None:
        super().__init__(
            Conv2dBlock(channels, channels, 3, 1, 1, norm(channels), "relu"),
            Conv2dBlock(channels, channels, 3, 1, 1, norm(channels), "none"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.model(x)


class StyleEncoder(nn.Module):
    def __init__(self, n: int, s: int) -> None:
        super().__init__()
        self.vgg = vgg16()
        self.conv1 = Conv2dBlock(3, n, 7, 1, 3, None, "relu")
        self.conv2 = Conv2dBlock(n + 64, 2 * n, 4, 2, 1, None, "relu")
        self.conv3 = Conv2dBlock(2 * n + 128, 4 * n, 4, 2, 1, None, "relu")
        self.conv4 = Conv2dBlock(4 * n + 256, 8 * n, 4, 2, 1, None, "relu")
        self.model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8 * n + 512, s, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = vgg_features(self.vgg, x, tuple(index + 1 for index in _TAPS))
        for conv, features in zip((self.conv1, self.conv2, self.conv3, self.conv4), seen, strict=True):
            x = torch.cat([conv(x), features], 1)
        return self.model(x)


class Linear(nn.Module):
    def __init__(self, inputs: int, outputs: int, has_relu: bool = True) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.has_relu = has_relu

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.fc(x)) if self.has_relu else self.fc(x)


class Generator(nn.Module):
    """`n` is 64 and `s` 64 in the published network."""

    def __init__(self, n: int, s: int) -> None:
        super().__init__()
        instance = nn.InstanceNorm2d
        self.enc_content = _Model(
            Conv2dBlock(18, n, 7, 1, 3, instance(n), "relu"),
            Conv2dBlock(n, 2 * n, 4, 2, 1, instance(2 * n), "relu"),
            Conv2dBlock(2 * n, 4 * n, 4, 2, 1, instance(4 * n), "relu"),
            _Model(*(ResBlock(4 * n, instance) for _ in range(8))),
        )
        self.enc_style = StyleEncoder(n, s)
        self.dec = _Model(
            _Model(*(ResBlock(4 * n, AdaptiveInstanceNorm) for _ in range(8))),
            nn.Upsample(scale_factor=2),
            Conv2dBlock(4 * n, 2 * n, 5, 1, 2, LayerNorm(2 * n), "relu"),
            nn.Upsample(scale_factor=2),
            Conv2dBlock(2 * n, n, 5, 1, 2, LayerNorm(n), "relu"),
            Conv2dBlock(n, 3, 7, 1, 3, None, "tanh"),
        )
        self.fc = Linear(8 * s, 8 * s)
        self.mlp = _Model(Linear(8 * s, 4 * n), Linear(4 * n, 4 * n), Linear(4 * n, 8 * 4 * 4 * n, has_relu=False))

    def forward(self, pose: Tensor, image: Tensor, parsing: Tensor) -> Tensor:
        codes = [self.enc_style(image * parsing[:, part : part + 1]) for part in range(8)]
        style = self.mlp(self.fc(torch.cat(codes, 1).flatten(1)))
        for module in self.dec.modules():
            if isinstance(module, AdaptiveInstanceNorm):
                channels = len(module.running_mean)
                module.bias = style[:, :channels].contiguous().view(-1)
                module.weight = style[:, channels : 2 * channels].contiguous().view(-1)
                style = style[:, 2 * channels :]
        return self.dec(self.enc_content(pose))


class _CriticBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.Dropout(0.5),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def critic(inputs: int, n: int) -> nn.Sequential:
    """PATN's discriminator."""
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(inputs, n, 7), nn.InstanceNorm2d(n), nn.ReLU(),
        nn.Conv2d(n, 2 * n, 3, 2, 1), nn.InstanceNorm2d(2 * n), nn.ReLU(),
        nn.Conv2d(2 * n, 4 * n, 3, 2, 1), nn.InstanceNorm2d(4 * n), nn.ReLU(),
        *(_CriticBlock(4 * n) for _ in range(3)),
    )  # fmt: skip


def contextual(output: Tensor, target: Tensor) -> Tensor:
    """The contextual loss of one layer, as ADGAN computes it."""
    mean = target.mean((0, 2, 3), keepdim=True)
    x, y = ((features - mean).flatten(2) for features in (output, target))
    x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    distance = (1 - torch.matmul(y.transpose(1, 2), x)) / 2
    relative = distance / (distance.min(1, keepdim=True)[0] + 1e-5)
    w = torch.exp((1 - relative) / 0.5)
    cx = w / w.sum(1, keepdim=True)
    return -torch.log(cx.max(2)[0].mean(1)).mean()


class TextbookAdgan(nn.Module):
    """All networks and losses; `step` is one training step."""

    def __init__(self, n: int = 64, s: int = 64, rate: float = 1e-3) -> None:
        super().__init__()
        self.generator = Generator(n, s)
        self.critic_pose, self.critic_texture = (nn.ModuleDict({"model": critic(inputs, n)}) for inputs in (21, 6))
        self.loss_vgg = vgg16()
        self.rate = rate

    def take(self, state: dict[str, Tensor], vgg: dict[str, Tensor]) -> None:
        """Our weights, with the layers of the VGG that ours leaves out."""
        whole = {f"generator.enc_style.vgg.{key}": value for key, value in vgg.items()}
        whole |= {f"loss_vgg.{key}": value for key, value in vgg.items()}
        self.load_state_dict(whole | state)
        self.optimisers = {
            name: torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=self.rate, betas=(0.5, 0.999))
            for name, net in self.named_children()
            if name != "loss_vgg"
        }

    def step(self, pose: Tensor, source: Tensor, parsing: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss terms; generator, then texture critic, then pose critic, with the published weights."""
        fake = self.generator(pose, source, parsing)
        judge_pose, judge_texture = self.critic_pose["model"], self.critic_texture["model"]
        gan = (F.mse_loss(*_and_ones(judge_pose(torch.cat([fake, pose], 1)))) +
               F.mse_loss(*_and_ones(judge_texture(torch.cat([fake, source], 1))))) / 2  # fmt: skip
        terms = {"gan": 5 * gan, "l1": F.l1_loss(fake, target)}
        terms["perceptual"] = self._perceptual(fake, target)
        terms["contextual"] = 0.1 * self._contextual(fake, target)
        self._update("generator", sum(terms.values(), torch.zeros(())))
        for name, judge, seen in (("texture", judge_texture, source), ("pose", judge_pose, pose)):
            on_real, on_fake = judge(torch.cat([target, seen], 1)), judge(torch.cat([fake.detach(), seen], 1))
            real, drawn = F.mse_loss(*_and_ones(on_real)), F.mse_loss(on_fake, torch.zeros_like(on_fake))
            terms[f"critic_{name}"] = 5 * 0.5 * (real + drawn)
            self._update(f"critic_{name}", terms[f"critic_{name}"])
        return {name: term.detach() for name, term in terms.items()}

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimisers[name].zero_grad()
        loss.backward()
        self.optimisers[name].step()

    def _perceptual(self, fake: Tensor, target: Tensor) -> Tensor:
        mean, std = (fake.new_tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        ours, theirs = (self.loss_vgg[:4](((image + 1) / 2 - mean) / std) for image in (fake, target))
        return F.l1_loss(ours, theirs)

    def _contextual(self, fake: Tensor, target: Tensor) -> Tensor:
        ours, theirs = (vgg_features(self.loss_vgg, image, (13, 20)) for image in (fake, target))
        return contextual(ours[0], theirs[0]) + contextual(ours[1], theirs[1])


def _and_ones(scores: Tensor) -> tuple[Tensor, Tensor]:
    return scores, torch.ones_like(scores)
