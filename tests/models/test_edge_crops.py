"""Joint-wise crops against loops over joints and pixels, written from the published description."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.edge_crops import EMPTY_IN_ORIGINAL, crop_joints, crop_joints_as_original

HEIGHT, WIDTH, RADIUS = 24, 18, 5


def looped(maps, source, target, radius):
    """(J C, H, W): every pixel of every square, looked up one by one."""
    channels, height, width = maps.shape
    crops = np.full((len(source), channels, height, width), -1.0)
    for joint, ((sx, sy, seen), (tx, ty, wanted)) in enumerate(zip(source, target, strict=True)):
        for down in range(-radius, radius) if seen and wanted else ():
            for across in range(-radius, radius):
                here, there = (int(ty) + down, int(tx) + across), (int(sy) + down, int(sx) + across)
                if all(0 <= y < height and 0 <= x < width for y, x in (here, there)):
                    crops[joint, :, here[0], here[1]] = maps[:, there[0], there[1]]
    return crops.reshape(-1, height, width)


def as_published(levels, source, target, radius):
    """(J, H, W) from inverted grey levels 0..255, with numpy's resize, which repeats and breaks rows."""
    height, width = levels.shape
    planes = np.ones((len(source), height, width))
    for joint, ((sx, sy, seen), (tx, ty, wanted)) in enumerate(
        zip(source.astype(int), target.astype(int), strict=True)
    ):
        if not (seen and wanted):
            continue
        crop = levels[max(sy - radius, 0) : min(sy + radius, height), max(sx - radius, 0) : min(sx + radius, width)]
        top, left = max(ty - crop.shape[0] // 2, 0), max(tx - crop.shape[1] // 2, 0)
        bottom, right = min(top + crop.shape[0], height), min(left + crop.shape[1], width)
        planes[joint, top:bottom, left:right] = np.resize(crop, (bottom - top, right - left))
    return (255.0 - planes - 0.5) / 0.5


def case(seed, joints=18, channels=1):
    dice = np.random.default_rng(seed)
    levels = dice.integers(0, 256, (2, channels, HEIGHT, WIDTH))
    places = np.stack([dice.integers(0, WIDTH, (2, 2, joints)), dice.integers(0, HEIGHT, (2, 2, joints))], -1)
    seen = dice.random((2, 2, joints, 1)) < 0.8
    poses = np.concatenate([np.where(seen, places, -1), seen], -1).astype(np.float32)
    return levels, poses[0], poses[1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_crop_is_what_a_loop_finds(seed):
    levels, source, target = case(seed, channels=2)
    maps = torch.from_numpy(levels / 127.5 - 1).float()
    found = crop_joints(maps, torch.from_numpy(source), torch.from_numpy(target), radius_px=RADIUS)
    for sample in range(2):
        expected = looped(maps[sample].numpy(), source[sample], target[sample], RADIUS)
        np.testing.assert_array_equal(found[sample].numpy(), expected.astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_published_crops_are_reproduced_with_their_quirks(seed):
    levels, source, target = case(seed)
    edges = torch.from_numpy(levels / 127.5 - 1).float()
    found = crop_joints_as_original(edges, torch.from_numpy(source), torch.from_numpy(target), radius_px=RADIUS)
    for sample in range(2):
        expected = as_published(levels[sample, 0], source[sample], target[sample], RADIUS)
        np.testing.assert_allclose(found[sample].numpy(), expected, atol=1e-3)


def test_empty_paper_and_lines_have_the_published_values():
    edges = torch.full((1, 1, 256, 176), -1.0)
    edges[..., 60, 50] = 1.0
    joint = torch.tensor([[[50.0, 60.0, 1.0]]])
    found = crop_joints_as_original(edges, joint, joint + torch.tensor([10.0, 20.0, 0.0]), radius_px=20)
    assert sorted(set(found.unique().tolist())) == [-1.0, EMPTY_IN_ORIGINAL, 509.0]
    assert found[0, 0, 80, 60] == -1
    assert (found != EMPTY_IN_ORIGINAL).sum() == 40 * 40


def test_away_from_every_border_both_ways_show_the_same():
    dice = torch.Generator().manual_seed(0)
    edges = torch.rand(1, 1, 64, 64, generator=dice) * 2 - 1
    source, target = torch.tensor([[[20.0, 30.0, 1.0]]]), torch.tensor([[[40.0, 22.0, 1.0]]])
    clean = crop_joints(edges, source, target, radius_px=8)
    original = crop_joints_as_original(edges, source, target, radius_px=8)
    inside = original != EMPTY_IN_ORIGINAL
    torch.testing.assert_close(254 - 255 * clean[inside], original[inside])
    assert (clean[~inside] == -1).all()


def test_places_between_pixels_are_rounded():
    edges = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = crop_joints(edges, torch.tensor([[[9.0, 12.0, 1.0]]]), torch.tensor([[[20.0, 7.0, 1.0]]]), radius_px=3)
    between = crop_joints(edges, torch.tensor([[[9.4, 11.6, 0.3]]]), torch.tensor([[[19.5, 7.4, 0.9]]]), radius_px=3)
    assert torch.equal(whole, between)


@pytest.mark.parametrize("crop", [crop_joints, crop_joints_as_original])
def test_a_joint_that_is_missing_leaves_nothing(crop):
    edges, there = torch.ones(1, 1, 16, 16), torch.tensor([[[8.0, 8.0, 1.0], [8.0, 8.0, 1.0], [-1.0, -1.0, 0.0]]])
    gone = torch.tensor([[[8.0, 8.0, 1.0], [-1.0, -1.0, 0.0], [8.0, 8.0, 1.0]]])
    found = crop(edges, there, gone, radius_px=4)
    assert len(found[0, 0].unique()) == 2
    assert len(found[0, 1:].unique()) == 1
