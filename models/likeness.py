"""How unlike two pictures look to a frozen VGG: the perceptual and the contextual loss of ADGAN and SCA-GAN."""

from pathlib import Path

import torch
from torch import Tensor

from models.features import Trunk, layer_index, to_imagenet
from models.losses import contextual as contextual_loss
from models.losses import perceptual as perceptual_loss

PERCEPTUAL_TAP = "relu1_2"
CONTEXTUAL_TAPS = ("relu3_2", "relu4_2")


class Likeness:
    """The two losses with their weights; the VGG is read when it is first needed, and is no part of any state."""

    def __init__(self, kind: str, weights: str = "") -> None:
        """`kind` is vgg16, which comes with a package, or vgg19, whose file is at `weights`."""
        self.kind = kind
        self.weights = Path(weights) if kind == "vgg19" else None
        self._trunk: Trunk | None = None

    def trunk(self, like: Tensor) -> Trunk:
        """The VGG, on the device of `like`."""
        if self._trunk is None:
            layers = layer_index(self.kind, CONTEXTUAL_TAPS[-1]) + 1
            # The dice of the step go on as if the VGG had been there: a resumed training equals a straight one.
            with torch.random.fork_rng(devices=[]):
                self._trunk = Trunk(self.kind, layers=layers).load(self.weights)
        return self._trunk.to(like.device)

    def terms(self, output: Tensor, target: Tensor, *, perceptual: float, contextual: float) -> dict[str, Tensor]:
        """Those of the two terms whose weight is not 0, times their weight, of maps (B, C, H, W) in [-1, 1].

        Each of maps that are no pictures of three channels is looked at as a grey picture.
        """
        if output.shape[1] != 3:
            output, target = (maps.flatten(0, 1)[:, None].expand(-1, 3, -1, -1) for maps in (output, target))
        terms = {}
        if perceptual:
            ours, theirs = (
                self.trunk(output).taps(to_imagenet(image), [PERCEPTUAL_TAP])[0] for image in (output, target)
            )
            terms["perceptual"] = perceptual * perceptual_loss(ours, theirs)
        if contextual:
            ours_each, theirs_each = (self.trunk(output).taps(image, CONTEXTUAL_TAPS) for image in (output, target))
            terms["contextual"] = contextual * sum(map(contextual_loss, ours_each, theirs_each))
        return terms
