import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.memo import Memo, digest


def test_outputs_come_back(tmp_path):
    memo = Memo(tmp_path / "m.sqlite")
    assert memo.get(b"k") is None
    memo.put({b"k": {"a": b"1", "b": b""}})
    assert memo.get(b"k") == {"a": b"1", "b": b""}
    memo.put({b"k": {"c": b"3"}})
    assert Memo(tmp_path / "m.sqlite").get(b"k") == {"c": b"3"}


def test_a_changed_byte_counts_as_absent(tmp_path):
    memo = Memo(tmp_path / "m.sqlite")
    memo.put({b"k": {"a": b"1"}})
    memo._db.execute("UPDATE outputs SET value = x'32'")
    assert memo.get(b"k") is None


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_digests_differ_where_the_parts_differ(left, right):
    assert (digest(left) == digest(right)) == (left == right)


def test_two_processes_may_write(tmp_path):
    one, two = Memo(tmp_path / "m.sqlite"), Memo(tmp_path / "m.sqlite")
    one.put({b"1": {"a": b"1"}})
    two.put({b"2": {"a": b"2"}})
    assert one.get(b"2") == {"a": b"2"}
    assert two.get(b"1") == {"a": b"1"}
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


def test_an_unwritable_place_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Memo(tmp_path / "file" / "m.sqlite")
