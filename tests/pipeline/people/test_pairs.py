"""Splits that stay put, and pairs that are what was asked for."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.people import skeleton
from pipeline.people.pairs import SPLITS, PairRules, add_twins, assign_splits, draw_pairs, keep_pairs, make_pairs
from pipeline.sources import Entry

persons = st.lists(st.text("abcdefgh123", min_size=1, max_size=6), min_size=3, max_size=30, unique=True)
ALL = np.ones((18, 3), np.float32)


def entries_of(people, poses, split=None):
    return [Entry(f"{person}_{pose}", "", person, str(pose), split) for person in people for pose in poses]


def catalog_of(entries, splits):
    rows = [(entry.id, entry.person, entry.pose, splits[entry.id]) for entry in entries]
    return pd.DataFrame(rows, columns=["id", "person", "pose", "split"])


def triples(table):
    return list(table.itertuples(index=False, name=None))


@given(persons, st.text("xyz", min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_new_person_moves_no_other(people, newcomer):
    before = assign_splits(entries_of(people, "ab"), val=0.2, test=0.3)
    after = assign_splits(entries_of([*people, newcomer], "ab"), val=0.2, test=0.3)
    moved = {item_id for item_id, split in before.items() if after[item_id] != split}
    if moved:
        # The person who was held out for want of another makes room for the newcomer.
        assert len({item_id.rpartition("_")[0] for item_id in moved}) == 1
        assert {before[item_id] for item_id in moved} == {"test"}
        assert after[f"{newcomer}_a"] == "test"


@given(persons)
@settings(max_examples=40, deadline=None)
def test_somebody_is_always_held_out_for_scoring(people):
    """Of three persons and more, whatever their names, one who can be paired; and one is left to train on."""
    splits = assign_splits(entries_of(people, "ab"), val=0, test=0.01)
    assert {"train", "test"} <= set(splits.values())


def test_the_last_resort_can_be_paired_and_is_no_other_s_only_one():
    alone = entries_of(["a", "b", "c"], "x")
    assert set(assign_splits(alone, val=0, test=0.01).values()) == {"train"}
    one = [*alone, *entries_of(["d"], "xy")]
    assert set(assign_splits(one, val=0, test=0.01).values()) == {"train"}
    two = [*one, *entries_of(["e"], "xy")]
    held_out = {
        item_id.rpartition("_")[0] for item_id, split in assign_splits(two, val=0, test=0.01).items() if split == "test"
    }
    assert held_out in ({"d"}, {"e"})
    assert set(assign_splits(two, val=0, test=0).values()) == {"train"}
    given_one = [*two, *entries_of(["f"], "xy", split="test")]
    assert sum(split == "test" for split in assign_splits(given_one, val=0, test=0.01).values()) == 2


@pytest.mark.parametrize("people", [["mage"], ["mage", "rogue"]])
def test_of_three_poses_one_is_scored(people):
    splits = assign_splits(entries_of(people, "abc"), val=0.05, test=0.05)
    for person in people:
        assert Counter(splits[f"{person}_{pose}"] for pose in "abc") == {"train": 2, "test": 1}


@given(persons)
@settings(max_examples=40, deadline=None)
def test_a_person_is_in_one_split(people):
    splits = assign_splits(entries_of(people, "abc"), val=0.2, test=0.3)
    for person in people:
        assert len({splits[f"{person}_{pose}"] for pose in "abc"}) == 1


def test_shares_are_reached_by_many_persons():
    splits = assign_splits(entries_of([f"p{i}" for i in range(3000)], "a"), val=0.1, test=0.2)
    counts = Counter(splits.values())
    assert counts["val"] == pytest.approx(300, abs=60)
    assert counts["test"] == pytest.approx(600, abs=80)


@pytest.mark.parametrize("people", [["mage"], ["mage", "rogue"]])
def test_of_few_persons_poses_are_held_out(people):
    splits = assign_splits(entries_of(people, "abcdefg"), val=0.15, test=0.3)
    for person in people:
        of_person = {pose: splits[f"{person}_{pose}"] for pose in "abcdefg"}
        assert Counter(of_person.values()) == {"train": 4, "val": 1, "test": 2}
    # The same poses of both, so that none of them was seen.
    assert len({(pose, splits[f"{person}_{pose}"]) for person in people for pose in "abcdefg"}) == 7


def test_two_poses_at_least_are_left_to_train_on():
    assert set(assign_splits(entries_of(["mage"], "ab"), val=0.4, test=0.5).values()) == {"train"}
    assert Counter(assign_splits(entries_of(["mage"], "abc"), val=0.4, test=0.5).values())["train"] == 2


def test_given_splits_stay():
    entries = entries_of(["a", "b", "c"], "xy", split="test")
    assert set(assign_splits(entries, val=0, test=0).values()) == {"test"}


def test_pairs_are_all_ordered_pairs_of_one_person():
    entries = entries_of(["a", "b", "c"], "xyz")
    catalog = catalog_of(entries, dict.fromkeys([entry.id for entry in entries], "train"))
    table, set_aside = make_pairs(catalog, {entry.id: ALL for entry in entries}, PairRules())
    assert not set_aside
    assert list(table.columns) == ["from", "to", "split"]
    expected = {(f"{p}_{i}", f"{p}_{j}", "train") for p in "abc" for i in "xyz" for j in "xyz" if i != j}
    assert set(triples(table)) == expected
    assert len(table) == len(expected) == 18


def test_seven_by_seven_with_themselves():
    """The anime experiment: seven training pictures of a character give 49 pairs; its other pictures serve test alone."""
    entries = entries_of(["mage"], range(14))
    splits = {f"mage_{pose}": "train" if pose < 7 else "test" for pose in range(14)}
    joints = {entry.id: ALL for entry in entries}
    table, _ = make_pairs(catalog_of(entries, splits), joints, PairRules(include_self=True))
    rows = triples(table)
    train = {(start, end) for start, end, split in rows if split == "train"}
    ids = [f"mage_{pose}" for pose in range(7)]
    assert train == {(start, end) for start in ids for end in ids}
    test = [(start, end) for start, end, split in rows if split == "test"]
    assert len(test) == 7 * 7 + 7 * 6
    assert all(splits[end] == "test" and start != end for start, end in test)


@given(st.integers(1, 40), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_many_pairs_are_drawn_the_same_each_time(limit, seed):
    entries = entries_of(["a", "b", "c"], range(6))
    catalog = catalog_of(entries, dict.fromkeys([entry.id for entry in entries], "train"))
    joints = {entry.id: ALL for entry in entries}
    rules = PairRules(max_per_person=limit, seed=seed)
    table, _ = make_pairs(catalog, joints, rules)
    assert len(table) == 3 * min(limit, 30)
    assert len(set(triples(table))) == len(table)
    pd.testing.assert_frame_equal(table, make_pairs(catalog.iloc[::-1], joints, rules)[0])
    # Of a person alone, the same are drawn.
    alone, _ = make_pairs(catalog[catalog["person"] == "b"], joints, rules)
    assert triples(alone) == [row for row in triples(table) if row[0].startswith("b")]


def test_the_torso_filter_names_what_is_missing():
    entries = entries_of(["a", "b", "c"], "xy")
    catalog = catalog_of(entries, dict.fromkeys([entry.id for entry in entries], "train"))
    joints = {entry.id: ALL.copy() for entry in entries}
    joints["a_x"][[skeleton.LEFT_HIP, skeleton.RIGHT_SHOULDER]] = skeleton.MISSING
    joints["b_x"][skeleton.NOSE] = skeleton.MISSING
    del joints["c_x"]
    table, set_aside = make_pairs(catalog, joints, PairRules())
    assert set_aside == [("a_x", "not found: right shoulder, left hip (pairs.require_torso)")]
    assert {row[0][0] for row in triples(table)} == {"b"}
    table, set_aside = make_pairs(catalog, joints, PairRules(require_torso=False))
    assert {row[0][0] for row in triples(table)} == {"a", "b"}
    assert not set_aside


def test_a_users_list_keeps_order_repeats_and_splits():
    entries = entries_of(["a", "b", "c"], "xy")
    splits = {entry.id: "test" if entry.person == "b" else "train" for entry in entries}
    joints = {entry.id: skeleton.empty() for entry in entries if entry.id != "c_y"}
    listed = [("b_y", "b_x", None), ("a_x", "b_x", "val"), ("c_x", "c_y", None), ("b_y", "b_x", pd.NA)]
    table, set_aside = keep_pairs(listed, catalog_of(entries, splits), joints)
    assert triples(table) == [("b_y", "b_x", "test"), ("a_x", "b_x", "val"), ("b_y", "b_x", "test")]
    assert set_aside == [("c_x -> c_y", "c_y was set aside before")]


def test_no_pairs_is_an_empty_table():
    entries = entries_of(["a", "b", "c"], "x")
    catalog = catalog_of(entries, dict.fromkeys([entry.id for entry in entries], "train"))
    table, set_aside = make_pairs(catalog, {}, PairRules())
    assert list(table.columns) == ["from", "to", "split"]
    assert len(table) == len(set_aside) == 0


@given(st.lists(st.sampled_from(SPLITS), max_size=60), st.integers(1, 20), st.integers(1, 20), st.integers(0, 3))
def test_drawn_pairs_keep_their_order_and_no_more_than_the_limit(splits, train, test, seed):
    pairs = pd.DataFrame({"from": range(len(splits)), "to": range(len(splits)), "split": splits})
    drawn = draw_pairs(pairs, {"train": train, "test": test}, seed=seed)
    counts = drawn["split"].value_counts()
    assert counts.get("train", 0) == min(train, splits.count("train"))
    assert counts.get("test", 0) == min(test, splits.count("test"))
    assert counts.get("val", 0) == splits.count("val")
    assert drawn["from"].is_monotonic_increasing
    assert drawn["from"].is_unique
    assert drawn.equals(draw_pairs(pairs, {"train": train, "test": test}, seed=seed))


def test_twins_stand_behind_the_pairs_and_only_training_has_them():
    pairs = pd.DataFrame(
        [("a", "b", "train"), ("b", "a", "train"), ("a", "c", "train"), ("a", "d", "test")],
        columns=["from", "to", "split"],
        dtype="string",
    )
    twins = {"a": "a~flip", "b": "b~flip", "d": "d~flip"}
    assert triples(add_twins(pairs, twins)) == [
        *triples(pairs),
        ("a~flip", "b~flip", "train"),
        ("b~flip", "a~flip", "train"),
    ]
    assert add_twins(pairs, {}).equals(pairs)
