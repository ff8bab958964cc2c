"""The four crop modes: what is cut, and that joints and label maps go where the pixels go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.crops import MODES, find_move
from pipeline.errors import BadItem
from pipeline.people import skeleton

SIZE = (176, 256)
sides = st.integers(20, 700)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def one_joint(x, y):
    joints = skeleton.empty()
    joints[0] = x, y, 0.9
    return joints


def test_columns_cut_the_middle_of_the_fields_pictures():
    picture = noise(256, 256)
    move = find_move("columns", (256, 256), SIZE)
    np.testing.assert_array_equal(move.picture(picture), picture[:, 40:216])
    np.testing.assert_array_equal(move.joints(one_joint(100, 50))[0], np.float32([60, 50, 0.9]))
    np.testing.assert_array_equal(move.joints(one_joint(39, 50))[0], skeleton.MISSING)


def test_columns_pass_pictures_of_the_size():
    picture = noise(*SIZE)
    np.testing.assert_array_equal(find_move("columns", SIZE, SIZE).picture(picture), picture)


def test_columns_name_the_size_and_the_remedy():
    with pytest.raises(BadItem, match=r"750x1101: crop.mode columns .* set crop.mode to resize, pad or person"):
        find_move("columns", (750, 1101), SIZE)


def test_resize_is_pillows_bicubic():
    picture = noise(750, 1101)
    expected = np.asarray(Image.fromarray(picture).resize(SIZE, Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(find_move("resize", (750, 1101), SIZE).picture(picture), expected)


def test_pad_keeps_all_and_the_shape():
    picture = np.full((100, 400, 3), (10, 200, 30), np.uint8)
    picture[25:75, 100:300] = 255
    new = find_move("pad", (400, 100), SIZE).picture(picture)
    assert new.shape == (256, 176, 3)
    rows, columns = np.nonzero(new[..., 0] > 130)
    # 0.44 new pixels per old one: 44 rows in the middle, the white block 88 wide and 22 high
    assert columns.max() - columns.min() + 1 == pytest.approx(88, abs=1)
    assert rows.max() - rows.min() + 1 == pytest.approx(22, abs=1)
    assert (rows.max() + rows.min()) / 2 == pytest.approx(127.5, abs=1)
    np.testing.assert_array_equal(new[0, 0], (10, 200, 30))


def test_person_takes_the_box_and_a_margin():
    move = find_move("person", (1000, 1000), SIZE, box=(400, 200, 500, 700))
    # 500 rows and 15 % on each side, 650, fill the height; the width follows from the shape
    left, top, right, bottom = move.taken
    assert (top, bottom) == (125, 775)
    assert right - left == pytest.approx(650 * 176 / 256, abs=2)
    assert (left + right) / 2 == pytest.approx(450, abs=1)
    assert move.filled == (0, 0, 176, 256)


def test_person_beyond_the_border_is_padded():
    picture = np.full((300, 300, 3), 77, np.uint8)
    move = find_move("person", (300, 300), SIZE, box=(0, 0, 100, 290))
    assert move.filled[0] > 0
    assert move.filled[1] > 0
    assert (move.picture(picture) == 77).all()


def test_person_needs_a_box_within_the_picture():
    with pytest.raises(BadItem, match="no person"):
        find_move("person", (300, 300), SIZE)
    with pytest.raises(BadItem, match="outside of the picture"):
        find_move("person", (300, 300), SIZE, box=(900, 10, 950, 200))


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="'squeeze' is not one of columns, resize, pad, person"):
        find_move("squeeze", (10, 10), SIZE)


@given(sides, sides, st.sampled_from(["resize", "pad", "person"]), st.data())
@settings(max_examples=60, deadline=None)
def test_a_blob_and_its_joint_move_together(width, height, mode, data):
    """The centre of a bright square is where the joint says, in the new picture and in the new label map."""
    side = max(6, min(width, height) // 5)
    left = data.draw(st.integers(0, width - side))
    top = data.draw(st.integers(0, height - side))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = 255
    labels = (picture[..., 0] > 0).astype(np.uint8)
    box = (left, top, left + side, top + side)
    move = find_move(mode, (width, height), SIZE, box=box)
    x, y, score = move.joints(one_joint(left + (side - 1) / 2, top + (side - 1) / 2))[0]
    assert score > 0
    # A square at the border of a strongly enlarged picture has one sharp side.
    slack = [1 + 0.15 * scale for scale in move.scale]
    for found in (move.picture(picture)[..., 0] > 127, move.labels(labels) == 1):
        assert found.shape == (256, 176)
        rows, columns = np.nonzero(found)
        assert columns.mean() == pytest.approx(x, abs=slack[0])
        assert rows.mean() == pytest.approx(y, abs=slack[1])


@given(sides, sides, st.sampled_from(["resize", "pad", "person"]), st.data())
@settings(max_examples=100, deadline=None)
def test_moving_back_undoes_a_move(width, height, mode, data):
    corners = data.draw(st.tuples(st.integers(0, width - 2), st.integers(0, height - 2)))
    box = (*corners, width - 1, height - 1)
    move = find_move(mode, (width, height), SIZE, box=box)
    joint = data.draw(st.tuples(st.integers(corners[0], width - 1), st.integers(corners[1], height - 1)))
    moved = move.joints(one_joint(*joint))
    (ox, oy), (sx, sy) = move.offset, move.scale
    back = skeleton.move(moved, offset=(-ox * sx, -oy * sy), scale=(1 / sx, 1 / sy), size=(width, height))
    # A joint on the very border is clipped to the outermost pixel centres, half a new pixel at most.
    np.testing.assert_allclose(back[0, :2], joint, atol=0.5 / min(sx, sy) + 0.01)


def test_labels_stay_labels():
    labels = np.random.default_rng(1).integers(0, 8, (500, 300)).astype(np.uint8)
    for mode in ("resize", "pad"):
        new = find_move(mode, (300, 500), SIZE).labels(labels)
        assert set(np.unique(new)) <= set(range(8))


def test_modes_are_all_tried_here():
    assert set(MODES) == {"columns", "resize", "pad", "person"}
