"""Our pose network: an EfficientNet-Lite0 pyramid as a base network of openpifpaf, with its CIF and CAF heads.

The encoder's features at strides 8, 16 and 32 are brought to one width and added from coarse to fine, so the fields
have stride 8: a person is only some 200 pixels high in a picture of 176x256, and openpifpaf's usual stride of 16 would
leave few cells to a forearm.
"""

from typing import Any

import openpifpaf
import timm
import torch
from openpifpaf.network import basenetworks, nets
from openpifpaf.plugins.coco import constants as coco
from torch import Tensor, nn
from torch.nn import functional

from models.detectors import lite0

NAME = "lite0pyramid"
STRIDE = 8
WIDTH = 128

# openpifpaf hands pictures over as (x / 255 - mean) / std.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Lite0Pyramid(basenetworks.BaseNetwork):
    """(B, width, H', W') features at stride 8 from openpifpaf's normalised (B, 3, H, W); H' = ceil(H / 8)."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(NAME, stride=STRIDE, out_features=width)
        self.encoder = timm.create_model(lite0.TIMM_NAME, pretrained=False, features_only=True, out_indices=(2, 3, 4))
        channels = self.encoder.feature_info.channels()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.mix = nn.ModuleList(_separable(width) for _ in channels)
        # openpifpaf's normalisation is undone and the encoder's own applied: one multiplication, one addition.
        scale = torch.tensor(_STD).view(1, 3, 1, 1) * 255 / lite0.PIXEL_STD
        shift = (torch.tensor(_MEAN).view(1, 3, 1, 1) * 255 - lite0.PIXEL_MEAN) / lite0.PIXEL_STD
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The finest level, which the coarser ones have been added to."""
        levels = self.encoder(x * self.scale + self.shift)
        merged = self.mix[-1](self.lateral[-1](levels[-1]))
        for level in range(len(levels) - 2, -1, -1):
            fine = self.lateral[level](levels[level])
            # Cells of odd-sized maps line up at the corners, as the pixels do that they stand for.
            coarse = functional.interpolate(merged, size=fine.shape[2:], mode="bilinear", align_corners=True)
            merged = self.mix[level](fine + coarse)
        return merged


def _separable(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU6(inplace=True),
    )


def head_metas() -> list[Any]:
    """The two fields of openpifpaf for the 17 joints of COCO: where joints are (CIF), which belong together (CAF)."""
    common = {"keypoints": coco.COCO_KEYPOINTS, "sigmas": coco.COCO_PERSON_SIGMAS, "pose": coco.COCO_UPRIGHT_POSE}
    return [
        openpifpaf.headmeta.Cif(
            "cif",
            "cocokp",
            draw_skeleton=coco.COCO_PERSON_SKELETON,
            score_weights=coco.COCO_PERSON_SCORE_WEIGHTS,
            **common,
        ),
        openpifpaf.headmeta.Caf("caf", "cocokp", skeleton=coco.COCO_PERSON_SKELETON, **common),
    ]


def build(description: dict[str, Any]) -> nets.Shell:
    """The untrained network that `description` (`base`, `width`) names, in evaluation; ValueError for another base.

    A `base` of openpifpaf's own (`shufflenetv2k16`, ...) is built as openpifpaf does.
    """
    # What the plug-in `openpifpaf_lite0pyramid` registers, in the width of these weights.
    openpifpaf.BASE_FACTORIES[NAME] = lambda: Lite0Pyramid(int(description.get("width", WIDTH)))
    base = description["base"]
    if base not in openpifpaf.BASE_FACTORIES:
        raise ValueError(f"base network '{base}' is not one of {', '.join(sorted(openpifpaf.BASE_FACTORIES))}")
    return openpifpaf.network.Factory(base_name=base, checkpoint=None).factory(head_metas=head_metas())[0]
