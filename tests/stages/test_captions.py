import numpy as np
import pytest

from stages.captions import STRIP_PX, captioned
from stages.commands.convert import NETWORKS


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(256, size=(40, 176, 3)).astype(np.uint8)


def ink(picture):
    """The columns of the strip that hold dark pixels."""
    return np.flatnonzero((picture[-STRIP_PX:].astype(int).sum(2) < 300).any(0))


def test_the_picture_stays_and_the_line_stands_below_it(image):
    shown = captioned(image, "anna.jpg")
    assert shown.shape == (40 + STRIP_PX, 176, 3)
    assert np.array_equal(shown[:40], image)
    left, right = ink(shown)[[0, -1]]
    assert abs((left + right) / 2 - 88) < 3
    assert not len(ink(captioned(image, "")))


def test_a_long_line_ends_within_the_picture(image):
    columns = ink(captioned(image, "a very long name of a picture, " * 9))
    assert columns[0] >= 3
    assert columns[-1] <= 172


def test_other_words_other_pixels(image):
    assert not np.array_equal(captioned(image, "anna"), captioned(image, "bert"))
    assert np.array_equal(captioned(image, "a\nb"), captioned(image, "a·b"))


def test_the_networks_that_convert_names_are_those_that_are_known():
    from models.published import ORIGINALS

    assert set(NETWORKS) == set(ORIGINALS)
