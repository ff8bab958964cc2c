import pytest

from pipeline import quarantine
from pipeline.errors import UserError


def test_rows_come_back_sorted(tmp_path):
    rows = [("b", "broken, with a comma"), ("a", 'a "quote"'), ("NA", "a name that looks like nothing")]
    quarantine.write(tmp_path / "q" / "quarantine.csv", rows)
    assert quarantine.read(tmp_path / "q" / "quarantine.csv") == sorted(rows)
    quarantine.write(tmp_path / "empty.csv", [])
    assert quarantine.read(tmp_path / "empty.csv") == []


def test_up_to_the_limit_is_fine():
    quarantine.enforce([("a", "r")] * 2, total=10, limit=0.2, key="k")
    with pytest.raises(UserError, match=r"3 of 10 were set aside, more than k: 0\.2 allows"):
        quarantine.enforce([("a", "r")] * 3, total=10, limit=0.2, key="k")


def test_nothing_left_is_an_error_whatever_the_limit():
    with pytest.raises(UserError, match="nothing is left"):
        quarantine.enforce([("a", "r")], total=1, limit=1.0, key="k")
    with pytest.raises(UserError, match="no input"):
        quarantine.enforce([], total=0, limit=1.0, key="k")
