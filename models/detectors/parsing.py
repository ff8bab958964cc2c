"""Eight labels for every pixel of a picture of a person, by a network of segmentation_models_pytorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from models.detectors import lite0, storage
from models.detectors.batches import Bfloat16, Picture, fill, fit_edge, fused, same_size_batches, torch_threads
from pipeline.errors import UserError
from pipeline.people import labels

SHIPPED = Path(__file__).parent / "weights" / "parsing.safetensors"

# The description of our own network, in the words of segmentation_models_pytorch.
DESCRIPTION: dict[str, Any] = {
    "_model_class": "Unet",
    "encoder_name": f"tu-{lite0.TIMM_NAME}",
    "decoder_channels": [96, 64, 48, 32, 16],
    "classes": len(labels.LABELS),
    "mean": [lite0.PIXEL_MEAN / 255] * 3,
    "std": [lite0.PIXEL_STD / 255] * 3,
    # How many times smaller than the picture the network sees it: 1.25 would take two thirds of the time.
    "reduce": 1,
}

PRECISIONS = ("float32", "bfloat16")

# Every encoder of segmentation_models_pytorch halves the picture five times.
MULTIPLE = 32


class Parser:
    """Labels pictures with the network in `weights`, which knows the labels of `vocabulary` (a key of `labels.MERGE`).

    `weights` is a safetensors file of ours, or of any network of segmentation_models_pytorch with its `config.json` (or
    `<name>.json`) beside it; `mean` and `std` there are ImageNet's unless given, `reduce` is 1. Pictures are scaled to
    each of `edges_px` on the longer side for the network, `batch` at a time; in float32 or bfloat16 (`precision`) on
    the CPU; with `flip_test` it sees their mirror images too, and the mean of its answers counts. A picture's labels
    depend on nothing but the picture. ValueError names the file that does not fit.
    """

    def __init__(
        self,
        weights: Path | str = SHIPPED,
        *,
        vocabulary: str = "ours",
        threads: int = 1,
        batch: int = 4,
        edges_px: Sequence[int] = (256,),
        flip_test: bool = False,
        precision: str = "float32",
    ) -> None:
        if vocabulary not in labels.MERGE:
            raise ValueError(f"vocabulary '{vocabulary}' is not one of {', '.join(labels.MERGE)}")
        self.vocabulary, self.threads, self.batch = vocabulary, threads, batch
        self.edges_px, self.flip_test = tuple(edges_px), flip_test
        path = Path(weights)
        tensors, description = storage.read(path)
        classes, expected = description.get("classes"), len(labels.MERGE[vocabulary])
        if classes != expected:
            raise UserError(f"{path}: {classes} labels, but the vocabulary '{vocabulary}' has {expected}")
        try:
            self._network = build(description)
            self._network.load_state_dict(tensors)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{path}: the weights do not fit the network it describes: {error}") from error
        if precision not in PRECISIONS:
            raise ValueError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}")
        quick = fused(self._network.eval())
        self._network = Bfloat16(quick) if precision == "bfloat16" else quick
        self._reduce = float(description.get("reduce", 1))
        self._mean = torch.tensor(description.get("mean", (0.485, 0.456, 0.406))).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(description.get("std", (0.229, 0.224, 0.225))).view(1, 3, 1, 1) * 255

    def parse(self, pictures: Sequence[Picture]) -> list[labels.LabelMap]:
        """One map (H, W) uint8 of labels 0..7 for each RGB picture (H, W, 3) uint8, of the picture's size."""
        scaled = [[fit_edge(picture, edge_px) for edge_px in self.edges_px] for picture in pictures]
        maps: list[labels.LabelMap] = [np.zeros((0, 0), np.uint8)] * len(pictures)
        with torch_threads(self.threads), torch.inference_mode():
            for positions in same_size_batches(
                [sum((each.shape for each in looks), ()) for looks in scaled], self.batch
            ):
                for position, found in zip(positions, self._label([scaled[i] for i in positions]), strict=True):
                    height, width = pictures[position].shape[:2]
                    maps[position] = np.array(Image.fromarray(found).resize((width, height), Image.Resampling.NEAREST))
        return maps

    def _label(self, pictures: list[list[Picture]]) -> list[labels.LabelMap]:
        """The map of each picture, at the first of the sizes that it is given in."""
        scales = [self._scores(list(scale)) for scale in zip(*pictures, strict=True)]
        if self.flip_test:
            mirrored = ([each[:, ::-1] for each in scale] for scale in zip(*pictures, strict=True))
            scales += [self._scores(scale).flip(-1) for scale in mirrored]
        if len(scales) == 1:
            found = scales[0].argmax(dim=1).numpy().astype(np.uint8)
            return list(labels.merge(found, self.vocabulary))[: len(pictures)]
        size = scales[0].shape[2:]
        shares = sum(functional.interpolate(self._shares(scores), size=size, mode="bilinear") for scores in scales)
        return list(torch.as_tensor(shares).argmax(dim=1).numpy().astype(np.uint8))[: len(pictures)]

    def _shares(self, scores: Tensor) -> Tensor:
        """(B, 8, h, w): what the network gives each of our labels, 1 in all; they know no left and right."""
        table = torch.tensor(labels.MERGE[self.vocabulary])
        return scores.new_zeros(len(scores), len(labels.LABELS), *scores.shape[2:]).index_add(
            1, table, scores.softmax(dim=1)
        )

    def _scores(self, pictures: list[Picture]) -> Tensor:
        """(batch, classes, h, w) scores for at most `batch` pictures (h, w, 3) of one size."""
        images = [torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() for picture in pictures]
        return scores_of(self._network, (fill(images, self.batch) - self._mean) / self._std, self._reduce)


def build(description: dict[str, Any]) -> nn.Module:
    """The untrained network of a description; nothing is downloaded. ValueError if there is no such network."""
    own = {"mean", "std", "reduce"}
    options = {key: value for key, value in description.items() if not key.startswith("_") and key not in own}
    arch = str(description.get("_model_class", "Unet"))
    try:
        return smp.create_model(arch, **options | {"encoder_weights": None})
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"segmentation_models_pytorch has no such network: {arch} {options}: {error}") from error


def scores_of(network: nn.Module, x: Tensor, reduce: float) -> Tensor:
    """(B, classes, H, W) scores for normalised (B, 3, H, W) of any size, seen by the network `reduce` times smaller.

    Zeros are added at the right and below up to a multiple of what the network takes.
    """
    size = height, width = x.shape[2], x.shape[3]
    if reduce > 1:
        height, width = (max(1, round(length / reduce)) for length in size)
        x = functional.interpolate(x, size=(height, width), mode="bilinear", antialias=True)
    x = functional.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
    scores: Tensor = network(x.contiguous(memory_format=torch.channels_last))[:, :, :height, :width]
    return functional.interpolate(scores, size=size, mode="bilinear") if reduce > 1 else scores
