from dataclasses import replace

import numpy as np
import pytest

from models.detectors import examples, render, views
from models.detectors.examples import Examples
from models.detectors.settings import Cast
from pipeline.people import labels, skeleton


@pytest.fixture(scope="module")
def natural() -> Examples:
    return render.render_cast(Cast("natural", people=3, poses=1, seed=770002), name="natural", workers=1)


def without(joints: skeleton.Joints, names: str) -> skeleton.Joints:
    out = joints.copy()
    for name in names.split():
        out[..., skeleton.JOINTS.index(name), :] = skeleton.MISSING
    return out


def test_a_view_is_told_from_the_joints():
    whole = np.ones((1, 18, 3), np.float32)
    half = without(whole, "right_knee left_knee right_ankle left_ankle")
    back = without(whole, "nose right_eye left_eye")
    hidden = whole.copy()
    hidden[0, [skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE], 2] = 0.5
    found = [views.views_of(joints).tolist() for joints in (whole, half, back, hidden)]
    assert found == [["full"], ["half"], ["back"], ["back"]]


def test_people_framed_as_in_a_shop_are_the_same_people_whole_cut_and_from_behind():
    shop = render.specifications(Cast("shop", people=10, poses=4, seed=770001))
    plain = render.specifications(Cast("natural", people=10, poses=4, seed=770001))
    assert [spec.outfit for spec in shop] == [spec.outfit for spec in plain]
    assert len({spec.id for spec in shop} | {spec.id for spec in plain}) == 80
    backs = sum(abs(spec.view.yaw_deg) > 120 for spec in shop)
    halves = sum(spec.view.lowest > 0.25 for spec in shop)
    assert 5 <= backs <= 25
    assert 15 <= halves <= 38


def test_a_whole_person_becomes_a_half_one_before_a_light_background(natural: Examples):
    cut = views.as_in_a_shop(natural, "cut")
    assert set(cut.kinds) == {"cut"}
    assert cut.names == natural.names
    assert (cut.labels > 0).mean() > 1.1 * (natural.labels > 0).mean()
    behind = cut.labels == labels.BACKGROUND
    assert cut.images[behind].mean() > 180
    ankles = [skeleton.is_present(part.joints[:, skeleton.RIGHT_ANKLE]).sum() for part in (natural, cut)]
    assert ankles[1] < ankles[0]
    assert np.array_equal(views.as_in_a_shop(natural, "cut").images, cut.images)
    bare = replace(natural, has_labels=np.zeros(3, bool))
    assert not np.array_equal(views.as_in_a_shop(bare, "cut").images, cut.images)
    assert len(views.as_in_a_shop(examples.empty(), "cut")) == 0
