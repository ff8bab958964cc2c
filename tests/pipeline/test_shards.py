"""Many files in few: round trip, stability of shards, same bytes for the same members."""

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archives import hash_file
from pipeline.memo import Memo
from pipeline.shards import ShardReader, read_members, shard_of, write_shards

letters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\.")
ids = st.lists(st.text(letters, min_size=1, max_size=12), min_size=1, max_size=3).map("/".join)
contents = st.dictionaries(ids, st.binary(max_size=40), max_size=12)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@given(contents)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(items):
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder), items, shards=3, suffix=".png")
        assert dict(ShardReader(Path(folder))) == items
        assert list(ShardReader(Path(folder))) == sorted(items)


@given(contents, ids, st.binary(max_size=40))
@settings(max_examples=40, deadline=None)
def test_one_more_item_changes_its_shard_alone(items, new_id, data):
    items.pop(new_id, None)
    with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
        write_shards(Path(before), items, shards=4, suffix=".png")
        write_shards(Path(after), {**items, new_id: data}, shards=4, suffix=".png")
        old, new = digests(Path(before)), digests(Path(after))
        assert old.keys() == new.keys() == {f"0{shard}.tar" for shard in range(4)}
        assert {name for name in old if old[name] != new[name]} == {f"0{shard_of(new_id, 4)}.tar"}


def test_bytes_depend_on_members_alone(tmp_path):
    items = {f"p{i}": bytes([i]) * i for i in range(30)}
    write_shards(tmp_path / "a", items, shards=3, suffix=".png")
    write_shards(tmp_path / "b", dict(reversed(items.items())), shards=3, suffix=".png")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_the_place_of_an_id_is_pinned():
    """blake2b, 8 bytes, big end first: another hash would move every item of every user."""
    expected = [
        int(hashlib.blake2b(name.encode(), digest_size=8).hexdigest(), 16) % 7 for name in ("a", "p03_2", "é/b")
    ]
    assert [shard_of(name, 7) for name in ("a", "p03_2", "é/b")] == expected


def test_members_are_plain_tar(tmp_path):
    write_shards(tmp_path, {"mage/idle.front": b"x", "b": b""}, shards=1, suffix=".png")
    with tarfile.open(tmp_path / "00.tar") as tar:
        assert tar.getnames() == ["b.png", "mage/idle.front.png"]
        assert {member.mtime for member in tar} == {0}
    assert dict(read_members(tmp_path / "00.tar")) == {"b.png": b"", "mage/idle.front.png": b"x"}
    assert ShardReader(tmp_path)["mage/idle.front"] == b"x"


def test_an_absent_item_is_a_key_error(tmp_path):
    write_shards(tmp_path, {}, shards=2, suffix=".png")
    reader = ShardReader(tmp_path)
    assert len(reader) == 0
    with pytest.raises(KeyError):
        reader["a"]


def test_a_copied_shard_is_known_by_its_bytes(tmp_path):
    """DVC puts a copy in the place of what a stage wrote: size alone stays, its members need not be read again."""
    memo, folder = Memo(tmp_path / "memo"), tmp_path / "shards"
    write_shards(folder, {"a": b"one", "b": b"two"}, shards=1, suffix=".png", memo=memo)
    shutil.copy(folder / "00.tar", tmp_path / "copy")
    (tmp_path / "copy").replace(folder / "00.tar")
    assert memo.identities([folder / "00.tar"]) == {}
    assert memo.listing(hash_file(folder / "00.tar"))
    found = ShardReader(folder, memo)
    assert {name: content.read() for name, content in found.contents.items()} == {"a": b"one", "b": b"two"}
    assert found.digest("a") == found.contents["a"].digest
    # Taken from the memo, in another folder, it is known at once.
    write_shards(tmp_path / "again", {"a": b"one", "b": b"two"}, shards=1, suffix=".png", memo=memo)
    assert memo.identities([tmp_path / "again/00.tar"]) == {tmp_path / "again/00.tar": hash_file(folder / "00.tar")}
