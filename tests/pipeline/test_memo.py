import contextlib
import os
import sqlite3
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content import digest
from pipeline.memo import REASON, Memo

DAY = 86400


@pytest.fixture
def memo(tmp_path):
    return Memo(tmp_path / "memo")


def test_outputs_come_back(memo):
    assert memo.get(b"k") is None
    memo.put({b"k": {"a": b"1", "b": b""}})
    assert memo.get(b"k") == {"a": b"1", "b": b""}
    memo.put({b"k": {"c": b"3"}})
    assert Memo(memo.folder).get(b"k") == {"c": b"3"}


def test_many_keys_are_asked_at_once(memo):
    entries = {bytes([n // 256, n % 256]): {"v": bytes([n % 256]), "w": b"w"} for n in range(1234)}
    memo.put(entries)
    memo.put({b"bad": {REASON: b"torn"}})
    keys = [*entries, b"bad", b"absent"]
    assert memo.outcomes(keys) == dict.fromkeys(entries) | {b"bad": "torn"}
    assert memo.values(keys, "v") == {key: out["v"] for key, out in entries.items()}
    digests = {key: {name: digest([value]) for name, value in out.items()} for key, out in entries.items()}
    assert memo.digests([*entries, b"absent"]) == digests


def test_a_changed_byte_counts_as_absent(memo):
    memo.put({b"k": {"a": b"1"}, b"bad": {REASON: b"torn"}})
    memo._db.execute("UPDATE outputs SET value = x'32'")
    assert memo.get(b"k") is None
    assert memo.values([b"k"], "a") == {}
    assert b"bad" not in memo.outcomes([b"bad"])


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_digests_differ_where_the_parts_differ(left, right):
    assert (digest(left) == digest(right)) == (left == right)


def test_two_processes_may_write(memo):
    other = Memo(memo.folder)
    memo.put({b"1": {"a": b"1"}})
    other.put({b"2": {"a": b"2"}})
    assert memo.get(b"2") == {"a": b"2"}
    assert other.get(b"1") == {"a": b"1"}
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])


def test_an_unwritable_place_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Memo(tmp_path / "file" / "m")


def test_a_file_is_kept_and_taken(memo, tmp_path):
    path, other = tmp_path / "out.tar", tmp_path / "again.tar"
    path.write_bytes(b"shard")
    memo.keep_file(b"k", path)
    path.unlink()
    assert not memo.take_file(b"other", other)
    assert memo.take_file(b"k", other)
    assert other.read_bytes() == b"shard"
    assert memo.take_file(b"k", other)  # in place of itself
    assert sorted(item.name for item in tmp_path.iterdir()) == ["again.tar", "memo"]


def test_a_file_that_was_written_to_is_not_taken(memo, tmp_path):
    path = tmp_path / "out.tar"
    path.write_bytes(b"shard")
    memo.keep_file(b"k", path)
    with path.open("ab") as file:  # the same file by its other name
        file.write(b"!")
    assert not memo.take_file(b"k", tmp_path / "again.tar")


def test_identities_hold_until_size_time_or_inode_change(memo, tmp_path):
    path = tmp_path / "a.png"

    def write(data, ago):
        path.write_bytes(data)
        os.utime(path, (time.time() - ago, time.time() - ago))

    write(b"one", 100)
    assert memo.identities([path]) == {}
    memo.remember({path: b"1"})
    assert memo.identities([path, tmp_path / "absent"]) == {path: b"1"}
    write(b"two", 50)
    assert memo.identities([path]) == {}
    memo.remember({path: b"2"})
    state = path.stat()
    (tmp_path / "new").write_bytes(b"six")
    os.utime(tmp_path / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
    (tmp_path / "new").replace(path)  # same size and time, another inode
    assert memo.identities([path]) == {}


def test_what_was_written_just_now_is_remembered_only_if_settled(memo, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    assert memo.identities([path]) == {}
    memo.remember({path: b"1"})
    assert memo.identities([path]) == {}
    memo.remember({path: b"1"}, settled=True)
    assert memo.identities([path]) == {path: b"1"}


def test_pruning_takes_what_was_not_used_for_longest(memo, tmp_path):
    for day in range(20):
        memo._today = 1000 + day
        memo.put({bytes([day]): {"v": bytes(50_000)}})
        (tmp_path / "shard").write_bytes(bytes(50_000))
        memo.keep_file(bytes([100 + day]), tmp_path / "shard")
        (tmp_path / "shard").unlink()
    memo._today = 2000
    assert memo.outcomes([bytes([3])]) == {bytes([3]): None}  # used again
    before = memo.size()
    removed = memo.prune(1_000_000)
    assert before - removed == memo.size() <= 1_000_000
    left = [day for day in range(20) if memo.get(bytes([day]))]
    assert 3 in left
    assert 19 in left
    assert left[1:] == list(range(left[1], 20))
    assert not memo.take_file(bytes([100]), tmp_path / "a")
    assert memo.take_file(bytes([119]), tmp_path / "b")


@pytest.mark.parametrize("data", [b"garbage" * 999, b"SQLite format 3\0" + bytes(5000)])
def test_a_store_that_is_none_begins_anew(memo, data):
    memo.put({b"k": {"a": b"1"}})
    memo.close()
    for path in memo.folder.glob("index.sqlite-*"):
        path.unlink()
    (memo.folder / "index.sqlite").write_bytes(data)
    fresh = Memo(memo.folder)
    assert fresh.get(b"k") is None
    fresh.put({b"k": {"a": b"2"}})
    assert Memo(memo.folder).get(b"k") == {"a": b"2"}


@pytest.mark.parametrize("when", ["after", "just before"])
def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_was_read(when, memo, tmp_path, monkeypatch):
    path, now = tmp_path / "a.png", time.time()
    path.write_bytes(b"one")
    ago = 1 if when == "just before" else 100
    os.utime(path, (now - ago, now - ago))
    memo.identities([path])
    if when == "after":
        path.write_bytes(b"two")
        os.utime(path, (now - 50, now - 50))
    monkeypatch.setattr(time, "time_ns", lambda: int((now + 60) * 1e9))  # reading all files took a minute
    memo.remember({path: b"1"})
    assert memo.identities([path]) == {}


def test_of_a_file_that_is_gone_nothing_is_known(memo, tmp_path):
    assert memo.identities([tmp_path / "a"]) == {}
    memo.remember({tmp_path / "a": b"1"})
    assert memo.identities([tmp_path / "a"]) == {}


OTHER_LAYOUTS = {
    "a column less": "CREATE TABLE stats (path TEXT PRIMARY KEY, size INTEGER NOT NULL)",
    "a column more": "ALTER TABLE outputs ADD COLUMN more TEXT",
    "another key": "DROP TABLE files; CREATE TABLE files (key BLOB, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, "
    "used INTEGER NOT NULL)",
    "a table more": "CREATE TABLE other (a)",
}


@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_a_store_of_another_version_begins_anew(layout, memo, tmp_path):
    if layout == "a column less":
        memo = Memo.__new__(Memo)
        memo.folder = tmp_path / "older"
        memo.folder.mkdir()
    else:
        memo.put({b"k": {"a": b"1"}})
        memo.close()
    with contextlib.closing(sqlite3.connect(memo.folder / "index.sqlite")) as database:
        database.executescript(OTHER_LAYOUTS[layout])
    fresh = Memo(memo.folder)
    assert fresh.get(b"k") is None
    fresh.put({b"k": {"a": b"2"}})
    fresh.remember({tmp_path: b"1"}, settled=True)
    (tmp_path / "shard").write_bytes(b"shard")
    fresh.keep_file(b"f", tmp_path / "shard")
    again = Memo(memo.folder)
    assert again.get(b"k") == {"a": b"2"}
    assert again.kept_file(b"f")


def test_pruning_leaves_all_outputs_of_an_item_or_none(memo):
    names = ("image", "labels", "move")
    for number in range(30):
        memo.put({bytes([number]): {name: bytes(1000) for name in names}})
    memo.prune(100_000)
    left = memo.digests(bytes([number]) for number in range(30))
    assert 0 < len(left) < 30
    assert all(set(outputs) == set(names) for outputs in left.values())


def test_pruning_takes_files_that_the_store_does_not_know(memo):
    (memo.folder / "files" / ("ab" * 16)).write_bytes(bytes(99_999))
    memo.prune(0)
    assert not list((memo.folder / "files").iterdir())


def test_pruning_goes_on_where_another_process_prunes(memo, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"a" * 99)
    memo.keep_file(b"k" * 16, tmp_path / "a")
    seen = memo._oldest_first()
    memo.forget_file(b"k" * 16)
    monkeypatch.setattr(memo, "_oldest_first", lambda: seen)
    memo.prune(0)


def test_pruning_to_nothing_leaves_a_store_that_works(memo):
    memo.put({b"k": {"a": bytes(100_000)}})
    memo.prune(0)
    assert memo.get(b"k") is None
    assert memo.size() < 100_000
    memo.put({b"k": {"a": b"1"}})
    assert memo.get(b"k") == {"a": b"1"}
