import numpy as np
import pytest

from pipeline.people import skeleton
from pipeline.people.regions import ALL_37, DEEPFASHION, MARKET, SEVEN, Margins, region_boxes, table


def _person(**places):
    joints = skeleton.empty()
    for name, (x, y) in places.items():
        joints[skeleton.JOINTS.index(name)] = (x, y, 1)
    return joints


def _box(joints, name, margins=MARKET, width=64, height=128):
    boxes, visible = region_boxes(joints, width=width, height=height, regions=ALL_37, margins=margins)
    place = list(ALL_37).index(name)
    return boxes[place].tolist(), bool(visible[place])


def test_seven_of_thirty_seven():
    assert len(SEVEN) == 7
    assert len(ALL_37) == 37
    assert list(ALL_37)[:7] == list(SEVEN)
    assert table(ALL_37).sum() == sum(map(len, ALL_37.values()))
    assert list(ALL_37).index("whole body") == 16
    assert list(ALL_37.values())[17:35] == [(joint,) for joint in range(18)]


@pytest.mark.parametrize("name", SEVEN)
def test_left_is_right_in_the_mirror(name):
    other = name.replace("left", "*").replace("right", "left").replace("*", "right")
    assert {skeleton.FLIP[joint] for joint in SEVEN[name]} == set(SEVEN[other])


def test_a_box_is_its_joints_and_seven_pixels():
    joints = _person(left_shoulder=(30, 40), left_elbow=(36, 60), left_wrist=(33, 75))
    assert _box(joints, "left arm") == ([33, 23, 82, 43], True)


def test_around_one_joint_it_is_ten_and_stays_in_the_picture():
    assert _box(_person(left_wrist=(60, 5)), "left arm") == ([0, 50, 15, 63], True)


def test_a_region_that_is_not_there():
    assert _box(_person(nose=(30, 20)), "legs") == ([0, 0, 1, 1], False)


def test_deepfashion_looks_wider_at_people_cut_off_and_above_the_nose():
    face = {"nose": (120, 60), "neck": (120, 90)}
    cut = _person(**face)
    assert _box(cut, "head and shoulders", DEEPFASHION, 256, 256) == ([60 - 25 - 20, 100, 110, 140], True)
    whole = _person(**face, left_knee=(110, 180), right_ankle=(130, 230))
    assert _box(whole, "head and shoulders", DEEPFASHION, 256, 256) == ([60 - 10 - 10, 110, 100, 130], True)


def test_margins_go_with_the_pictures_height():
    assert Margins(256, 10, 20, 10).at(128) == Margins(128, 5, 10, 5)
    boxes, _ = region_boxes(_person(nose=(40, 100)), width=88, height=256, regions=SEVEN, margins=MARKET)
    np.testing.assert_array_equal(boxes[0], [80, 20, 120, 60])
