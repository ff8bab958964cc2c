from dataclasses import replace

import numpy as np

from models.detectors import train_pose
from models.detectors.examples import Examples
from pipeline.people import labels, skeleton


def standing() -> skeleton.Joints:
    """(1, 18, 3): upright, a torso of 60 pixels, shins of 50."""
    places = {
        "nose": (88, 40), "neck": (88, 60), "right_shoulder": (68, 60), "right_elbow": (60, 90), "right_wrist": (58, 118),
        "left_shoulder": (108, 60), "left_elbow": (116, 90), "left_wrist": (118, 118), "right_hip": (73, 120),
        "right_knee": (74, 170), "right_ankle": (74, 220), "left_hip": (103, 120), "left_knee": (102, 170),
        "left_ankle": (102, 220), "right_eye": (84, 36), "left_eye": (92, 36), "right_ear": (80, 38), "left_ear": (96, 38),
    }  # fmt: skip
    return np.array([[(*places[name], 1) for name in skeleton.JOINTS]], np.float32)


def test_rendered_shoulders_go_up_hips_together_and_ankles_up():
    before = standing()
    after = train_pose.as_photographs_name_them(before)
    moved = {
        name: (after - before)[0, number, :2].astype(float).round(2).tolist()
        for number, name in enumerate(skeleton.JOINTS)
    }
    assert moved["right_shoulder"] == [1.2, -2.7]
    assert moved["left_shoulder"] == [-1.2, -2.7]
    assert moved["neck"] == [0, -2.7]
    assert moved["right_hip"] == [2.1, 0]
    assert moved["right_ankle"] == [0, -3.5]
    assert moved["nose"] == moved["right_elbow"] == moved["right_knee"] == [0, 0]


def test_who_lacks_a_hip_keeps_the_shoulders():
    before = standing()
    before[0, skeleton.LEFT_HIP] = skeleton.MISSING
    after = train_pose.as_photographs_name_them(before)
    assert np.array_equal(after[0, skeleton.RIGHT_SHOULDER], before[0, skeleton.RIGHT_SHOULDER])
    assert tuple(after[0, skeleton.LEFT_HIP]) == skeleton.MISSING


def test_joints_that_the_label_map_contradicts_are_dropped():
    maps = np.zeros((1, 256, 176), np.uint8)
    maps[0, 30:50, 78:98] = labels.FACE
    maps[0, 50:240, 50:126] = labels.UPPER_CLOTHES
    joints = standing()
    joints[0, skeleton.RIGHT_WRIST, :2] = 20, 118
    joints[0, skeleton.LEFT_EYE, :2] = 92, 60
    data = Examples(np.zeros((1, 256, 176, 3), np.uint8), joints, maps, np.array([True]), ["a"], ["photograph"])
    there = skeleton.is_present(train_pose.without_strays(data).joints[0])
    assert [skeleton.JOINTS[joint] for joint in np.flatnonzero(~there)] == ["right_wrist", "left_eye"]
    rendered = replace(data, kinds=["natural"])
    assert np.array_equal(train_pose.without_strays(rendered).joints, joints)
