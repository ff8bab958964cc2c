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
    `edge_px` on the longer side for the network, `batch` at a time; in float32 or bfloat16 (`precision`) on the CPU: a
    picture's labels depend on nothing but the picture. ValueError names the file that does not fit.
    """

    def __init__(
        self,
        weights: Path | str = SHIPPED,
        *,
        vocabulary: str = "ours",
        threads: int = 1,
        batch: int = 4,
        edge_px: int = 256,
        precision: str = "float32",
    ) -> None:
        if vocabulary not in labels.MERGE:
            raise ValueError(f"vocabulary '{vocabulary}' is not one of {', '.join(labels.MERGE)}")
        self.vocabulary, self.threads, self.batch, self.edge_px = vocabulary, threads, batch, edge_px
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
        scaled = [fit_edge(picture, self.edge_px) for picture in pictures]
        maps: list[labels.LabelMap] = [np.zeros((0, 0), np.uint8)] * len(pictures)
        with torch_threads(self.threads), torch.inference_mode():
            for positions in same_size_batches([picture.shape for picture in scaled], self.batch):
                images = [torch.from_numpy(np.array(scaled[i])).permute(2, 0, 1).float() for i in positions]
                scores = scores_of(self._network, (fill(images, self.batch) - self._mean) / self._std, self._reduce)
                for position, found in zip(positions, scores.argmax(dim=1).numpy().astype(np.uint8), strict=False):
                    height, width = pictures[position].shape[:2]
                    sized = Image.fromarray(found).resize((width, height), Image.Resampling.NEAREST)
                    maps[position] = labels.merge(np.asarray(sized), self.vocabulary)
        return maps


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
