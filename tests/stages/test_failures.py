import numpy as np
import pytest

from pipeline.packed import Pack, Picture, write_pack
from pipeline.people.labels import UPPER_CLOTHES
from pipeline.people.skeleton import JOINTS, MISSING
from stages.failures import choose_failures

WIDTH, HEIGHT = 32, 48


def _picture(number, *, legs=True, colour=0):
    joints = np.ones((18, 3), np.float32)
    joints[:, :2] = np.random.default_rng(number).uniform(2, 30, (18, 2))
    if not legs:
        joints[[JOINTS.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]] = MISSING
    parsing = np.zeros((HEIGHT, WIDTH), np.uint8)
    parsing[10:30, 8:24] = UPPER_CLOTHES
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    image[parsing == UPPER_CLOTHES] = colour
    maps = np.zeros((18, HEIGHT, WIDTH), np.uint8)
    return Picture(f"p{number}", "anna", image, joints, maps, parsing, parsing.clip(0, 1), image[..., 0])


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Three like pictures, one close-up, and one in a jacket of another colour."""
    path = tmp_path_factory.mktemp("pack") / "pack.h5"
    pictures = [*map(_picture, range(3)), _picture(3, legs=False), _picture(4, colour=90)]
    write_pack(path, pictures, count=5, pairs={}, size=(WIDTH, HEIGHT), sigma_px=6.0, source="figures")
    return Pack(path)


def test_failures_are_chosen_by_rule(packed):
    rows = np.array([(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 4), (4, 0)], np.int32)
    scores = np.array([0.5, 0.1, 0.3, 0.7, 0.6, 0.2, 0.9])
    lowest, close, jackets = choose_failures(packed, rows, scores).values()
    # Of the two pairs with target 2, and of those with 3, the lower one.
    assert lowest == [1, 5, 0, 4, 6]
    assert close == [4]
    assert jackets == [5, 6]


def test_six_of_a_kind_are_enough(packed):
    rows = np.array([(0, 1), (0, 2), (1, 3), (1, 4), (2, 0)] * 3, np.int32)
    assert all(len(chosen) <= 6 for chosen in choose_failures(packed, rows, np.arange(15.0)).values())
    assert (
        choose_failures(packed, rows[:0], np.empty(0)).keys() == choose_failures(packed, rows, np.arange(15.0)).keys()
    )
