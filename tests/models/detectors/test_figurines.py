import numpy as np
import pytest

from models.detectors import figurines, pose
from models.detectors.figurines import Order
from models.detectors.pose import Person
from models.detectors.render import specifications, squash
from models.detectors.settings import Cast
from pipeline.people import labels, skeleton
from pipeline.render import plan, render


@pytest.fixture(scope="module")
def figure():
    return render(plan("natural", people=1, poses=1, seed=5)[0])


@pytest.mark.parametrize("share", [0.4, 0.7, 1.0])
def test_a_squashed_body_keeps_its_joints_on_it(figure, share):
    small = squash(figure, share)
    assert small.image.shape == figure.image.shape
    for joint in np.flatnonzero(figure.joints[:, 2] == 1):
        (x, y), (x0, y0) = small.joints[joint, :2].round().astype(int), figure.joints[joint, :2].round().astype(int)
        near = small.labels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        assert figure.labels[y0, x0] in near, skeleton.JOINTS[joint]


def test_a_squashed_body_is_shorter_and_its_head_is_not(figure):
    small = squash(figure, 0.5)
    length = {
        name: np.ptp(np.flatnonzero((part.labels == labels.LEG).any(1)))
        for name, part in (("before", figure), ("after", small))
    }
    assert length["after"] == pytest.approx(length["before"] / 2, abs=3)
    head = [(part.labels == labels.HAIR).sum() for part in (figure, small)]
    assert head[1] == pytest.approx(head[0], rel=0.1)


def test_a_person_found_in_the_frame_is_moved_back():
    picture = np.random.default_rng(0).integers(0, 256, (120, 80, 3), np.uint8)
    framed = pose._framed(picture)
    across, down = (framed.shape[1] - 80) // 2, (framed.shape[0] - 120) // 2
    assert np.array_equal(framed[down : down + 120, across : across + 80], picture)
    joints = skeleton.empty()
    joints[3] = (across + 10, down + 20, 0.7)
    joints[4] = (2, 2, 0.7)  # in the frame itself
    person = pose._unframed(Person(joints, 0.7, (across - 3.0, down + 5.0, across + 40.0, down + 60.0)), picture)
    assert person.joints[3].tolist() == pytest.approx([10, 20, 0.7])
    assert not skeleton.is_present(person.joints)[4]
    assert person.box == (0, 5, 40, 60)


@pytest.fixture(scope="module")
def drawn():
    return [figurines.draw(Order(f"f{person}", 31, person, 0)) for person in range(24)]


def test_an_order_gives_the_same_bytes_again_and_another_number_another_picture(drawn):
    again, other = figurines.draw(Order("f3", 31, 3, 0)), figurines.draw(Order("f3", 31, 3, 1))
    assert np.array_equal(again.image, drawn[3].image)
    assert np.array_equal(again.joints, drawn[3].joints)
    assert not np.array_equal(other.image, drawn[3].image)


def test_joints_of_figurines_that_are_seen_lie_on_them(drawn):
    on = [
        (figurine.labels[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] != labels.BACKGROUND).any()
        for figurine in drawn
        for x, y, _ in figurine.joints[figurine.joints[:, 2] == 1].round().astype(int)
    ]
    assert len(on) > 100
    # What they hold is background, and may be held before a joint.
    assert np.mean(on) > 0.97


def test_the_head_of_a_figurine_is_a_third_of_it_and_more(drawn):
    for figurine in drawn:
        head = np.flatnonzero(np.isin(figurine.labels, (labels.HAIR, labels.FACE)).any(axis=1))
        whole = np.flatnonzero((figurine.labels != labels.BACKGROUND).any(axis=1))
        assert 0.3 < np.ptp(head) / np.ptp(whole) < 1


def test_figurines_that_face_the_camera_have_their_left_on_the_right(drawn):
    facing = [f for f in drawn if abs(f.yaw_deg) < 50 and f.joints[skeleton.LEFT_EYE, 2] == 1]
    assert len(facing) >= 3
    for figurine in facing:
        assert figurine.joints[skeleton.LEFT_SHOULDER, 0] > figurine.joints[skeleton.RIGHT_SHOULDER, 0]


def test_a_cast_of_figurines_has_as_many_orders_as_poses():
    orders = specifications(Cast("figurine", people=2, poses=3, seed=5))
    assert [(order.person, order.number) for order in orders] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert len({order.id for order in orders}) == 6
