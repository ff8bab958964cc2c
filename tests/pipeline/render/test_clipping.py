import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.render.clipping import clip


def area(points, faces):
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_the_two_sides_of_a_cut_make_up_the_mesh(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(14, 3))
    faces = np.array([rng.choice(14, 3, replace=False) for _ in range(20)], np.int32)
    depth = rng.normal(size=14).astype(np.float32)
    sides = []
    for sign in (1, -1):
        kept, blend = clip(faces, sign * depth)
        np.testing.assert_allclose(np.asarray(blend.sum(axis=1)).ravel(), 1, atol=1e-5)
        assert ((blend @ depth) * sign > -1e-5).all()
        sides.append(area(blend @ points, kept))
    np.testing.assert_allclose(sum(sides), area(points, faces), rtol=1e-4)


def test_a_cut_keeps_the_orientation_of_faces():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], float)
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    for depth in (points[:, 0] - 0.3, points[:, 1] - 0.6, 0.4 - points[:, 0]):
        kept, blend = clip(faces, depth)
        a, b, c = ((blend @ points)[kept[:, corner]] for corner in range(3))
        assert (np.cross(b - a, c - a)[:, 2] > 0).all()
