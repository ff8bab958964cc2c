"""Which pictures go together: splits of the pictures, and ordered pairs of one person."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from pipeline.people.skeleton import JOINTS, LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, Joints, is_present
from pipeline.sources.entries import Entry

SPLITS = ("train", "val", "test")
TORSO = (RIGHT_SHOULDER, LEFT_SHOULDER, RIGHT_HIP, LEFT_HIP)

# With so few persons none can be spared: poses are held out instead.
FEW_PERSONS = 2

SetAside = list[tuple[str, str]]


@dataclass(frozen=True)
class PairRules:
    """How pairs are made where the user gives no list."""

    max_per_person: int = 1000
    require_torso: bool = True
    include_self: bool = False
    seed: int = 0


def assign_splits(entries: Sequence[Entry], *, val: float, test: float) -> dict[str, str]:
    """train, val or test by id; a split that an entry brings stays.

    Whole persons are held out, chosen by a hash of the name, so a new person never moves another; `val` and `test` are
    shares that many persons approach. Where the hash holds nobody out for `test`, it is the person of several pictures
    whose hash is lowest, until another's is. Of one or two persons, poses are held out: for `test` at least one of
    three or more, for `val` one of four.
    """
    splits = {entry.id: entry.split for entry in entries if entry.split is not None}
    poses: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        poses[entry.person].add(entry.pose)
    few = len(poses) <= FEW_PERSONS
    held_out = {person: _hold_out_poses(poses[person], val=val, test=test) if few else {} for person in poses}
    last_resort = None if few or not test or "test" in splits.values() else _last_resort(entries, test=test)
    for entry in entries:
        if entry.split is None:
            place = -1.0 if entry.person == last_resort else _hash(entry.person)
            of_person = "train" if few else "test" if place < test else "val" if place < test + val else "train"
            splits[entry.id] = held_out[entry.person].get(entry.pose, of_person)
    return splits


def _last_resort(entries: Sequence[Entry], *, test: float) -> str | None:
    """The person to hold out for scoring where names alone hold out nobody who could be paired."""
    counts = Counter(entry.person for entry in entries if entry.split is None)
    several = [person for person, count in counts.items() if count > 1]
    lowest = min(several, key=lambda person: (_hash(person), person), default=None)
    return lowest if lowest is not None and len(several) > 1 and _hash(lowest) >= test else None


def _hold_out_poses(poses: set[str], *, val: float, test: float) -> dict[str, str]:
    """The poses of one person that are not trained on; the same names are chosen for another person."""
    waiting = sorted(poses, key=lambda pose: (_hash(pose), pose))
    held_out: dict[str, str] = {}
    for split, share in (("test", test), ("val", val)):
        count = round(share * len(poses))
        if share > 0 and len(poses) >= (3 if split == "test" else 4):
            count = max(count, 1)
        # Two poses at least are left to train on.
        for _ in range(min(count, len(waiting) - 2)):
            held_out[waiting.pop(0)] = split
    return held_out


def _hash(name: str) -> float:
    """A number in 0..1 that depends on the name alone."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def make_pairs(catalog: pd.DataFrame, joints: Mapping[str, Joints], rules: PairRules) -> tuple[pd.DataFrame, SetAside]:
    """(table from, to, split; pictures set aside) of `catalog` (id, person, pose, split): one person, two pictures.

    A pair belongs to the split of the picture it leads to; it starts in the same split or in train, which differ only
    where a person's poses are held out. Pictures without `joints` are left out; with `require_torso` those without both
    shoulders and hips are set aside (PATN). `include_self` pairs training pictures with themselves too. Of a person
    with more than `max_per_person` pairs in a split, that many are drawn, by `seed` and name alone.
    """
    set_aside: SetAside = []
    usable = set()
    columns = (catalog[column].tolist() for column in ("id", "person", "split"))  # of arrow's, one by one is slow
    listed = [(str(item_id), str(person), split) for item_id, person, split in zip(*columns, strict=True)]
    for item_id, _, _ in listed:
        if item_id in joints:
            missing = missing_torso(joints[item_id]) if rules.require_torso else []
            if missing:
                set_aside.append((item_id, f"not found: {', '.join(missing)} (pairs.require_torso)"))
            else:
                usable.add(item_id)
    of_person: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for item_id, person, split in listed:
        if item_id in usable:
            of_person[person][split].append(item_id)
    rows: list[tuple[str, str, str]] = []
    for person in sorted(of_person):
        of_split = {split: sorted(ids) for split, ids in of_person[person].items()}
        for split in SPLITS:
            rows += _pairs_of_person(person, split, of_split, rules)
    return pd.DataFrame(rows, columns=["from", "to", "split"], dtype="string"), set_aside


def _pairs_of_person(
    person: str, split: str, of_split: Mapping[str, list[str]], rules: PairRules
) -> list[tuple[str, str, str]]:
    ends = of_split.get(split, [])
    starts = ends if split == "train" else sorted([*ends, *of_split.get("train", [])])
    keep_self = rules.include_self and split == "train"
    pairs = [(start, end, split) for start, end in product(starts, ends) if keep_self or start != end]
    if len(pairs) > rules.max_per_person:
        draw = np.random.default_rng([rules.seed, int(_hash(f"{person}/{split}") * 2**32)])
        pairs = [pairs[index] for index in sorted(draw.choice(len(pairs), rules.max_per_person, replace=False))]
    return pairs


def missing_torso(joints: Joints) -> list[str]:
    """The names of shoulders and hips that are not there."""
    there = is_present(joints)
    return [JOINTS[joint].replace("_", " ") for joint in TORSO if not there[joint]]


def keep_pairs(
    listed: Iterable[tuple[str, str, str | None]], catalog: pd.DataFrame, joints: Mapping[str, Joints]
) -> tuple[pd.DataFrame, SetAside]:
    """(table from, to, split; pairs set aside) of the user's list, in its order; nothing else is filtered.

    A pair without a split gets that of the picture it leads to. Set aside: pairs of pictures without `joints`.
    """
    split_of = dict(zip(catalog["id"].astype(str), catalog["split"].astype(str), strict=True))
    rows, set_aside = [], []
    for start, end, split in listed:
        lost = [item_id for item_id in (start, end) if item_id not in joints or item_id not in split_of]
        if lost:
            set_aside.append((f"{start} -> {end}", f"{lost[0]} was set aside before"))
        else:
            rows.append((start, end, split_of[end] if split is None or pd.isna(split) else split))
    return pd.DataFrame(rows, columns=["from", "to", "split"], dtype="string"), set_aside


def add_twins(pairs: pd.DataFrame, twins: Mapping[str, str]) -> pd.DataFrame:
    """The pairs, and behind them each training pair of two pictures that have mirrored `twins`, with both mirrored."""
    rows = pairs[(pairs["split"] == "train") & pairs["from"].isin(twins.keys()) & pairs["to"].isin(twins.keys())]
    mirrored = rows.assign(**{end: rows[end].map(twins).astype("string") for end in ("from", "to")})
    return pd.concat([pairs, mirrored], ignore_index=True)


def draw_pairs(pairs: pd.DataFrame, limits: Mapping[str, int], *, seed: int) -> pd.DataFrame:
    """The pairs, of a split with more than its limit that many, drawn by `seed`; their order stays."""
    kept = []
    for number, split in enumerate(SPLITS):
        rows = np.flatnonzero(pairs["split"] == split)
        if len(rows) > limits.get(split, len(rows)):
            rows = np.random.default_rng([seed, number]).choice(rows, limits[split], replace=False)
        kept.append(rows)
    return pairs.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)
