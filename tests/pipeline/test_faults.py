"""What storage answers, in one message with a remedy; any other error stays what it is."""

import errno
import sqlite3

import pytest

from pipeline.faults import storage_trouble


def answer_of(path, query):
    """The error that SQLite gives."""
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(path, timeout=0).execute(query)
    return caught.value


def test_a_store_that_is_none_names_the_remedy(tmp_path):
    (tmp_path / "index.sqlite").write_bytes(b"garbage" * 999)
    message = storage_trouble(answer_of(tmp_path / "index.sqlite", "SELECT * FROM sqlite_master"), [tmp_path])
    assert message is not None
    assert "the store of finished work is damaged: delete the folder .cache/memo" in message


def test_a_store_that_another_process_holds_names_the_remedy(tmp_path):
    path = tmp_path / "index.sqlite"
    sqlite3.connect(path, isolation_level=None).execute("CREATE TABLE a (b)")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    message = storage_trouble(answer_of(path, "INSERT INTO a VALUES (1)"), [tmp_path])
    assert message is not None
    assert "is held by another process: end that one" in message


def test_of_a_copy_the_place_that_is_full_is_named(tmp_path):
    error = OSError(errno.ENOSPC, "", "source", None, "copy")
    assert str(storage_trouble(error, [tmp_path])).startswith("copy: No space left on device")


def test_a_mistake_of_the_programs_stays_one(tmp_path):
    assert storage_trouble(answer_of(tmp_path / "a.sqlite", "SELECT nothing"), [tmp_path]) is None
    assert storage_trouble(KeyError("a"), [tmp_path]) is None
