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
    lost = {"pise": {labels.SKIRT, labels.LEG}, "pise_table": {labels.SKIRT}, "casd": {labels.SKIRT}}
    assert set(table) == set(range(8)) - lost.get(vocabulary, set())
    assert table[0] == labels.BACKGROUND


OF_LIP_OR_CIHP = list(range(20))


def test_casds_published_table_agrees_with_ours_but_for_gloves_and_skirts():
    """Lower from 9 and 12, hair from 1 and 2, gloves from 3, face from 4 and 13, upper from 5, 6, 7, 10, 11, ..."""
    table = [0, 2, 2, 3, 4, 5, 5, 5, 7, 1, 5, 5, 1, 4, 6, 6, 7, 7, 7, 7]
    ours = [labels.MERGE["casd"][label] for label in table]
    differing = [index for index in OF_LIP_OR_CIHP if ours[index] != labels.MERGE["lip"][index]]
    assert differing == [12]
    assert ours[12] == labels.PANTS


def test_pises_published_table_agrees_with_ours_where_it_keeps_a_label():
    """The authors' answer, from LIP's 20: gloves, sunglasses and scarves are dropped, dresses are lower clothes."""
    table = [0, 1, 1, 0, 0, 2, 3, 2, 7, 3, 6, 0, 3, 5, 6, 6, 7, 7, 4, 4]
    ours = [labels.MERGE["pise_table"][label] for label in table]
    differing = [index for index in OF_LIP_OR_CIHP if ours[index] != labels.MERGE["lip"][index]]
    assert differing == [3, 4, 6, 10, 11, 12]


def test_the_files_of_spl8_are_read_as_their_author_says():
    """Background, hat, hair, upper clothes, twice the lower part of the body, skin, face."""
    names = ["background", "hair", "hair", "upper_clothes", "pants", "pants", "arm", "face"]
    assert [labels.LABELS[label] for label in labels.MERGE["pise"]] == names


def test_jumpsuits_are_clothes_and_torso_skin_is_none():
    assert labels.VOCABULARIES["lip"][10] == ("jumpsuit", labels.UPPER_CLOTHES)
    assert labels.VOCABULARIES["cihp"][10] == ("torso skin", labels.FACE)


def test_adgans_order_is_written_as_published():
    """Background, pants, hair, skirt, face, upper clothes, arm, leg; and back."""
    every = np.arange(8, dtype=np.uint8)[None]
    written = labels.write_as(every, "adgan")
    assert written.tolist() == [[0, 2, 4, 5, 1, 3, 6, 7]]
    np.testing.assert_array_equal(labels.merge(written, "adgan"), every)


@pytest.mark.parametrize("vocabulary", labels.WRITTEN)
def test_what_is_written_is_in_the_vocabulary(vocabulary):
    written = labels.write_as(np.arange(8, dtype=np.uint8), vocabulary)
    names = [labels.VOCABULARIES[vocabulary][label][0] for label in written]
    assert names == list(labels.WRITTEN[vocabulary])
    assert names[0] == "background"


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
