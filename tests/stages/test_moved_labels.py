"""The truth of rendered people moves with their pictures, whatever size the networks work at."""

import numpy as np
import pytest

from pipeline.crops import find_move
from stages.extraction import moved_labels


@pytest.mark.parametrize(
    ("mode", "size"),
    [("pad", (64, 128)), ("resize", (64, 128)), ("pad", (88, 128)), ("columns", (176, 256)), ("pad", (176, 256))],
)
def test_the_true_labels_move_as_crop_moves_them(mode, size):
    drawn = np.zeros((256, 176), np.uint8)
    drawn[40:220, 60:120], drawn[:20] = 3, 1
    move = find_move(mode, (176, 256), size)
    np.testing.assert_array_equal(moved_labels(drawn, move.offset, move.scale, size), move.labels(drawn))
