import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.render import bodies, posing
from pipeline.render.poses import CATALOGUE
from pipeline.render.posing import Limb, Pose

HANG = Limb((0.2, -1.0, 0.0), (0.1, -1.0, 0.1))
STAND = Limb((0.05, -1.0, 0.0), (0.03, -1.0, 0.0))
directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.2)


def head(placed, name):
    return placed[bodies.template().bone(name)]


@settings(max_examples=30, deadline=None)
@given(directions, directions)
def test_limbs_point_where_the_pose_says_and_keep_their_length(upper, lower):
    rest = bodies.template().vertices
    bones = posing.skeleton(rest, Pose("any", Limb(upper, lower), Limb(upper, lower), STAND, STAND))
    placed = bones.places()
    for side, mirror in (("L", 1), ("R", -1)):
        fore = head(placed, f"wrist.{side}") - head(placed, f"lowerarm01.{side}")
        wanted = np.array([lower[0] * mirror, lower[1], lower[2]])
        assert fore @ wanted / np.linalg.norm(fore) / np.linalg.norm(wanted) > 0.999
        still = head(bones.heads, f"wrist.{side}") - head(bones.heads, f"lowerarm01.{side}")
        assert np.linalg.norm(fore) == pytest.approx(np.linalg.norm(still), rel=1e-6)


def test_mirrored_limbs_give_a_mirrored_person():
    rest = bodies.template().vertices
    placed = posing.skeleton(rest, Pose("even", HANG, HANG, STAND, STAND)).places()
    for name in ("upperarm01", "lowerarm01", "wrist", "lowerleg01", "foot"):
        np.testing.assert_allclose(
            head(placed, f"{name}.L") * [-1, 1, 1], head(placed, f"{name}.R"), atol=2e-3, err_msg=name
        )


def test_turning_the_hips_turns_the_whole_body():
    rest = bodies.template().vertices
    pose = Pose("turned", HANG, HANG, STAND, STAND, hips=(90, 0, 0))
    straight = Pose("straight", HANG, HANG, STAND, STAND)
    used = np.unique(bodies.template().faces["body"])
    used = used[rest[used, 1] > -0.6]  # the feet stay flat on the floor
    weights = bodies.template().weights
    turned = posing.skeleton(rest, pose).carry(rest, weights)[used]
    plain = posing.skeleton(rest, straight).carry(rest, weights)[used]
    root = head(posing.skeleton(rest, pose).heads, "root")
    quarter = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    np.testing.assert_allclose(turned, (plain - root) @ quarter.T + root, atol=2e-3)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_pose_of_the_catalogue_stands_upright_and_stays_whole(name):
    rest = bodies.template().vertices
    vertices = posing.skeleton(rest, CATALOGUE[name]).carry(rest, bodies.template().weights)
    assert np.isfinite(vertices).all()
    faces = bodies.template().faces["body"]
    edges = np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1)
    assert edges.max() < 0.2
    placed = posing.skeleton(rest, CATALOGUE[name]).places()
    assert head(placed, "head")[1] > head(placed, "root")[1] + 0.5
