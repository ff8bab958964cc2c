"""The official networks, with weights that a user brings: ours must give what torch-fidelity and lpips themselves give."""

import lpips
import numpy as np
import pytest
import torch
import torch_fidelity
import torchvision
from PIL import Image
from torch_fidelity import feature_extractor_inceptionv3

from models.metrics.networks import Inception, Perceptual
from models.metrics.sets import frechet_distance, inception_score, kernel_distance, look

COUNT = 12


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """A file of random weights in torch-fidelity's form."""
    kind = feature_extractor_inceptionv3.FeatureExtractorInceptionV3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(kind, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = kind("inception-v3-compat", ["2048", "logits_unbiased"])
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of pictures, the second one brighter, and their arrays."""
    dice, found = np.random.default_rng(0), []
    for name, lift in (("generated", 0), ("real", 60)):
        folder = tmp_path_factory.mktemp(name)
        blocks = dice.integers(0, 190, (COUNT, 8, 6, 3)) + lift
        pictures = blocks.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{number:02d}.png")
        found.append((folder, pictures))
    return found


def test_sets_are_scored_as_torch_fidelity_scores_them(inception, folders):
    (generated, ours), (real, theirs) = folders
    expected = torch_fidelity.calculate_metrics(
        input1=str(generated), input2=str(real), fid=True, kid=True, isc=True, cuda=False, cache=False, verbose=False,
        feature_extractor_weights_path=str(inception), kid_subset_size=COUNT, rng_seed=0, save_cpu_ram=True,
    )  # fmt: skip
    network = Inception(inception)
    one, other = look(network, ours), look(network, theirs)
    assert kernel_distance(one, other) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-3, abs=1e-9)
    assert inception_score(one) == pytest.approx(expected["inception_score_mean"], rel=1e-5)
    # torch-fidelity takes the root of a singular matrix.
    assert frechet_distance(one, other) == pytest.approx(expected["frechet_inception_distance"], rel=1e-2)


def test_lpips_is_the_packages_own(tmp_path, folders, monkeypatch):
    torch.manual_seed(0)
    alexnet = torchvision.models.alexnet(weights=None)
    torch.save(alexnet.state_dict(), tmp_path / "alexnet.pth")
    monkeypatch.setattr(lpips.pretrained_networks.tv, "alexnet", lambda *_, **__: alexnet)
    package = lpips.LPIPS(net="alex", version="0.1", verbose=False).eval()
    one, other = (torch.from_numpy(pictures[:3]).permute(0, 3, 1, 2).float() / 127.5 - 1 for _, pictures in folders)
    with torch.no_grad():
        expected = package(one, other).flatten()
    monkeypatch.undo()
    network = Perceptual(tmp_path / "alexnet.pth")
    assert network.name == "lpips"
    torch.testing.assert_close(network(one, other), expected, rtol=1e-5, atol=1e-7)
    assert float(expected.min()) > 0
