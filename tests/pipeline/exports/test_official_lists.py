"""The lists that everyone uses, read and written again; skipped where they are absent."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.exports.lists import annotation_csv, lines, pairs_csv
from pipeline.people.skeleton import is_present
from pipeline.sources.annotations import read_annotation
from pipeline.sources.names import Names, without_suffix
from pipeline.sources.pair_lists import match_pairs, read_names, read_pairs

LISTS = Path(__file__).resolve().parents[4] / "shared" / "realdata" / "official_lists"
pytestmark = pytest.mark.skipif(not LISTS.is_dir(), reason="the published lists are not here")


@pytest.mark.parametrize(("name", "count"), [("fashion-pairs-test.csv", 8570), ("market-pairs-test.csv", 12000)])
def test_pairs_come_back_byte_for_byte(name, count):
    pairs = [(start, end) for _, start, end in read_pairs(LISTS / name, name)]
    assert len(pairs) == count
    assert pairs_csv(pairs) == (LISTS / name).read_bytes().replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("name", "count"), [("fasion-annotation-test.csv", 4038), ("market-annotation-test.csv", 19732)]
)
def test_annotations_come_back_byte_for_byte(name, count):
    rows, bad = read_annotation(LISTS / name, name)
    assert (len(rows), bad) == (count, [])
    written = annotation_csv((row.name, row.joints) for row in rows)
    assert written == (LISTS / name).read_bytes().replace(b"\r\n", b"\n")
    # Two lines by hand: a name, its left hip's y and x.
    if name.startswith("fasion"):
        text = written.decode().splitlines()[2].split(": ")
        assert (json.loads(text[1])[0], json.loads(text[2])[0]) == (40, 128)


@pytest.mark.parametrize("name", ["train.lst", "test.lst"])
def test_names_come_back_byte_for_byte(name):
    names = [value for _, value in read_names(LISTS / name, name)]
    assert lines(names).split() == (LISTS / name).read_bytes().split()


def test_every_official_pair_has_both_shoulders_and_hips():
    """PATN's filter: of 4,038 annotated pictures 3,264 pass it, and only those are in pairs."""
    rows, _ = read_annotation(LISTS / "fasion-annotation-test.csv", "x")
    whole = {without_suffix(row.name) for row in rows if is_present(row.joints)[[2, 5, 8, 11]].all()}
    names = Names(without_suffix(row.name) for row in rows)
    pairs, _ = match_pairs(LISTS / "fashion-pairs-test.csv", "fashion-pairs-test.csv", names)
    used = {name for start, end, _ in pairs for name in (start, end)}
    assert len(whole) == 3264
    assert np.mean([name in whole for name in used]) > 0.99
