"""Label maps: merge tables, and files whose pixel values are the labels."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pipeline.people import labels

maps = arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 7))


@given(maps)
@settings(deadline=None)
def test_png_keeps_the_labels(label_map):
    np.testing.assert_array_equal(labels.from_png(labels.to_png(label_map)), label_map)


@given(maps)
@settings(deadline=None, max_examples=20)
def test_png_shows_our_colours(label_map):
    shown = Image.open(io.BytesIO(labels.to_png(label_map))).convert("RGB")
    np.testing.assert_array_equal(np.asarray(shown), labels.paint(label_map))


@pytest.mark.parametrize("vocabulary", labels.MERGE)
def test_tables_lead_to_our_labels_and_keep_the_background(vocabulary):
    table = labels.MERGE[vocabulary]
    assert set(table) == set(range(8))
    assert table[0] == labels.BACKGROUND


def test_adgans_own_merge_agrees_with_ours():
    """ADGAN's published table from CIHP, then its order into ours, is our CIHP table."""
    published = [0, 2, 2, 6, 4, 5, 5, 5, 7, 1, 4, 5, 3, 4, 6, 6, 7, 7, 7, 7]
    assert tuple(labels.MERGE["adgan"][label] for label in published) == labels.MERGE["cihp"]
    differing = [i for i, (a, b) in enumerate(zip(labels.MERGE["cihp"], labels.MERGE["lip"], strict=True)) if a != b]
    assert differing == [10]
    assert labels.MERGE["lip"][10] == labels.UPPER_CLOTHES


@pytest.mark.parametrize("bad", [-1, 20, 255])
def test_a_label_of_no_vocabulary_is_named(bad):
    with pytest.raises(ValueError, match=rf"label {bad} is not in the vocabulary 'lip' \(0..19\)"):
        labels.merge(np.array([[0, bad]]), "lip")


def test_a_coloured_picture_is_no_label_map():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    with pytest.raises(ValueError, match="not RGB"):
        labels.from_png(buffer.getvalue())


def test_colours_can_be_told_apart():
    distance = np.abs(labels.PALETTE[:, None].astype(int) - labels.PALETTE[None]).sum(-1)
    assert distance[~np.eye(8, dtype=bool)].min() > 60
