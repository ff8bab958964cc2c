"""What the user may not read: set aside, or a message with a remedy."""

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.errors import BadItem, UserError
from pipeline.sources import read
from pipeline.sources.pictures import load_picture


@pytest.fixture
def as_nobody():
    """A folder that another user owns, whose permissions therefore bind; root would read everything."""
    try:
        os.seteuid(65534)
        os.seteuid(0)
    except OSError:
        pytest.skip("only root can be somebody else for a moment")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        raw.chmod(0o755)
        (raw / "a_1.png").write_bytes(b"x")
        yield raw
        os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_set_aside(as_nobody):
    (as_nobody / "locked").mkdir(mode=0o700)
    (as_nobody / "locked" / "a_2.png").write_bytes(b"x")
    os.seteuid(65534)
    source = read("folder", as_nobody)
    assert [entry.id for entry in source.entries] == ["a_1"]
    assert source.set_aside == [
        ("locked", "the folder cannot be read (Permission denied): make it readable or remove it")
    ]


def test_a_picture_that_may_not_be_read_has_a_reason(as_nobody):
    (as_nobody / "a_1.png").chmod(0o600)
    os.seteuid(65534)
    [entry] = read("folder", as_nobody).entries
    with pytest.raises(BadItem, match=r"a_1\.png cannot be read: Permission denied"):
        load_picture(as_nobody, entry.path)


def test_a_table_or_root_that_may_not_be_read_stops_with_a_remedy(as_nobody):
    (as_nobody / "j.csv").touch(mode=0o600)
    os.seteuid(65534)
    with pytest.raises(UserError, match=r"j\.csv cannot be read: Permission denied; mend or remove it.*source\.raw"):
        read("folder", as_nobody)
    os.seteuid(0)
    as_nobody.chmod(0o700)
    os.seteuid(65534)
    for raw in (as_nobody, as_nobody / "inside"):
        with pytest.raises(UserError, match=r"cannot be read: Permission denied.*source\.raw"):
            read("folder", raw)
