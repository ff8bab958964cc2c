import pickle
from collections import Counter

import pytest

from pipeline.render import plan
from pipeline.render.plan import SPLITS


def test_every_person_comes_in_every_pose_with_names_of_its_own():
    specs = plan("natural", people=7, poses=6, seed=3)
    assert [spec.id for spec in specs] == [f"p{person:03d}_{pose}" for person in range(7) for pose in range(6)]
    assert len({spec for spec in specs}) == 42


def test_a_person_wears_the_same_in_all_pictures_and_turns():
    for person in range(4):
        specs = [spec for spec in plan("natural", people=4, poses=6, seed=9) if spec.person == f"p{person:03d}"]
        assert len({(spec.outfit, spec.hair, spec.face, spec.phenotype, spec.split) for spec in specs}) == 1
        yaws = sorted(abs(spec.view.yaw_deg) for spec in specs)
        assert yaws[0] < 45
        assert yaws[-1] > 120


def test_more_people_and_more_poses_leave_the_others_as_they_were():
    few, many = plan("natural", people=3, poses=4, seed=5), plan("natural", people=9, poses=6, seed=5)
    known = {spec.id: spec for spec in many}
    assert all(known[spec.id] == spec for spec in few)


def test_seeds_give_other_people():
    bodies = {spec.phenotype for seed in range(20) for spec in plan("natural", people=10, poses=1, seed=seed)}
    assert len(bodies) == 200


def test_splits_keep_people_together_in_the_shares_promised():
    specs = plan("natural", people=48, poses=2, seed=0)
    shares = Counter(spec.split for spec in specs)
    assert shares == {"train": 72, "val": 8, "test": 16}
    assert len(SPLITS) == 12


def test_variety_reaches_the_people_that_a_catalogue_needs():
    specs = plan("natural", people=60, poses=1, seed=0)
    kinds = Counter(garment.kind for spec in specs for garment in spec.outfit)
    assert {"top", "jacket", "pants", "skirt", "shoes", "hose"} <= set(kinds)
    patterns = {garment.cloth.pattern for spec in specs for garment in spec.outfit}
    assert {"plain", "stripes", "checks", "dots", "flowers", "logo", "denim"} <= patterns
    genders = Counter(dict(spec.phenotype)["gender"] for spec in specs)
    assert min(genders[0.0], genders[1.0]) >= 18
    assert {"short", "long", "bob", "bun", "ponytail"} <= {spec.hair.style for spec in specs}


def test_the_drawn_characters_train_and_test_in_different_poses():
    specs = plan("toon", people=2, poses=7, seed=0)
    assert Counter((spec.person, spec.split) for spec in specs) == {
        ("toon0", "train"): 7, ("toon0", "val"): 1, ("toon0", "test"): 7,
        ("toon1", "train"): 7, ("toon1", "val"): 1, ("toon1", "test"): 7,
    }  # fmt: skip
    for person in ("toon0", "toon1"):
        poses = {
            split: {s.pose for s in specs if s.person == person and s.split == split}
            for split in ("train", "val", "test")
        }
        assert not poses["train"] & poses["test"]
        assert not poses["val"] & (poses["train"] | poses["test"])


def test_asking_for_more_characters_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="2 drawn characters with 7 poses"):
        plan("toon", people=3, poses=7, seed=0)
    with pytest.raises(ValueError, match="-1"):
        plan("natural", people=-1, poses=7, seed=0)


def test_specifications_travel_between_processes():
    specs = plan("natural", people=2, poses=2, seed=1, variety=1.0)
    assert pickle.loads(pickle.dumps(specs)) == specs
