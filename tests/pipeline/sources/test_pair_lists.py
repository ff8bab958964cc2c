"""The field's lists of pairs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.sources.names import Names
from pipeline.sources.pair_lists import is_pair_list, match_pairs, read_pairs, split_in_name

NAMES = Names(["a_1", "a_2", "b_1"])


def listed(tmp_path, text, name="pairs.csv"):
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    return match_pairs(path, name, NAMES)


def test_pairs_keep_their_order_and_repeats(tmp_path):
    text = 'from,to\na_2.jpg,a_1.jpg\r\n a_1.jpg , a_2.png\n\n"a_2",a_1.jpg\n'
    pairs, bad = listed(tmp_path, text, name="fasion-resize-pairs-test.csv")
    assert pairs == [("a_2", "a_1", "test"), ("a_1", "a_2", "test"), ("a_2", "a_1", "test")]
    assert not bad


def test_other_columns_do_not_matter(tmp_path):
    pairs, bad = listed(tmp_path, "\ufeffid,To,From\n1,a_2,a_1\n")
    assert pairs == [("a_1", "a_2", None)]
    assert not bad


def test_cells_may_be_in_quotation_marks(tmp_path):
    (tmp_path / "p.csv").write_text('"from","to"\n"a_0","a_1"\n')
    assert is_pair_list('"from","to"')
    assert [row[1:] for row in read_pairs(tmp_path / "p.csv", "p.csv")] == [("a_0", "a_1")]


def test_an_absent_picture_is_set_aside_with_its_line(tmp_path):
    pairs, bad = listed(tmp_path, 'from,to\na_1.jpg,zz.jpg\na_1.jpg\n"a_1,a_2\na_1,b_1\n')
    assert pairs == [("a_1", "b_1", None)]
    remedy = "add the picture or remove the line"
    assert bad == [
        ("a_1.jpg -> zz.jpg", f"pairs.csv, line 2: 'zz.jpg': there is no such picture; {remedy}"),
        ("a_1.jpg -> ", f"pairs.csv, line 3: '': there is no such picture; {remedy}"),
        ("a_1,a_2 -> ", f"pairs.csv, line 4: 'a_1,a_2': there is no such picture; {remedy}"),
    ]


def test_a_missing_column_is_an_error_with_the_remedy(tmp_path):
    assert is_pair_list("from,target")
    with pytest.raises(UserError, match=r"pairs.csv, line 1: .* 'to' .*the header must be from,to"):
        listed(tmp_path, "from,target\na_1,a_2\n")


@pytest.mark.parametrize("header", ["name,age", "name:keypoints_y:keypoints_x", "fromage,tofu", ""])
def test_other_tables_are_none(header):
    assert not is_pair_list(header)


@pytest.mark.parametrize(
    ("name", "split"),
    [("market-pairs-train.csv", "train"), ("val.csv", "val"), ("pairs.csv", None), ("test/pairs_train.csv", "train")],
)
def test_the_split_is_in_the_name(name, split):
    assert split_in_name(name) == split


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_breaks_the_reader(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_bytes(b"from,to\n" + text.encode("utf-8", "surrogatepass"))
    pairs, bad = match_pairs(path, "list.csv", NAMES)
    assert len(pairs) + len(bad) <= len(text) + 1


def test_a_line_beyond_all_measure_is_set_aside(tmp_path):
    pairs, bad = listed(tmp_path, "from,to\n" + "x" * 200_000 + ",a_1\na_1,a_2\n")
    assert pairs == [("a_1", "a_2", None)]
    assert "line 2" in bad[0][1]
    assert len(bad[0][1]) < 200
