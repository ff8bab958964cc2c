"""The choices of `keypoints`: who is found, and what becomes of joints that the network is unsure of."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from models.detectors import pose, posenet, storage
from models.detectors.pose import Person
from pipeline import params
from pipeline.engine import Item
from pipeline.errors import BadItem
from pipeline.imports import ROOT
from pipeline.people import skeleton
from pipeline.pictures import encode_png
from pipeline.render import plan, render
from stages import keypoints
from stages.crop import person_finder
from stages.finding import Finding
from stages.looks import Looker, Recipe
from stages.parsing import Labelling


@pytest.fixture(scope="module")
def figure():
    return render(plan("natural", people=1, poses=1, seed=660_001)[0])


def test_the_defaults_are_those_of_params_yaml():
    settings = params.load(ROOT / "params.yaml")
    domain = settings.domain(settings.pretrain_domain)
    assert Finding.of(domain.keypoints) == Finding()
    assert Labelling.of(domain.parsing) == Labelling()


def test_unsure_joints_are_dropped_or_kept_and_never_counted():
    joints = skeleton.empty()
    joints[:3] = (10, 20, 0.9), (30, 40, 0.3), (50, 60, 0.2999)
    person = Person(joints, 0.5, (0, 0, 60, 60))
    assert np.array_equal(Finding().joints(person), joints)
    drop, keep = Finding(min_score=0.3), Finding(min_score=0.3, low_scores="keep")
    assert skeleton.is_present(drop.joints(person)).sum() == 2
    assert np.array_equal(drop.joints(person)[2], np.float32(skeleton.MISSING))
    assert np.array_equal(keep.joints(person), joints)
    assert drop.sure(joints).sum() == keep.sure(joints).sum() == 2


def test_the_stage_does_as_it_is_told(figure):
    item = Item("a", (encode_png(figure.image),))

    def stage(min_joints, **choices):
        accept = keypoints.Accept(min_joints, 1, Finding(**choices))
        return keypoints.make_worker(pose.SHIPPED, accept)([item])[0]

    def joints(outcome):
        return np.frombuffer(outcome["joints"], "<f4").reshape(18, 3)

    everything = joints(stage(6))
    limit = float(np.sort(everything[:, 2])[9])  # ten joints are surer, or as sure
    sure = (everything[:, 2] >= limit).sum()
    dropped = joints(stage(6, min_score=limit))
    assert np.array_equal(skeleton.is_present(dropped), everything[:, 2] >= limit)
    assert np.array_equal(joints(stage(6, min_score=limit, low_scores="keep")), everything)
    for low_scores in ("drop", "keep"):
        refused = stage(int(sure) + 1, min_score=limit, low_scores=low_scores)
        assert isinstance(refused, BadItem)
        assert f"only {sure} of 18 joints" in str(refused)
    assert not np.array_equal(joints(stage(6, flip_test=False)), everything)
    assert not np.array_equal(joints(stage(6, edges_px=(320,))), everything)


def test_everyone_who_cuts_out_a_person_takes_the_same(figure):
    """A large person at the left, a smaller one in the middle."""
    small = figure.image[::2, ::2]
    picture = np.full((300, 528, 3), 200, np.uint8)
    picture[20:276, :176] = figure.image
    picture[100:228, 220:308] = small
    found = {rule: person_finder(pose.SHIPPED, rule)(picture)[0] for rule in ("largest", "central")}
    assert found["largest"].box[2] < 200 < found["central"].box[0]
    for rule, person in found.items():
        move, _ = Looker(Recipe(finding=Finding(person=rule))).cut(picture)
        middle = (move.taken[0] + move.taken[2]) / 2
        assert person.box[0] < middle < person.box[2]


def test_a_listed_pickle_serves_every_place_that_finds_people(tmp_path, figure):
    """As a checkpoint of openpifpaf does: the whole network, with its epoch."""
    weights, description = storage.read(pose.SHIPPED)
    network = posenet.build(description)
    network.load_state_dict(weights)
    path = tmp_path / "network.pkl"
    torch.save({"model": network, "epoch": 3}, path)
    (expected,) = Finding().detector(pose.SHIPPED).detect([figure.image])
    trusted = hashlib.sha256(path.read_bytes()).hexdigest()
    recipe = dataclasses.replace(Recipe(), pose_weights=path, trusted=trusted)
    (seen,) = Looker(recipe).see([figure.image])
    assert np.array_equal(seen.person.joints, expected[0].joints)
    assert person_finder(path, "main", trusted)(figure.image)[0] is not None
    with pytest.raises(ValueError, match=rf"{trusted} is not listed.*keypoints\.trusted"):
        Looker(dataclasses.replace(recipe, trusted="")).see([figure.image])
