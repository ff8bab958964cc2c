import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.data import take
from models.dpig_codes import BACKGROUND, FOREGROUND, POSE
from models.method import build
from models.sampling import is_body, nobody, on_sphere, path, sampled, without_pose
from pipeline.people.skeleton import JOINTS
from pipeline.render import plan, render

TINY = {"width": 0.05, "scale": 1.0, "rows": 64, "columns": 44, "crop_px": 8, "layout": "market"}


@pytest.fixture(scope="module")
def method():
    return build("dpig", TINY, seed=1).eval()


@pytest.fixture(scope="module")
def batch(train_pairs):
    return take(train_pairs, 2, torch.device("cpu"))


@pytest.mark.parametrize(
    "varied", [[FOREGROUND], [BACKGROUND], [POSE], [FOREGROUND, POSE], [FOREGROUND, BACKGROUND, POSE]]
)
def test_what_varies_is_drawn_and_the_rest_stays(method, batch, varied):
    fixed = {factor: code[:1] for factor, code in method.codes(batch).items()}
    codes = sampled(method, varied, 3, seed=5, fixed=fixed)
    for factor, code in codes.items():
        assert code.shape == (3, method.settings.numbers[factor])
        if factor in varied:
            assert not torch.allclose(code[0], code[1])
        else:
            assert torch.equal(code, fixed[factor].expand(3, -1))


def test_a_factor_has_dice_of_its_own(method):
    alone = sampled(method, [FOREGROUND], 4, seed=2)[FOREGROUND]
    together = sampled(method, [FOREGROUND, BACKGROUND, POSE], 4, seed=2)[FOREGROUND]
    assert torch.equal(alone, together)
    assert not torch.equal(alone, sampled(method, [FOREGROUND], 4, seed=3)[FOREGROUND])


def test_fewer_samples_are_the_first_of_many(method):
    many, few = (sampled(method, method.factors, count, seed=1) for count in (5, 2))
    for factor in method.factors:
        torch.testing.assert_close(few[factor], many[factor][:2])


def test_noise_has_the_papers_deviation(method):
    noise = method.noise(POSE, 5000, torch.Generator().manual_seed(0))
    assert float(noise.std()) == pytest.approx(0.2, rel=0.01)
    vae = build("dpig", TINY | {"sampling": "vae"})
    assert float(vae.noise(POSE, 5000, torch.Generator().manual_seed(0)).std()) == pytest.approx(1, rel=0.01)
    assert torch.equal(vae.mapped(POSE, noise), noise)


def test_composed_from_its_own_codes_a_person_is_as_transferred(method, batch):
    codes = without_pose(method.codes(batch))
    assert set(codes) == {FOREGROUND, BACKGROUND}
    assert torch.equal(method.compose(codes, batch), method.generate(batch))


def test_a_sampled_pose_is_drawn_instead_of_the_batchs(method, batch):
    codes = method.codes(batch)
    moved = replace(batch, target_joints=batch.source_joints)
    torch.testing.assert_close(method.compose(codes, batch), method.compose(codes, moved), rtol=0, atol=0)
    appearance = without_pose(codes)
    assert not torch.equal(method.compose(appearance, batch), method.compose(appearance, moved))


def test_strangers_are_drawn_without_any_picture(method):
    image = method.compose(sampled(method, method.factors, 2, seed=0), nobody(2, (64, 44)))
    assert image.shape == (2, 3, 64, 44)
    assert torch.isfinite(image).all()


def test_a_straight_way_has_even_steps(method, batch):
    one, other = ({factor: code[row : row + 1] for factor, code in method.codes(batch).items()} for row in (0, 1))
    way = path(method, one, other, 5)
    for factor in method.factors:
        torch.testing.assert_close(way[factor][0], one[factor][0])
        torch.testing.assert_close(way[factor][4], other[factor][0])
        torch.testing.assert_close(way[factor][1], 0.75 * one[factor][0] + 0.25 * other[factor][0])


@pytest.mark.parametrize("through", ["noise", "sphere"])
def test_noise_is_found_again_and_gone_through(method, through):
    """Codes that were drawn from noise: the way through the noise found for them begins and ends with them."""
    codes = sampled(method, method.factors, 2, seed=4)
    one, other = ({factor: code[row : row + 1] for factor, code in codes.items()} for row in (0, 1))
    way = path(method, one, other, 3, through=through)
    for factor in (FOREGROUND, POSE):
        apart = (one[factor] - other[factor]).norm()
        assert (way[factor][:1] - one[factor]).norm() < 0.1 * apart
        assert (way[factor][2:] - other[factor]).norm() < 0.1 * apart


def test_the_great_circle():
    """From (2, 0) to (0, 4): half way at 45 degrees, 3 long."""
    way = on_sphere(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([[0.0], [0.5], [1.0]]))
    expected = [[2, 0], [3 * math.cos(math.pi / 4), 3 * math.sin(math.pi / 4)], [0, 4]]
    np.testing.assert_allclose(way.numpy(), expected, atol=1e-6)
    same = on_sphere(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.0]]), torch.tensor([[0.5]]))
    np.testing.assert_allclose(same.numpy(), [[2, 0]], atol=1e-6)


# What could be a body.


def _real_poses():
    """Poses of rendered people."""
    figures = [render(spec) for spec in plan("natural", people=3, poses=3, seed=7)]
    return torch.from_numpy(np.stack([figure.joints for figure in figures]))


def test_real_poses_are_bodies_and_their_limbs_have_a_limit():
    real = _real_poses()
    assert is_body(real, real).all()
    elbow, wrist = JOINTS.index("right_elbow"), JOINTS.index("right_wrist")
    arms = (real[:, elbow, :2] - real[:, wrist, :2]).norm(dim=1)
    longest = int(arms.argmax())
    for stretch, expected in ((1.05, True), (1.15, False), (0.1, True)):
        pose = real[longest : longest + 1].clone()
        pose[0, wrist, :2] = pose[0, elbow, :2] + stretch * (pose[0, wrist, :2] - pose[0, elbow, :2])
        assert bool(is_body(pose, real)) is expected, stretch


def test_a_small_body_has_no_large_limbs_and_a_few_joints_are_no_body():
    real = _real_poses()
    middle = real[:1, 1:2, :2]
    half = real[:1].clone()
    half[..., :2] = torch.where(half[..., 2:] > 0, middle + (half[..., :2] - middle) * 0.5, half[..., :2])
    assert not is_body(half, real).any()  # no real torso is so short
    few = real[:1].clone()
    few[:, 2:8] = torch.tensor([-1.0, -1.0, 0.0])
    assert not is_body(few, real).any()
    no_hip = real[:1].clone()
    no_hip[:, JOINTS.index("left_hip")] = torch.tensor([-1.0, -1.0, 0.0])
    assert not is_body(no_hip, real).any()
    missing = torch.tensor([-1.0, -1.0, 0.0]).repeat(1, 18, 1)
    assert not is_body(missing, real).any()
