"""Stage train_parsing: our parser from rendered people and, where there are some, photographs with label maps.

Run as `python -m models.detectors.train_parsing`.
"""

import math

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.detectors import examples, lite0, parsing, settings, storage, training
from models.detectors.training import Sample
from pipeline.people import labels as vocabulary
from pipeline.people import skeleton


def as_tensors(image: NDArray[np.uint8], joints: skeleton.Joints, labels: NDArray[np.uint8]) -> Sample:
    """(3, H, W) uint8 and (H, W) int64; `joints` play no part."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1), torch.from_numpy(labels.astype(np.int64))


class Loss:
    """Cross entropy plus dice: the first for every pixel, the second so that a rare label counts like any other."""

    def __init__(self) -> None:
        self.dice = smp.losses.DiceLoss("multiclass", smooth=1.0)
        self.entropy = smp.losses.SoftCrossEntropyLoss(smooth_factor=0.0)

    def __call__(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        """The mean over one batch of `as_tensors`."""
        picture, labels = batch
        scores = parsing.scores_of(network, lite0.normalise(picture.float()), parsing.DESCRIPTION["reduce"])
        loss: Tensor = self.entropy(scores, labels) + self.dice(scores, labels)
        return loss


def is_encoder(name: str) -> bool:
    """Whether a parameter belongs to the pretrained encoder."""
    return name.startswith("encoder.")


def main() -> None:
    """Write weights/parsing.safetensors."""
    params, here = settings.read(), settings.HERE
    torch.set_num_threads(1)
    knobs = params.train_parsing
    data = examples.for_training(here / "data/rendered.h5", here / "data/photographs.h5", params.held_out)
    data = data.choose(np.flatnonzero(data.has_labels))
    network = parsing.build(parsing.DESCRIPTION)
    if knobs.start is None:
        lite0.load_imagenet(network.encoder.model)
    else:
        network.load_state_dict(storage.read(here / knobs.start)[0])
    weights = training.fit(
        network,
        Loss(),
        training.Stream(data, knobs, params.strength, as_tensors),
        knobs,
        is_encoder=is_encoder,
        state_file=here / ".cache" / "train_parsing.pt",
        curves=here / "curves" / "parsing",
    )
    # Skirts were drawn that many times too often: what the network believes of them beforehand is put right.
    weights["segmentation_head.0.bias"][vocabulary.SKIRT] -= math.log(knobs.skirts)
    storage.save(here / "weights" / "parsing.safetensors", weights, parsing.DESCRIPTION)


if __name__ == "__main__":
    main()
