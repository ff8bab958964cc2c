import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from models.data import Batch, Draw, Draws, Pairs, batches, pose_maps, recoloured, take
from pipeline.people import heatmaps, skeleton

PLANES = ("source", "source_parsing", "target", "target_parsing", "target_mask")
CPU = torch.device("cpu")


@given(
    npst.arrays(np.float32, (18, 2), elements=st.floats(-1, 60, width=32)),
    npst.arrays(np.bool_, 18),
    st.sampled_from(["delta", "gaussian", "disc"]),
    st.floats(0.5, 20),
)
@settings(max_examples=60, deadline=None)
def test_pose_maps_equal_the_stored_kind(places, present, kind, sigma_px):
    joints = np.concatenate([places, present[:, None]], axis=1).astype(np.float32)
    expected = heatmaps.render(joints, width=44, height=64, kind=kind, sigma_px=sigma_px)
    maps = pose_maps(torch.from_numpy(joints)[None], (64, 44), kind=kind, sigma_px=sigma_px)[0]
    np.testing.assert_allclose(maps.numpy(), expected, atol=1e-6)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="heat map kind 'blob' is not one of delta, gaussian, disc"):
        pose_maps(torch.zeros(1, 18, 3), (8, 8), kind="blob")


def test_a_sample_is_the_packs_rows(pack, train_pairs):
    source, target = pack.pairs("train")[3]
    arrays = train_pairs[Draw(3)]
    np.testing.assert_array_equal(arrays["source"], pack.image(source))
    np.testing.assert_array_equal(arrays["target"], pack.image(target))
    np.testing.assert_array_equal(arrays["source_parsing"], pack.parsing(source))
    np.testing.assert_array_equal(arrays["target_mask"], pack.mask(target))
    np.testing.assert_array_equal(arrays["target_joints"], pack.keypoints[target])


def test_a_mirrored_sample_is_mirrored_throughout(train_pairs):
    plain, mirrored = train_pairs[Draw(1)], train_pairs[Draw(1, is_mirrored=True)]
    for key in ("source", "source_parsing", "target", "target_mask"):
        np.testing.assert_array_equal(mirrored[key], plain[key][:, ::-1])
    for key in ("source_joints", "target_joints"):
        np.testing.assert_array_equal(mirrored[key], skeleton.flip(plain[key], 44))


def test_edges_are_read_where_a_system_asks_for_them(pack):
    source, target = pack.pairs("train")[3]
    pairs = Pairs(pack, pack.pairs("train"), {"edges"})
    batch = next(batches(pairs, [[Draw(3), Draw(3, is_mirrored=True)]], device=CPU))
    for edges, row in ((batch.source_edges, source), (batch.target_edges, target)):
        lines = 1 - pack.edges(row).astype(np.float32) / 127.5
        np.testing.assert_allclose(edges[0, 0], lines, atol=1e-6)
        np.testing.assert_allclose(edges[1, 0], lines[:, ::-1], atol=1e-6)
    assert batch.scaled(0.5).source_edges.shape[-2:] == batch.scaled(0.5).size
    assert next(batches(Pairs(pack, pack.pairs("train")), [[Draw(3)]], device=CPU)).source_edges is None


def test_no_pairs_is_an_error(pack):
    with pytest.raises(ValueError, match="there are no pairs"):
        Pairs(pack, np.empty((0, 2), np.int32))


def test_draws_depend_on_seed_and_step_alone():
    whole = list(Draws(9, range(0, 20), batch=3, seed=5, mirror=True))
    assert list(Draws(9, range(12, 20), batch=3, seed=5, mirror=True)) == whole[12:]
    assert list(Draws(9, range(0, 20), batch=3, seed=6, mirror=True)) != whole
    drawn = [draw for step in whole for draw in step]
    assert {draw.pair for draw in drawn} == set(range(9))
    assert {draw.is_mirrored for draw in drawn} == {True, False}


def test_without_mirror_nothing_is_mirrored():
    assert not any(draw.is_mirrored for step in Draws(9, range(20), batch=3, seed=5, mirror=False) for draw in step)


def test_reading_processes_change_nothing(train_pairs):
    draws = Draws(len(train_pairs), range(3), batch=2, seed=0, mirror=True)
    for here, there in zip(
        batches(train_pairs, draws, device=CPU), batches(train_pairs, draws, device=CPU, workers=2), strict=True
    ):
        torch.testing.assert_close(here.__dict__, there.__dict__, rtol=0, atol=0)


def test_pairs_travel_to_another_process(train_pairs):
    copy = pickle.loads(pickle.dumps(train_pairs))
    np.testing.assert_array_equal(copy[Draw(0)]["source"], train_pairs[Draw(0)]["source"])


def test_a_batch_has_the_networks_ranges(train_pairs):
    batch = take(train_pairs, 4, CPU)
    levels = torch.from_numpy(train_pairs[Draw(0)]["source"]).permute(2, 0, 1)
    torch.testing.assert_close(batch.source[0], levels / 127.5 - 1)
    assert batch.source.is_contiguous()
    assert batch.size == (64, 44)
    assert batch.source_parsing.shape == (4, 64, 44)
    assert batch.target_mask.shape == (4, 1, 64, 44)
    assert set(batch.target_mask.unique().tolist()) == {0.0, 1.0}


def test_half_size_averages_pictures_and_moves_joints(train_pairs):
    batch = take(train_pairs, 4, CPU)
    half = batch.scaled(0.5)
    assert half.size == (32, 24)  # 22 is rounded to a multiple of 4
    assert half.scale == 0.5
    even = Batch(**{key: value[..., :40] if key in PLANES else value for key, value in batch.__dict__.items()})
    quarters = even.source.unflatten(2, (32, 2)).unflatten(4, (20, 2)).mean((3, 5))
    torch.testing.assert_close(even.scaled(0.5).source, quarters)
    moved = skeleton.move(even.target_joints.numpy(), offset=(0, 0), scale=(0.5, 0.5), size=(20, 32))
    inside = skeleton.is_present(moved)
    np.testing.assert_allclose(even.scaled(0.5).target_joints.numpy()[inside], moved[inside], atol=1e-5)
    missing = ~skeleton.is_present(batch.target_joints.numpy())
    assert missing.any()
    assert (half.target_joints.numpy()[missing] == [-1, -1, 0]).all()


@given(st.floats(0, 43), st.floats(0, 63), st.sampled_from([0.25, 0.5, 0.75]))
def test_a_joint_that_was_there_stays_there(x, y, scale):
    joints = torch.tensor([[[x, y, 1.0]] * 18])
    image, labels = torch.zeros(1, 3, 64, 44), torch.zeros(1, 64, 44, dtype=torch.uint8)
    batch = Batch(image, labels, joints, image, labels, joints, torch.zeros(1, 1, 64, 44))
    assert (batch.scaled(scale).target_joints >= 0).all()


def test_labels_stay_labels(train_pairs):
    batch = take(train_pairs, 4, CPU)
    assert set(batch.scaled(0.5).source_parsing.unique().tolist()) <= set(batch.source_parsing.unique().tolist())


def test_recolouring_is_the_same_in_both_pictures_and_leaves_skin_and_hair(train_pairs):
    batch = take(train_pairs, 6, CPU)
    changed = recoloured(batch, torch.Generator().manual_seed(0))
    for before, after, parsing in (
        (batch.source, changed.source, batch.source_parsing),
        (batch.target, changed.target, batch.target_parsing),
    ):
        face = (parsing == 2)[:, None].expand_as(before)
        assert torch.equal(before[face], after[face])
        assert not torch.equal(before, after)
    for sample in range(6):
        # Every part of the tiny people is one plain colour.
        for part in (0, 3, 4):
            colours = [
                image[sample][:, parsing[sample] == part].unique(dim=1)
                for image, parsing in (
                    (changed.source, changed.source_parsing),
                    (changed.target, changed.target_parsing),
                )
            ]
            assert colours[0].shape == (3, 1)
            torch.testing.assert_close(*colours)
    assert changed.source.abs().max() <= 1


def test_recolouring_moves_the_mean_and_keeps_the_pattern(train_pairs):
    batch = take(train_pairs, 6, CPU)
    noise = 0.02 * torch.randn(batch.source.shape, generator=torch.Generator().manual_seed(0))
    # Dimmed, so that no pattern reaches the ends of the range.
    batch = replace(batch, source=batch.source * 0.05 + noise, target=batch.target * 0.05)
    changed = recoloured(batch, torch.Generator().manual_seed(0))
    shift = changed.source - batch.source
    moved = 0
    for sample in range(6):
        for part in (0, 3, 4):
            of_part = shift[sample][:, batch.source_parsing[sample] == part]
            torch.testing.assert_close(of_part, of_part.mean(1, keepdim=True).expand_as(of_part), atol=1e-5, rtol=0)
            moved += int(of_part.abs().max() > 1e-3)
    assert 0 < moved < 18


def test_recolouring_is_a_function_of_its_dice(train_pairs):
    batch = take(train_pairs, 6, CPU)
    first, again, other = (recoloured(batch, torch.Generator().manual_seed(seed)).source for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
