import numpy as np
import pytest
import torch

from models.regions import crops, limb_mask, random_twists, region_boxes, region_places
from pipeline.people import regions
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import MASK_LIMBS, is_present


def people(count=12, *, width=88, height=128, seed=0):
    """Joints (count, 18, 3) scattered over the picture, a third of them missing; of the last person nobody is there."""
    dice = np.random.default_rng(seed)
    joints = np.stack(
        [dice.uniform(0, width - 1, (count, 18)), dice.uniform(0, height - 1, (count, 18)), np.ones((count, 18))], 2
    )
    joints[dice.random((count, 18)) < 0.35] = (-1, -1, 0)
    joints[-1] = (-1, -1, 0)
    return joints.astype(np.float32)


@pytest.mark.parametrize("kind", ["SEVEN", "WHOLE", "ALL_37"])
@pytest.mark.parametrize("margins", [regions.MARKET, regions.DEEPFASHION])
def test_boxes_of_a_batch_are_those_of_each_person(kind, margins):
    chosen, joints = getattr(regions, kind), people()
    boxes, visible = region_boxes(torch.from_numpy(joints), (128, 88), torch.from_numpy(regions.table(chosen)), margins)
    for person, own in enumerate(joints):
        expected, seen = regions.region_boxes(own, width=88, height=128, regions=chosen, margins=margins)
        np.testing.assert_allclose(boxes[person], expected, atol=1e-4)
        np.testing.assert_array_equal(visible[person], seen)


@pytest.mark.parametrize("radius_px", [6.0, 4.0, 2.5])
def test_mask_of_a_batch_is_that_of_each_person(radius_px):
    # Whole and quarter pixels: sums of floats of another order fall on the same side of a disc's rim.
    joints = people(seed=3)
    joints[..., :2] = np.where(joints[..., 2:] > 0, np.round(joints[..., :2] * 4) / 4, -1)
    mask = limb_mask(torch.from_numpy(joints), (128, 88), radius_px).numpy()
    for person, own in enumerate(joints):
        expected = body_mask(own, width=88, height=128, radius_px=radius_px)
        assert np.mean(mask[person, 0] != expected) < 2e-4
    assert mask.any((1, 2, 3)).sum() > 8
    assert not mask[-1].any()


def _near(limb, joints, x, y, radius_px):
    """Is the pixel within a radius of the straight line between two joints?"""
    (ax, ay), (bx, by) = (joints[joint, :2].astype(float) for joint in limb)
    length = (bx - ax) ** 2 + (by - ay) ** 2
    share = 0.0 if length == 0 else min(1.0, max(0.0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length))
    return (ax + share * (bx - ax) - x) ** 2 + (ay + share * (by - ay) - y) ** 2 <= radius_px**2


def test_places_of_regions_against_a_loop():
    height, width, radius_px = 32, 22, 1.7
    joints = people(3, width=width, height=height)
    table = regions.table(regions.SEVEN)
    found = region_places(torch.from_numpy(joints), (height, width), torch.from_numpy(table), radius_px)
    torso = [(2, 5), (2, 11), (5, 8)]
    for person, own in enumerate(joints):
        for region, members in enumerate(regions.SEVEN.values()):
            limbs = [*MASK_LIMBS, *torso, *((joint, joint) for joint in range(18))]
            limbs = [limb for limb in limbs if set(limb) <= set(members) and is_present(own)[list(limb)].all()]
            for y in range(height):
                for x in range(width):
                    expected = any(_near(limb, own, x, y, radius_px) for limb in limbs)
                    assert bool(found[person, region, y, x]) == expected, (person, region, y, x)


def _bilinear(picture, y, x):
    y0, x0 = min(int(y), picture.shape[0] - 2), min(int(x), picture.shape[1] - 2)
    dy, dx = y - y0, x - x0
    rows = [(1 - dx) * picture[row, x0] + dx * picture[row, x0 + 1] for row in (y0, y0 + 1)]
    return (1 - dy) * rows[0] + dy * rows[1]


def test_crops_against_a_loop():
    """TensorFlow's rule: the i-th of S places along a box is first + i (last - first) / (S - 1)."""
    dice = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 20, 14, generator=dice, dtype=torch.double)
    boxes = torch.tensor([[[2.0, 3, 11, 9], [0, 0, 19, 13]], [[4.5, 1.25, 4.5, 8], [0, 0, 1, 1]]], dtype=torch.double)
    found = crops(picture, boxes, 5).unflatten(0, (2, 2))
    for person in range(2):
        for region in range(2):
            top, left, bottom, right = boxes[person, region].tolist()
            for i in range(5):
                for j in range(5):
                    y, x = top + i * (bottom - top) / 4, left + j * (right - left) / 4
                    for channel in range(3):
                        expected = _bilinear(picture[person, channel].numpy(), y, x)
                        assert float(found[person, region, channel, i, j]) == pytest.approx(expected, abs=1e-9)


def test_twists_mirror_turn_and_keep_to_their_amount():
    box, picture = torch.tensor([[[0.0, 0, 8, 8]]]), torch.arange(81.0).view(1, 1, 9, 9)
    plain = torch.tensor([[[[1.0, 0, 0], [0, 1, 0]]]])
    assert torch.equal(crops(picture, box, 9, twist_BR23=plain), crops(picture, box, 9))
    mirror = torch.tensor([[[[-1.0, 0, 0], [0, 1, 0]]]])
    torch.testing.assert_close(crops(picture, box, 9, twist_BR23=mirror), picture.flip(3))
    turn = torch.tensor([[[[0.0, -1, 0], [1, 0, 0]]]])
    torch.testing.assert_close(crops(picture, box, 9, twist_BR23=turn), picture.rot90(1, (2, 3)))
    torch.manual_seed(0)
    twists = random_twists((500, 2), 0.5, torch.device("cpu"))
    size = twists[..., :2].det().abs().sqrt()
    assert torch.exp(torch.tensor(-0.15)) <= size.min()
    assert size.max() <= torch.exp(torch.tensor(0.15))
    assert twists[..., 2].abs().max() <= 0.125
    share = float((twists[..., :2].det() < 0).float().mean())
    assert 0.45 < share < 0.55
