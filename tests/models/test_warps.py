"""Warps against loops over pixels, and the device's drawings against those of pipeline.people."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.warps import (
    Warps,
    body_masks,
    body_parts,
    crop_faces,
    joint_patches,
    make_warps,
    moved_at_random,
    ten_labels,
)
from pipeline.people import parts
from pipeline.people.masks import body_mask


@pytest.fixture
def joints():
    dice = np.random.default_rng(2)
    found = np.concatenate([dice.uniform(6, 40, (2, 18, 2)) * (1, 1.5), np.ones((2, 18, 1))], -1)
    found[1, 4] = (-1, -1, 0)
    return torch.from_numpy(found).float()


def plain_warp(features, moves, masks):
    """The largest over the parts of each part moved and masked; bilinear, zeros outside, in float64."""
    channels, height, width = features.shape
    out = np.full((channels, height, width), -np.inf)
    padded = np.pad(features.astype(float), ((0, 0), (1, 1), (1, 1)))
    for move, mask in zip(moves, masks, strict=True):
        for y in range(height):
            for x in range(width):
                u, v = move @ (x, y, 1)
                value = np.zeros(channels)
                if -1 < u < width and -1 < v < height:
                    left, top = int(np.floor(u)), int(np.floor(v))
                    a, b = u - left, v - top
                    corner = padded[:, top + 1 : top + 3, left + 1 : left + 3]
                    value = (corner * np.outer([1 - b, b], [1 - a, a])).sum((1, 2))
                out[:, y, x] = np.maximum(out[:, y, x], value * mask[y, x])
    return out


def in_pixels(move, height, width):
    """A move of -1..1 with aligned corners, in pixels of a map of this size."""
    to_unit = np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
    return (np.linalg.inv(to_unit) @ np.vstack([move, [0, 0, 1]]) @ to_unit)[:2]


@pytest.mark.parametrize("size", [(64, 44), (32, 22)])
def test_warps_are_those_of_loops(joints, size):
    warps = make_warps(joints[:1], joints[1:], (64, 44))
    features = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    masks = F.interpolate(warps.masks, size, mode="bilinear", align_corners=False)[0].numpy()
    moves = [in_pixels(move.double().numpy(), *size) for move in warps.moves[0]]
    expected = plain_warp(features[0].numpy(), moves, masks)
    np.testing.assert_allclose(warps(features)[0], expected, atol=2e-4)


def published(move, height, width, *, exchanged):
    """The published normalisation and the right one, entry by entry."""
    (a, b, c), (d, e, f) = move
    if exchanged:
        return [[a, b * width / height, c * 2 / height + a + b - 1], [d * height / width, e, f * 2 / width + d + e - 1]]
    b, d = b * height / width, d * width / height
    return [[a, b, c * 2 / width + a + b - 1], [d, e, f * 2 / height + d + e - 1]]


@pytest.mark.parametrize("exchanged", [False, True])
def test_coordinates_are_normalised_as_published_or_right(joints, exchanged):
    moves = parts.part_moves(joints[0].numpy(), joints[1].numpy())
    for height, width in ((64, 44), (64, 64)):
        found = make_warps(joints[:1], joints[1:], (height, width), exchanged=exchanged).moves[0]
        expected = [published(move, height, width, exchanged=exchanged) for move in moves]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_both_normalisations_are_one_for_squares(joints):
    ours, theirs = (make_warps(joints[:1], joints[1:], (64, 64), exchanged=flag).moves for flag in (False, True))
    torch.testing.assert_close(ours, theirs)


def test_a_part_lands_where_it_belongs():
    """A turn by a right angle at 256x176: right proportions carry a dot to where the joints say, exchanged ones do not."""
    source = torch.zeros(1, 18, 3)
    source[..., 2] = 1
    source[0, :, :2] = torch.rand(18, 2, generator=torch.Generator().manual_seed(1)) * 20
    torso = [8, 11, 5, 2]
    source[0, torso, :2] = torch.tensor([(60.0, 120.0), (100.0, 120.0), (100.0, 60.0), (60.0, 60.0)])
    target = source.clone()
    target[0, torso, :2] = torch.tensor([(50.0, 60.0), (50.0, 100.0), (110.0, 100.0), (110.0, 60.0)])
    dot = torch.zeros(1, 1, 256, 176)
    dot[0, 0, 116:125, 96:105] = 1  # around the left hip
    for exchanged, hit in ((False, True), (True, False)):
        warps = make_warps(source, target, (256, 176), exchanged=exchanged)
        body = Warps(warps.moves[:, :1], warps.masks[:, :1])(dot)
        assert bool(body[0, 0, 100, 50] > 0.5) == hit


def test_the_same_pose_changes_nothing_but_negative_features(joints):
    features = torch.randn(1, 4, 64, 44, generator=torch.Generator().manual_seed(0))
    warped = make_warps(joints[:1], joints[:1], (64, 44))(features)
    torch.testing.assert_close(warped, features.clamp_min(0), atol=1e-3, rtol=1e-3)


def test_gradients_reach_the_features(joints):
    warps = make_warps(joints[:1].double(), joints[1:].double(), (8, 6))
    warps = Warps(warps.moves.double(), warps.masks.double())
    features = torch.rand(1, 1, 8, 6, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: warps(x).square().sum(), features, fast_mode=True)


def test_the_device_draws_what_the_data_layer_draws(joints):
    arrays = joints.numpy()
    drawn = make_warps(joints, joints, (64, 44)).masks.numpy()
    np.testing.assert_array_equal(drawn, parts.draw_parts(parts.part_planes(arrays), width=44, height=64))
    torsos = parts.draw_parts(parts.part_planes(arrays, body="torso"), width=44, height=64)
    np.testing.assert_array_equal(body_parts(joints, (64, 44)).numpy(), torsos)
    parsing = np.random.default_rng(0).integers(0, 8, (2, 64, 44)).astype(np.uint8)
    ours = np.stack([parts.ten_labels(one, people) for one, people in zip(parsing, arrays, strict=True)])
    np.testing.assert_array_equal(ten_labels(torch.from_numpy(parsing), joints).numpy(), ours)
    masks = body_masks(joints, (64, 44), radius_px=4)[:, 0].numpy()
    for mask, people in zip(masks, arrays, strict=True):
        expected = body_mask(people, width=44, height=64, radius_px=4, kind="polygons")
        assert (mask != expected).mean() < 0.002  # pixels at just that distance are rounded either way


@pytest.mark.parametrize("gone", [(0, 14, 15, 16, 17), (15, 17), (9, 10), (2, 3, 4), range(1, 18), range(18)])
def test_the_device_draws_what_the_data_layer_draws_of_people_without_some_limbs(joints, gone):
    """Of a limb both of whose joints are missing, nothing is drawn."""
    joints = joints.clone()
    joints[:, list(gone)] = torch.tensor([-1.0, -1.0, 0.0])
    parsing = np.random.default_rng(0).integers(0, 8, (2, 64, 44)).astype(np.uint8)
    masks, labels = body_masks(joints, (64, 44), radius_px=4), ten_labels(torch.from_numpy(parsing), joints)
    for place, people in enumerate(joints.numpy()):
        expected = body_mask(people, width=44, height=64, radius_px=4, kind="polygons")
        assert (masks[place, 0].numpy() != expected).mean() < 0.002
        np.testing.assert_array_equal(labels[place].numpy(), parts.ten_labels(parsing[place], people))


def test_faces_fill_their_crops(joints):
    """A picture whose levels are its columns and rows: the crop runs from side to side of the head's box."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(44.0), indexing="ij")
    image = torch.stack([x, y, torch.zeros_like(x)])[None]
    crops, is_there = crop_faces(image, joints[:1])
    left, top, right, bottom = parts.head_box(joints[0].numpy())
    assert crops.shape == image.shape
    assert is_there.tolist() == [1]
    middle = crops[0, :2, 31:33, 21:23].mean((1, 2))
    # The published formula divides by the width where aligned corners have one pixel less.
    np.testing.assert_allclose(middle, [(left + right) / 2 * 43 / 44, (top + bottom) / 2 * 63 / 64], atol=0.6)
    nobody = torch.full((1, 18, 3), -1.0)
    assert crop_faces(image, nobody)[1].tolist() == [0]


def test_patches_surround_the_joints(joints):
    found = joint_patches(joints, (64, 44))
    assert found.shape == (2, 18, 64, 44)
    assert not found[1, 4].any()
    x, y = joints[0, 3, :2]
    rows, columns = np.nonzero(found[0, 3].numpy())
    assert abs(rows - float(y)).max() <= 4
    assert abs(columns - float(x)).max() <= 4
    assert found[0, 3, round(float(y)), round(float(x))] == 1


def test_pictures_maps_and_joints_are_moved_together():
    """A dot at every joint: it is where the moved joint is, mirrored ones under the other side's name."""
    joints = torch.full((8, 18, 3), -1.0)
    joints[..., 2] = 0
    joints[:, 2], joints[:, 5] = torch.tensor([30.0, 30.0, 1.0]), torch.tensor([50.0, 44.0, 1.0])
    image, parsing = torch.zeros(8, 3, 96, 72), torch.zeros(8, 96, 72, dtype=torch.uint8)
    for channel, joint in enumerate((2, 5)):
        x, y = joints[0, joint, :2].long().tolist()
        image[:, channel, y - 2 : y + 3, x - 2 : x + 3] = 1
        parsing[:, y - 2 : y + 3, x - 2 : x + 3] = joint
    torch.manual_seed(0)
    moved, maps, places = moved_at_random(image, parsing, joints)
    seen = set()
    for sample in range(8):
        is_mirrored = bool(places[sample, 2, 1] > places[sample, 5, 1])
        for channel, joint in enumerate((5, 2) if is_mirrored else (2, 5)):
            x, y, score = places[sample, joint].tolist()
            assert score == 1
            assert moved[sample, channel, round(y), round(x)] > 0.5
            assert maps[sample, round(y), round(x)] == (2, 5)[channel]
        seen.add(is_mirrored)
    assert seen == {True, False}
