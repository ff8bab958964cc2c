"""Label maps as users have them."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadItem
from pipeline.people import labels
from pipeline.sources.label_maps import decode_labels

MAP = np.arange(24, dtype=np.uint8).reshape(4, 6) % 20


def png(array, mode=None):
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (png(MAP), "labels/a.png"),
        (npy(MAP), "labels/a.npy"),
        (npy(MAP.astype(np.int64)), "labels/a.NPY"),
        (npy(MAP.astype(np.float32)), "labels/a.npy"),
    ],
)
def test_png_and_npy_are_merged(data, path):
    found = decode_labels(data, path, vocabulary="cihp", size=(6, 4))
    np.testing.assert_array_equal(found, np.array(labels.MERGE["cihp"], np.uint8)[MAP])


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (png(MAP), "labels/a.png", "label 8 is not in the vocabulary 'ours'"),
        (png(np.zeros((4, 6, 3), np.uint8)), "labels/a.png", "not RGB"),
        (png(MAP % 8)[:40], "labels/a.png", ""),
        (b"", "labels/a.png", ""),
        (b"", "labels/a.npy", ""),
        (npy(np.zeros((4, 6, 18))), "a.npy", "two dimensions, not \\(4, 6, 18\\)"),
        (npy(np.full((4, 6), 0.5)), "a.npy", "whole numbers"),
        (npy(np.full((4, 6), np.nan)), "a.npy", "whole numbers"),
        (npy(np.full((4, 6), -1)), "a.npy", "-1 is no label"),
        (npy(np.full((4, 6), 256)), "a.npy", "256 is no label"),
        (npy(np.array([[{"a": 1}]], object)), "a.npy", "not object"),
    ],
)
def test_what_is_no_label_map_is_named_with_a_remedy(data, path, reason):
    with pytest.raises(BadItem, match=rf"^{path}: .*{reason}.*ingest.vocabulary"):
        decode_labels(data, path, vocabulary="ours", size=(6, 4))


def test_another_size_names_both():
    with pytest.raises(BadItem, match=r"a.png: the label map is 6x4, its picture 6x5"):
        decode_labels(png(MAP), "a.png", vocabulary="lip", size=(6, 5))


def test_the_fields_two_sizes_fit_each_other():
    """ADGAN's maps are 176 wide, SPT's and PISE's 256 with 40 columns of border on each side."""
    wide = np.zeros((256, 256), np.uint8)
    wide[:, 40:216] = 5
    wide[7, 50] = 9
    narrow = decode_labels(npy(wide), "a.npy", vocabulary="lip", size=(176, 256))
    assert narrow.shape == (256, 176)
    assert narrow[7, 10] == labels.PANTS
    assert (narrow == labels.UPPER_CLOTHES).sum() == 256 * 176 - 1
    back = decode_labels(png(wide[:, 40:216]), "a.png", vocabulary="lip", size=(256, 256))
    np.testing.assert_array_equal(back, np.array(labels.MERGE["lip"], np.uint8)[wide])
    with pytest.raises(BadItem, match="176x256, its picture 176x255"):
        decode_labels(png(wide[:, 40:216]), "a.png", vocabulary="lip", size=(176, 255))


def test_a_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    for data in (pickle.dumps(Trap()), npy(np.array([[Trap()]], object))):
        with pytest.raises(BadItem):
            decode_labels(data, "a.npy", vocabulary="ours", size=(1, 1))
    assert not (tmp_path / "sprung").exists()


@given(st.sampled_from([png(MAP), npy(MAP)]), st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_a_map_or_a_reason(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        found = decode_labels(
            bytes(damaged), "a.npy" if data[:1] == b"\x93" else "a.png", vocabulary="lip", size=(6, 4)
        )
    except BadItem:
        return
    assert found.shape == (4, 6)
    assert found.max() <= 7
