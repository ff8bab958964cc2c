import numpy as np
import pytest

from models.detectors import pose
from models.detectors.pose import Person
from models.detectors.render import squash
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
