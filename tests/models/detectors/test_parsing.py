import json
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from models.detectors import parsing, storage
from models.detectors.parsing import Parser
from models.metrics import extraction
from pipeline.people import labels


def test_unseen_rendered_people_are_labelled(parser, unseen):
    true = [figure.labels for figure in unseen.figures]
    persons = [figure.person for figure in unseen.figures]
    assert extraction.score_labels(parser.parse(unseen.images), true, persons)["value"] >= 0.75


def test_same_input_same_output_and_company_does_not_matter(parser, unseen):
    together = parser.parse(unseen.images)
    assert all(np.array_equal(a, b) for a, b in zip(together, parser.parse(unseen.images), strict=True))
    alone = [parser.parse([image])[0] for image in unseen.images]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
    mixed = parser.parse([unseen.images[0][:200], *unseen.images[::-1], *unseen.images[:2]])
    assert all(np.array_equal(a, b) for a, b in zip(mixed[1:7], together[::-1], strict=True))


@pytest.mark.parametrize("size", [(256, 176), (128, 64), (500, 333), (31, 77)])
def test_a_map_has_the_size_of_its_picture(parser, size):
    (labels,) = parser.parse([np.full((*size, 3), 200, np.uint8)])
    assert labels.shape == size
    assert labels.dtype == np.uint8
    assert labels.max() <= 7


def test_nothing_in_a_black_picture(parser):
    (labels,) = parser.parse([np.zeros((256, 176, 3), np.uint8)])
    assert (labels == 0).mean() > 0.98


def foreign_network(folder: Path, classes: int) -> Path:
    """A small network of smp as its users save one: tensors, and a config.json beside them."""
    torch.manual_seed(0)
    config = {"encoder_name": "mobileone_s0", "classes": classes, "decoder_channels": [32, 16, 16, 8, 8]}
    network = smp.Unet(encoder_weights=None, **config)
    (folder / "config.json").write_text(json.dumps({"_model_class": "Unet"} | config))
    save_file(network.state_dict(), folder / "model.safetensors")
    torch.save({"state_dict": network.state_dict()}, folder / "model.pt")
    return folder / "model.safetensors"


def test_a_network_of_another_vocabulary_is_merged_into_ours(tmp_path: Path, unseen):
    path = foreign_network(tmp_path, classes=20)
    labels = Parser(path, vocabulary="lip", batch=1).parse(unseen.images[:1])[0]
    assert labels.max() <= 7
    assert np.array_equal(
        labels, Parser(path.with_suffix(".pt"), vocabulary="lip", batch=1).parse(unseen.images[:1])[0]
    )
    # The same answer as smp's own network, run by hand in the same way.
    network = smp.Unet(
        encoder_weights=None, encoder_name="mobileone_s0", classes=20, decoder_channels=[32, 16, 16, 8, 8]
    )
    network.load_state_dict(torch.load(path.with_suffix(".pt"), weights_only=True)["state_dict"])
    pixels = torch.from_numpy(unseen.images[0]).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    padded = torch.nn.functional.pad((pixels - mean) / std, (0, 16))
    with torch.no_grad():
        raw = network.eval()(padded).argmax(1)[0, :, :176].numpy()
    table = np.array([0, 1, 1, 6, 2, 3, 3, 3, 7, 4, 3, 3, 5, 2, 6, 6, 7, 7, 7, 7])
    assert (table[raw] == labels).mean() > 0.999


def test_the_number_of_labels_must_be_the_vocabulary_s(tmp_path: Path):
    path = foreign_network(tmp_path, classes=20)
    with pytest.raises(ValueError, match=r"model\.safetensors: 20 labels, but the vocabulary 'atr' has 18"):
        Parser(path, vocabulary="atr")
    with pytest.raises(ValueError, match="vocabulary 'fashion' is not one of"):
        Parser(path, vocabulary="fashion")


def test_weights_that_do_not_fit_are_named(tmp_path: Path):
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(2)}, bare)
    with pytest.raises(ValueError, match=r"bare\.safetensors: says nothing of its network"):
        Parser(bare)
    wrong = tmp_path / "wrong.safetensors"
    storage.save(wrong, {"a": torch.zeros(2)}, parsing.DESCRIPTION)
    with pytest.raises(ValueError, match=r"wrong\.safetensors: the weights do not fit"):
        Parser(wrong)
    with pytest.raises(ValueError, match="has no such network: Vnet"):
        parsing.build({"_model_class": "Vnet", "encoder_name": "mobileone_s0", "classes": 8})


def test_with_its_mirror_image_a_picture_and_its_mirror_image_give_mirrored_labels(parser, unseen):
    both = Parser(flip_test=True)
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in unseen.images[:2]]
    for there, turned in zip(both.parse(unseen.images[:2]), both.parse(mirrored), strict=True):
        assert (there == turned[:, ::-1]).mean() > 0.999
    alone = zip(parser.parse(unseen.images[:2]), parser.parse(mirrored), strict=True)
    assert all((there == turned[:, ::-1]).mean() < 0.999 for there, turned in alone)


def test_several_scales_and_mirror_images_still_label_people(unseen):
    several = Parser(edges_px=(256, 320), flip_test=True)
    together = several.parse(unseen.images)
    assert all(
        np.array_equal(several.parse([image])[0], each) for image, each in zip(unseen.images, together, strict=True)
    )
    true = [figure.labels for figure in unseen.figures]
    assert extraction.score_labels(together, true, [figure.person for figure in unseen.figures])["value"] >= 0.75


def test_labels_of_both_sides_count_as_one_when_mirrored(tmp_path: Path):
    """Pixels are a face with 39 %, a left arm with 33 % and a right arm with 28 %: with both sides in one, an arm."""
    weights, description = storage.read(parsing.SHIPPED)
    head = {name: value for name, value in weights.items() if name.startswith("segmentation_head")}
    for name, value in head.items():
        shape = (len(labels.MERGE["lip"]), *value.shape[1:])
        weights[name] = torch.zeros(shape)
    bias = next(name for name in head if name.endswith("bias"))
    weights[bias][14], weights[bias][15], weights[bias][13] = (float(np.log(p)) for p in (0.30, 0.25, 0.35))
    weights[bias][[n for n in range(20) if n not in (13, 14, 15)]] = -20.0
    path = tmp_path / "sides.safetensors"
    storage.save(path, weights, description | {"classes": 20})
    picture = [np.full((256, 176, 3), 100, np.uint8)]
    assert (Parser(path, vocabulary="lip").parse(picture)[0] == labels.FACE).all()
    assert (Parser(path, vocabulary="lip", flip_test=True).parse(picture)[0] == labels.ARM).all()
