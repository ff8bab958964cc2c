"""Body masks against drawings made another way."""

import numpy as np
import pytest
from skimage import draw, morphology

from pipeline.people import skeleton
from pipeline.people.masks import body_mask

W, H = 176, 256


@pytest.fixture(scope="module")
def person():
    xy = [(88, 30), (88, 60), (60, 62), (50, 110), (45, 150), (116, 62), (126, 110), (131, 150), (70, 150), (68, 200)]
    xy += [(66, 245), (106, 150), (108, 200), (110, 245), (82, 25), (94, 25), (76, 28), (100, 28)]
    return np.concatenate([np.float32(xy), np.ones((18, 1), np.float32)], axis=1)


def closed(mask):
    return morphology.closing(mask, np.ones((5, 5), np.uint8))


def test_discs_as_pg2_places_them(person):
    """Discs at both ends and n = floor(distance / r) between, drawn by scikit-image, then closed."""
    mask = np.zeros((H, W), np.uint8)
    for a, b in skeleton.MASK_LIMBS:
        start, end = person[a, :2], person[b, :2]
        between = int(np.linalg.norm(end - start) / 4)
        for i in range(between + 2):
            x, y = start + (end - start) * i / (between + 1)
            # draw.disk leaves the pixels at just this distance out
            mask[draw.disk((y, x), 4 + 1e-6, shape=mask.shape)] = 1
    ours = body_mask(person, width=W, height=H, kind="discs")
    assert (ours != closed(mask)).mean() < 1e-4


def test_polygons_as_deformable_gan_draws_them(person):
    """Bands of half width 4 as polygons and discs at the joints, drawn by scikit-image, then closed."""
    mask = np.zeros((H, W), np.uint8)
    for a, b in skeleton.MASK_LIMBS:
        start, end = person[a, :2], person[b, :2]
        across = np.array([-(end - start)[1], (end - start)[0]]) / np.linalg.norm(end - start) * 4
        corners = np.array([start + across, end + across, end - across, start - across])
        mask[draw.polygon(corners[:, 1], corners[:, 0], mask.shape)] = 1
    for x, y, _ in person:
        mask[draw.disk((y, x), 4 + 1e-6, shape=mask.shape)] = 1
    ours = body_mask(person, width=W, height=H, kind="polygons")
    assert (ours != closed(mask)).sum() < 0.01 * ours.sum()


@pytest.mark.parametrize("kind", ["discs", "polygons"])
def test_a_mask_holds_its_joints_and_is_binary(person, kind):
    mask = body_mask(person, width=W, height=H, kind=kind)
    assert mask.shape == (H, W)
    assert set(np.unique(mask)) == {0, 1}
    assert all(mask[int(y), int(x)] for x, y, _ in person)
    assert 0.05 < mask.mean() < 0.4


def test_limbs_with_a_missing_end_are_not_drawn(person):
    without = person.copy()
    without[skeleton.LEFT_WRIST] = skeleton.MISSING
    lost = body_mask(person, width=W, height=H).astype(int) - body_mask(without, width=W, height=H)
    assert lost.min() == 0
    rows, _ = np.nonzero(lost)
    assert 110 <= rows.min() <= 125
    assert rows.max() == 154


def test_a_limb_of_whole_numbers_is_the_union_of_its_discs():
    """From (20, 30) to (32, 30), r = 4: four parts of 3 px, so discs at 20, 23, 26, 29 and 32; then closed."""
    joints = skeleton.empty()
    a, b = skeleton.MASK_LIMBS[0]
    joints[a], joints[b] = (20, 30, 1), (32, 30, 1)
    rows, columns = np.mgrid[:H, :W]
    mask = np.zeros((H, W), np.uint8)
    for x in (20, 23, 26, 29, 32):
        mask |= ((columns - x) ** 2 + (rows - 30) ** 2 <= 16).astype(np.uint8)
    np.testing.assert_array_equal(body_mask(joints, width=W, height=H), closed(mask))


def test_nobody_is_an_empty_mask():
    assert not body_mask(skeleton.empty(), width=W, height=H).any()


def test_joints_in_the_corners_stay_inside():
    joints = skeleton.empty()
    joints[0], joints[1] = (0, 0, 1), (W - 1, H - 1, 1)
    mask = body_mask(joints, width=W, height=H)
    assert mask[0, 0] == mask[-1, -1] == 1


def test_an_unknown_kind_is_named(person):
    with pytest.raises(ValueError, match="'hull' is not one of discs, polygons"):
        body_mask(person, width=W, height=H, kind="hull")
