"""People of a folder that nothing was trained on: which poses they are drawn in, and what sentences numbers allow."""

import numpy as np
import pytest

from experiments import domains, pictures
from experiments.domains import AWAY, CHARACTERS, LOOKS, OWN, POSE, PRETRAINED, SOURCE, TARGET
from models.metrics.intervals import Interval
from pipeline.people.labels import BACKGROUND, FACE, SKIRT, UPPER_CLOTHES
from stages.measuring import Sight
from stages.photograph import Photograph

SIZE = (40, 30)  # height, width


def person(name):
    parsing = np.full(SIZE, BACKGROUND, np.uint8)
    parsing[:10], parsing[10:30] = FACE, UPPER_CLOTHES
    joints = np.ones((18, 3), np.float32) * (10, 10, 1)
    joints[:, 1] += np.arange(18)
    return Photograph(name, np.full((*SIZE, 3), 100, np.uint8), joints, parsing)


def sight(count, parsing):
    joints = np.stack([person("a").joints] * count)
    return Sight(joints, np.ones(count), [parsing] * count, None, np.ones((count, 4)))


def test_poses_are_of_the_same_person_where_there_are_some():
    people = [person(name) for name in ("mage_a.png", "rogue_a.png", "mage_b.png", "rogue_b.png", "alone.png")]
    pairs = domains.choose_pairs(people, 2)
    of = {place: [pose for one, pose in pairs.places if one == place] for place in range(5)}
    assert of[0] == [0, 2]
    assert of[1] == [1, 3]
    assert of[4][0] == 4
    assert len(of[4]) == 3
    assert pairs.has_target.tolist() == [pose != one and one != 4 for one, pose in pairs.places]
    assert pairs.is_own.sum() == 5


def test_one_picture_alone_is_drawn_in_its_own_pose():
    assert domains.choose_pairs([person("a.png")], 2).places == [(0, 0)]


def test_scores_are_told_only_where_they_mean_something():
    pairs = domains.choose_pairs([person("mage_a.png"), person("mage_b.png")], 1)
    drawn = [pairs.people[pose].image for _, pose in pairs.places]
    count = len(drawn)
    found = domains.measure(drawn, sight(count, pairs.people[0].parsing), np.ones((count, 4)), pairs)
    assert np.isfinite(found[OWN]).tolist() == pairs.is_own.tolist()
    assert np.isfinite(found[TARGET]).tolist() == pairs.has_target.tolist()
    assert found[AWAY][~pairs.is_own] == pytest.approx(0)
    assert found[LOOKS][~pairs.is_own] == pytest.approx(1)
    table = domains.tabulate({SOURCE: found, PRETRAINED: found}, pairs)
    assert table[SOURCE][OWN] == "the same picture"
    assert table[PRETRAINED][AWAY]["value"] == 0


def test_a_part_that_becomes_another_is_lost():
    pairs = domains.choose_pairs([person("a.png"), person("b.png")], 1)
    became = np.where(pairs.people[0].parsing == UPPER_CLOTHES, SKIRT, pairs.people[0].parsing)
    drawn = {name: [np.full((*SIZE, 3), 130, np.uint8)] * 4 for name in (PRETRAINED, CHARACTERS)}
    parts = domains.parts_of({name: sight(4, became) for name in drawn}, drawn, pairs)
    assert set(parts) == {"face", "upper clothes"}
    assert parts["face"][f"IoU, {PRETRAINED}"]["value"] == 1
    assert parts["upper clothes"][f"IoU, {PRETRAINED}"]["value"] == 0
    assert parts["face"][f"colour off, levels, {CHARACTERS}"]["value"] == 30
    told = domains.read_scores("toons", _scores(pairs, away=-5.0), parts, pairs)
    assert "upper clothes (0.00)" in told[-1]
    assert "face" not in told[-1]


@pytest.mark.parametrize(("away", "word"), [(-5.0, "is followed"), (5.0, "is missed"), (0.0, "is not surely followed")])
def test_sentences_follow_the_interval(away, word):
    pairs = domains.choose_pairs([person(f"{letter}.png") for letter in "abcdef"], 1)
    told = domains.read_scores("toons", _scores(pairs, away), {"face": {f"IoU, {PRETRAINED}": 0.5}}, pairs)
    assert word in told[0]
    assert "no part is lost" in told[-1]


def _scores(pairs, away):
    dice = np.random.default_rng(0)
    count = len(pairs.places)

    def values(mean):
        return np.where(pairs.is_own, np.nan, mean + dice.normal(0, 0.1, count))

    none = np.full(count, np.nan)
    own = np.where(pairs.is_own, 0.5, np.nan)
    common = {OWN: own, TARGET: none, LOOKS: values(0.5)}
    # Noise around nothing that is as often above as below.
    return {
        SOURCE: common | {AWAY: np.where(pairs.is_own, np.nan, 20.0)},
        POSE: common | {AWAY: np.where(pairs.is_own, np.nan, 1.0)},
        PRETRAINED: common | {AWAY: np.where(pairs.is_own, np.nan, 20.0 + away + (-1.0) ** (np.arange(count) // 2))},
        CHARACTERS: common | {AWAY: values(20.0)},
    }


def test_without_folders_what_was_measured_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "RESULTS", tmp_path)
    (tmp_path / "pictures.json").write_text("measured")
    pictures.main()
    assert (tmp_path / "pictures.json").read_text() == "measured"


def test_intervals_are_over_pictures():
    pairs = domains.choose_pairs([person("mage_a.png"), person("mage_b.png"), person("mage_c.png")], 2)
    found = {OWN: np.where(pairs.is_own, np.arange(9.0), np.nan)}
    cell = domains.tabulate({PRETRAINED: found}, pairs)[PRETRAINED][OWN]
    assert Interval(cell["value"], cell["low"], cell["high"], 3, 3).value == 3.0
