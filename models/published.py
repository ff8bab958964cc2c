"""The published networks whose checkpoints are read and written: what each is, and what of ours it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from models.adgan import Generator
from models.discriminators import Norm, ResidualDiscriminator
from models.scagan_networks import Generator as ScaganGenerator
from models.scagan_networks import PriorTransfer
from models.spt_networks import Appearance, PublishedAppearance
from pipeline.people.skeleton import JOINTS


class AdganGenerator(Generator):
    """ADGAN's generator as published: the parsing in ADGAN's order of labels, the pose as it was trained, as deltas."""

    def __init__(self) -> None:
        super().__init__(width=1.0, texture_vgg="vgg19", pooling="picture")

    def forward(self, pose: Tensor, source: Tensor, parsing: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1]: pose (B, 18, H, W) in 0..1, source in [-1, 1], parsing (B, 8, H, W) one-hot."""
        return super().forward(pose, source, parsing)


@dataclass(frozen=True)
class Original:
    """A published network: its variants, and which part of which system of this project it is."""

    title: str
    variants: tuple[Callable[[], nn.Module], ...]
    kind: type[nn.Module]
    method: str
    part: str
    # What the system must be set to for its weights to be the original's.
    settings: Mapping[str, Any]
    # What else to set when a system is made of released weights: how these were trained.
    trained_with: Mapping[str, Any] = field(default_factory=dict)
    # Settings that the variants differ in; each is an attribute of the network.
    tells: tuple[str, ...] = ()
    # Beginnings of names under which the checkpoint holds entries once more, and of those they repeat.
    twins: Mapping[str, str] = field(default_factory=dict)
    # The linear layer that reads one block of numbers per label, and whose order of labels that is.
    reads_labels: str = ""
    labels: str = "ours"


def _discriminators(inputs: int) -> tuple[Callable[[], nn.Module], ...]:
    """DeepFashion's and Market-1501's (batch norm); each without dropout too, which moves the second convolution."""
    norms: tuple[Norm, ...] = ("instance", "batch")
    make = partial(ResidualDiscriminator, inputs, width=1.0)
    return tuple(partial(make, norm=norm, dropout=dropout) for norm in norms for dropout in (True, False))


_SCAGAN = {"width": 1.0, "content": "edges", "prior_transfer": True}
_PUBLISHED_SIZE = (256, 176)
_STYLE_LAYERS = ("head_0", *(f"down_{number}" for number in range(5)))

ORIGINALS = {
    "adgan": Original(
        "ADGAN's generator (netG)",
        (AdganGenerator,),
        AdganGenerator,
        method="adgan",
        part="generator",
        settings={"width": 1.0, "texture_vgg": "vgg19", "pooling": "picture"},
        trained_with={"scale": 1.0, "pose_map": "delta", "first_weights": "original"},
        reads_labels="fc.fc.weight",
        labels="adgan",
    ),
    "adgan_d_pose": Original(
        "the pose discriminator of ADGAN and PATN (netD_PB, 21 input channels)",
        _discriminators(3 + len(JOINTS)),
        ResidualDiscriminator,
        method="adgan",
        part="critic_pose",
        settings={"width": 1.0},
    ),
    "adgan_d_texture": Original(
        "the texture discriminator of ADGAN and PATN (netD_PP, 6 input channels)",
        _discriminators(6),
        ResidualDiscriminator,
        method="adgan",
        part="critic_texture",
        settings={"width": 1.0},
    ),
    "spt_appearance": Original(
        "SPT's appearance generator (H_A)",
        (PublishedAppearance,),
        Appearance,
        method="spt",
        part="appearance",
        settings={"width": 1.0, "mode": "e2e"},
        trained_with={"scale": 1.0, "compat": "original"},
    ),
    "scagan_pct": Original(
        "SCA-GAN's PCT-Net (netG of scagan_pctnet)",
        (PriorTransfer,),
        PriorTransfer,
        method="scagan",
        part="generator.edge_generator.model_edge",
        settings=_SCAGAN,
    ),
    "scagan_pct_d_pose": Original(
        "the pose discriminator of PCT-Net (netD_PB, 19 input channels)",
        _discriminators(1 + len(JOINTS)),
        ResidualDiscriminator,
        method="scagan",
        part="prior_critic_pose",
        settings=_SCAGAN,
    ),
    "scagan_pct_d_source": Original(
        "the source discriminator of PCT-Net (netD_PP, 2 input channels)",
        _discriminators(2),
        ResidualDiscriminator,
        method="scagan",
        part="prior_critic_source",
        settings=_SCAGAN,
    ),
    "scagan": Original(
        "SCA-GAN's IS-Net (netG of scagan_isnet)",
        tuple(partial(ScaganGenerator, start=start, size=_PUBLISHED_SIZE) for start in ("noise", "pose")),
        ScaganGenerator,
        method="scagan",
        part="generator",
        settings=_SCAGAN | {"block": "content_style", "encoder_norm": "none"},
        trained_with={"scale": 1.0, "compat": "original", "sigma_px": 12.0, "crop_radius_px": 20},
        tells=("start",),
        twins={f"enc_style.model.{number}.": f"enc_style.{layer}." for number, layer in enumerate(_STYLE_LAYERS)},
    ),
    "scagan_d_pose": Original(
        "the pose discriminator of IS-Net (netD_PB, 21 input channels)",
        _discriminators(3 + len(JOINTS)),
        ResidualDiscriminator,
        method="scagan",
        part="critic_pose",
        settings={"width": 1.0},
    ),
    "scagan_d_texture": Original(
        "the texture discriminator of IS-Net (netD_PP, 6 input channels)",
        _discriminators(6),
        ResidualDiscriminator,
        method="scagan",
        part="critic_texture",
        settings={"width": 1.0},
    ),
}
