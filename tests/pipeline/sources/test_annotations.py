"""The field's CSV of joints: reading it, and finding out what its x is counted in."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.people import skeleton
from pipeline.sources.annotations import FRAMES, find_frame, is_annotation, read_annotation, share_outside, to_picture

HEADER = "name:keypoints_y:keypoints_x"
GOOD = json.dumps([10] * 18)


def table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "joints.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_y_comes_first_and_blanks_do_not_matter(tmp_path):
    y, x = list(range(18)), list(range(100, 118))
    y[4] = x[4] = -1
    rows, bad = read_annotation(table(tmp_path, f"a b.jpg: {y}:  {x} ", "", f"c.jpg:{y}:{x}"), "joints.csv")
    assert not bad
    assert [(row.name, row.place) for row in rows] == [
        ("a b.jpg", "joints.csv, line 2"),
        ("c.jpg", "joints.csv, line 4"),
    ]
    np.testing.assert_array_equal(rows[0].joints[3], [103, 3, 1])
    np.testing.assert_array_equal(rows[0].joints[4], skeleton.MISSING)
    np.testing.assert_array_equal(rows[0].joints, rows[1].joints)


def test_columns_may_be_in_another_order_and_lines_end_in_crlf(tmp_path):
    path = tmp_path / "joints.csv"
    path.write_bytes(f"\ufeffname:keypoints_x:keypoints_y\r\na.jpg:{[1] * 18}:{[2] * 18}\r\n".encode())
    rows, bad = read_annotation(path, "joints.csv")
    assert not bad
    np.testing.assert_array_equal(rows[0].joints[0], [1, 2, 1])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"a.jpg: {GOOD}: {[1] * 17}", "keypoints_x must be a list of 18 joints, found 17 values"),
        (f"a.jpg: {GOOD}: [1, 2", "keypoints_x is not a list in brackets"),
        (f"a.jpg: {GOOD}: [{'NaN, ' * 17}1]", "keypoints_x holds nan, which is not a pixel coordinate"),
        (f"a.jpg: [{'1e999, ' * 17}1]: {GOOD}", "keypoints_y holds inf"),
        (f"a.jpg: {json.dumps([True] * 18)}: {GOOD}", "keypoints_y holds True"),
        (f"a.jpg: {json.dumps(['1'] * 18)}: {GOOD}", "keypoints_y holds '1'"),
        (f"a.jpg: {GOOD}", "has no column 'keypoints_x'"),
        ("a.jpg: 7: 7", "keypoints_x must be a list of 18 joints, found 7"),
        ("a.jpg: " + "[" * 5000 + ": 7", ""),
    ],
)
def test_a_bad_line_is_set_aside_with_its_number(tmp_path, line, reason):
    rows, bad = read_annotation(table(tmp_path, f"ok.jpg: {GOOD}: {GOOD}", line), "sub/joints.csv")
    assert [row.name for row in rows] == ["ok.jpg"]
    [(name, text)] = bad
    assert name == "a.jpg"
    assert text.startswith("sub/joints.csv, line 3: ")
    assert reason in text


@pytest.mark.parametrize("header", ["name:keypoints_y", "name,keypoints_y,keypoints_x", "keypoints_y:keypoints_x"])
def test_a_missing_column_is_an_error_with_the_remedy(tmp_path, header):
    assert is_annotation(header)
    with pytest.raises(UserError, match=r"joints.csv, line 1: .*the header must be name:keypoints_y:keypoints_x"):
        read_annotation(table(tmp_path, header=header), "joints.csv")


def test_capital_letters_in_the_header_do_not_matter(tmp_path):
    header = "Name:Keypoints_Y:Keypoints_X"
    assert is_annotation(header)
    [row], bad = read_annotation(table(tmp_path, f"a.jpg: {GOOD}: {GOOD}", header=header), "joints.csv")
    assert (row.name, bad) == ("a.jpg", [])


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_line_breaks_the_reader(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.csv"
        path.write_bytes(f"{HEADER}\n{text}".encode("utf-8", "surrogatepass"))
        rows, _ = read_annotation(path, "j.csv")
        assert all(row.joints.shape == (18, 3) for row in rows)


def crowd(count, seed=0):
    """Joints of people who stand in the middle of the 176 columns, in their pixels."""
    generator = np.random.default_rng(seed)
    x = np.clip(generator.normal(88, 28, (count, 18)), 4, 171)
    y = generator.uniform(5, 250, (count, 18))
    joints = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
    return {str(i): joints[i] for i in range(count)}


def written_in(frame, joints):
    """The same people as a list in `frame` has them, by the field's own formulas."""
    moved = {key: value.copy() for key, value in joints.items()}
    for value in moved.values():
        if frame == "bordered":
            value[:, 0] += 40
        elif frame == "stretched":
            value[:, 0] = (value[:, 0] + 0.5) * 256 / 176 - 0.5
    return moved


# What a list in a frame means for pictures of a size, and what the joints then are in pixels of the picture.
@pytest.mark.parametrize(
    ("size", "frame", "found", "true_x"),
    [
        ((256, 256), "bordered", "own", lambda x: x + 40),
        ((256, 256), "cropped", "cropped", lambda x: x + 40),
        ((176, 256), "cropped", "own", lambda x: x),
        ((176, 256), "bordered", "bordered", lambda x: x),
        ((176, 256), "stretched", "stretched", lambda x: x),
        # 750x1101, as distributed: its 256-row version has 174.4 columns in the middle of 256
        ((750, 1101), "bordered", "bordered", lambda x: (x + 0.5 - 88) * 1101 / 256 + 375 - 0.5),
        ((750, 1101), "cropped", "cropped", lambda x: (x + 0.5 - 88) * 1101 / 256 + 375 - 0.5),
        ((750, 1101), "stretched", "stretched", lambda x: (x + 0.5) * 750 / 176 - 0.5),
        ((1024, 1024), "bordered", "bordered", lambda x: (x + 40.5) * 4 - 0.5),
    ],
)
def test_the_frame_is_found_and_undone(size, frame, found, true_x):
    people = crowd(40)
    listed = written_in(frame, people)
    sizes = dict.fromkeys(listed, size)
    assert find_frame(listed, sizes) == found
    for key, joints in listed.items():
        moved = to_picture(joints, found, size)
        there = skeleton.is_present(moved)
        # The distributed pictures are 174.4 columns wide, so the outermost of the 176 may fall off.
        assert there.mean() > 0.9
        np.testing.assert_allclose(moved[there, 0], true_x(people[key][there, 0]), atol=0.02)
        np.testing.assert_allclose(moved[there, 1], (people[key][there, 1] + 0.5) * size[1] / 256 - 0.5, atol=0.02)


def test_a_stretched_list_beside_bordered_pictures_can_be_asked_for():
    """It looks like the picture's own pixels, so it is never guessed."""
    people = crowd(20)
    listed = written_in("stretched", people)
    assert find_frame(listed, dict.fromkeys(listed, (256, 256))) == "own"
    np.testing.assert_allclose(
        to_picture(listed["3"], "stretched", (256, 256))[:, 0], people["3"][:, 0] + 40, atol=0.01
    )


@pytest.mark.parametrize("size", [(64, 128), (300, 900), (640, 480), (2000, 3000)])
def test_other_pictures_have_their_own_pixels(size):
    generator = np.random.default_rng(0)
    joints = {str(i): np.float32([[generator.uniform(0, size[0]), size[1] * 0.9, 1]] * 18) for i in range(20)}
    assert find_frame(joints, dict.fromkeys(joints, size)) == "own"


def test_nobody_found_is_no_reason_to_guess():
    assert find_frame({}, {}) == "own"
    assert find_frame({"a": skeleton.empty()}, {"a": (256, 256)}) == "own"


def test_joints_outside_of_their_pictures_are_counted():
    joints = skeleton.empty()
    joints[:4] = [(10, 10, 1), (63, 127, 1), (64, 20, 1), (10, 128, 1)]
    assert share_outside({"a": joints}, {"a": (64, 128)}) == 0.5
    assert share_outside({}, {}) == 0


def test_frames_are_all_tried_here():
    assert set(FRAMES) == {"own", "cropped", "bordered", "stretched"}
