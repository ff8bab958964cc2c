import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.reid import People, ReidSettings, adapt, fresh, kissme, learn, pseudo_identities, rank, score, varied
from pipeline.errors import UserError


def _by_hand(scores, query, gallery):
    """Rank-1 and mAP picture by picture, as Market-1501's rules are told."""
    hits, precisions = [], []
    for row, (person, camera) in enumerate(zip(*query, strict=True)):
        answers = []
        for column, (other, other_camera) in enumerate(zip(*gallery, strict=True)):
            if other == "-1" or (other == person and other_camera == camera):
                continue
            answers.append((scores[row][column], other == person and person != "0000"))
        answers.sort(key=lambda answer: -answer[0])
        right, found = 0, []
        for place, (_, is_right) in enumerate(answers, start=1):
            if is_right:
                right += 1
                found.append(right / place)
        if found:
            hits.append(answers[0][1])
            precisions.append(sum(found) / len(found))
    return sum(hits) / len(hits), sum(precisions) / len(precisions), len(hits)


def test_scores_against_a_loop():
    dice = np.random.default_rng(0)
    names = np.array(["-1", "0000", "0001", "0002", "0003", "0004"])
    query = tuple(dice.choice(names[2:], 20)), tuple(dice.choice(list("123"), 20))
    gallery = tuple(dice.choice(names, 60)), tuple(dice.choice(list("123"), 60))
    q, g = (F.normalize(torch.from_numpy(dice.normal(size=(count, 8)))) for count in (20, 60))
    found = rank(q, query, g, gallery)
    rank1, mean, count = _by_hand((q @ g.T).tolist(), query, gallery)
    assert found["rank1"] == pytest.approx(rank1)
    assert found["map"] == pytest.approx(mean, abs=1e-6)
    assert found["queries"] == count
    assert 0 < rank1 < 1


def test_the_rules_one_by_one():
    """The gallery in order of likeness: the query itself, junk, a distractor, right, wrong, right."""
    query = torch.tensor([[1.0, 0.0]])
    gallery = torch.tensor([[1.0, 0], [0.9, 0], [0.8, 0], [0.7, 0], [0.6, 0], [0.5, 0]])
    persons = ("0001", "-1", "0000", "0001", "0002", "0001")
    found = rank(query, (("0001",), ("1",)), gallery, (persons, ("1", "2", "2", "2", "2", "3")))
    # Left over: distractor, right, wrong, right: precision 1/2 and 2/4.
    assert found == {"rank1": 0.0, "map": pytest.approx(0.5), "queries": 1}


def test_a_query_without_an_answer_is_not_counted():
    same = torch.ones(1, 2)
    assert rank(same, (("0001",), ("1",)), same, (("0002",), ("1",)))["queries"] == 0
    assert math.isnan(rank(same, (("0001",), ("1",)), same, (("0001",), ("1",)))["rank1"])


def _people(count: int, pictures: int, seed: int) -> People:
    """Persons of two colours each, above and below, in noise."""
    dice = torch.Generator().manual_seed(seed)
    images, persons, cameras = [], [], []
    for person in range(count):
        colours = torch.rand(3, 2, 1, generator=dice) * 255
        for picture in range(pictures):
            image = colours.repeat_interleave(64, 1).expand(3, 128, 64) + torch.randn(3, 128, 64, generator=dice) * 25
            images.append(image.clamp(0, 255).to(torch.uint8))
            persons.append(f"{seed:02d}{person:02d}")
            cameras.append(str(picture))
    return People(torch.stack(images), tuple(persons), tuple(cameras))


def test_it_learns_to_tell_strangers_apart():
    made, strangers = _people(8, 4, 1), _people(5, 3, 2)
    # Two persons of nearly one colour would decide it: what random weights already see must leave something to learn.
    noisy = People((strangers.images // 4 + 90), strangers.persons, strangers.cameras)
    settings = ReidSettings(epochs=4, batch=16, learning_rate=1e-3)
    before = score(fresh(0), noisy, noisy)
    learnt = learn(fresh(0), made.images, made.persons, settings)
    after = score(learnt, made, made)
    assert after["map"] > score(fresh(0), made, made)["map"] - 1e-6
    assert 0 <= before["map"] <= 1
    again = learn(fresh(0), made.images, made.persons, settings)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in learnt.state_dict().items())
    adapted = adapt(again, strangers.images, 5, ReidSettings(epochs=1, rounds=1, reliable=0.5))
    assert score(adapted, strangers, strangers)["queries"] == 15


def test_one_person_is_nothing_to_learn_from():
    with pytest.raises(UserError, match="1 person to learn from: there must be two at least"):
        learn(fresh(0), torch.zeros(2, 3, 128, 64, dtype=torch.uint8), ("a", "a"), ReidSettings())


def test_clusters_serve_as_identities_and_their_edges_do_not():
    """Three directions with pictures close to each, and one picture half way between two of them."""
    dice = np.random.default_rng(0)
    middles = np.eye(3, 8)[np.repeat(np.arange(3), 10)]
    features = np.concatenate([middles + dice.normal(0, 0.02, (30, 8)), [[1, 1, 0, 0, 0, 0, 0, 0]]])
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    labels, is_reliable = pseudo_identities(features, 3, reliable=0.85, seed=1)
    assert [len(set(labels[10 * k : 10 * k + 10])) for k in range(3)] == [1, 1, 1]
    assert len(set(labels[:30])) == 3
    assert is_reliable[:30].all()
    assert not is_reliable[30]


def test_pictures_are_varied_within_what_they_show():
    images = torch.randint(0, 120, (40, 3, 128, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    out = varied(images, torch.Generator().manual_seed(1))
    assert out.shape == images.shape
    grey = (out == 127).all(1).float().mean((1, 2))
    assert float(grey.min()) > 0.005
    assert float(grey.max()) < 0.45
    assert set(out.unique().tolist()) <= set(range(120)) | {127}


# KISSME.


def _persons_in_noise(dice, counts, numbers):
    """Features whose persons differ in all numbers but the first, which is noise of no meaning."""
    persons = np.repeat(np.arange(len(counts)), counts)
    features = dice.normal(size=(len(counts), numbers))[persons] + dice.normal(size=(len(persons), numbers)) * 0.3
    features[:, 0] = dice.normal(size=len(persons)) * 3
    return features, tuple(f"{person:04d}" for person in persons)


def test_kissmes_distance_against_all_pairs_one_by_one():
    """Pairs of one person and of two in a loop; the two inverses; what is negative of their difference left out."""
    features, persons = _persons_in_noise(np.random.default_rng(0), (2, 5, 1, 4, 3), 4)
    alike, unlike = [], []
    for one in range(len(persons)):
        for other in range(one):
            difference = features[one] - features[other]
            (alike if persons[one] == persons[other] else unlike).append(np.outer(difference, difference))
    metric = np.linalg.inv(np.mean(alike, 0)) - np.linalg.inv(np.mean(unlike, 0))
    values, vectors = np.linalg.eigh(metric)
    assert values[0] < 0 < values[-1]
    metric = vectors @ np.diag(values.clip(0)) @ vectors.T
    found = (torch.from_numpy(features) @ kissme(torch.from_numpy(features), persons)).numpy()
    for one, other in [(0, 1), (0, 7), (3, 9), (14, 2)]:
        difference = features[one] - features[other]
        assert ((found[one] - found[other]) ** 2).sum() == pytest.approx(difference @ metric @ difference, rel=1e-8)


def test_kissme_finds_strangers_by_what_tells_people_apart():
    dice = np.random.default_rng(1)
    known, names = _persons_in_noise(dice, (6,) * 20, 8)
    strangers, persons = _persons_in_noise(dice, (4,) * 10, 8)
    features, cameras = torch.from_numpy(strangers).float(), tuple(map(str, range(len(persons))))
    metric = kissme(torch.from_numpy(known).float(), names)
    assert metric.dtype == torch.float32
    before, after = (rank(x, (persons, cameras), x, (persons, cameras))["map"] for x in (features, features @ metric))
    assert after > before + 0.1


def test_kissme_keeps_as_many_numbers_as_can_be_told_from_few_pictures():
    features, persons = _persons_in_noise(np.random.default_rng(2), (2, 2, 3), 50)
    metric = kissme(torch.from_numpy(features), persons)
    assert metric.shape == (50, 4)  # 7 pictures of 3 persons
    assert torch.isfinite(metric).all()
    assert kissme(torch.from_numpy(features), persons, numbers=2).shape == (50, 2)


@pytest.mark.parametrize("persons", [("a", "a", "a"), ("a", "b", "c")])
def test_kissme_needs_pairs_of_either_kind(persons):
    with pytest.raises(UserError, match="KISSME compares pictures of one person and of two: give two persons"):
        kissme(torch.rand(3, 4), persons)
