"""The rendered people as a source."""

import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.shards import write_shards
from pipeline.sources import Options, read
from pipeline.sources.pictures import load_picture

IDS = [f"p{person}_{pose}" for person in range(3) for pose in range(4)]


@pytest.fixture
def raw(tmp_path):
    write_shards(tmp_path / "images", {item_id: item_id.encode() for item_id in IDS}, shards=2, suffix=".png")
    table = pd.DataFrame(
        {"id": IDS[::-1], "person": [item_id[:2] for item_id in IDS[::-1]], "keypoints": [[0.0] * 54] * 12}
    )
    table["pose"] = table["id"].str[3:]
    table["split"] = ["train"] * 11 + [None]
    table.to_parquet(tmp_path / "truth.parquet")
    return tmp_path


def test_every_picture_with_its_split_and_no_truth(raw):
    source = read("figures", raw)
    assert [entry.id for entry in source.entries] == IDS
    assert [entry.split for entry in source.entries] == [None] + ["train"] * 11
    assert source.entries[5].person == "p1"
    assert source.entries[5].pose == "1"
    assert all(load_picture(raw, entry.path) == entry.id.encode() for entry in source.entries)
    assert not source.annotations
    assert not source.label_paths
    assert not source.set_aside


def test_table_and_shards_that_differ_are_set_aside(raw):
    extra = {item_id: b"" for item_id in [*IDS[1:], "stray"]}
    write_shards(raw / "images", extra, shards=2, suffix=".png")
    source = read("figures", raw)
    assert [entry.id for entry in source.entries] == IDS[1:]
    assert [name for name, _ in source.set_aside] == ["p0_0", "stray"]


@pytest.mark.parametrize("damage", ["gone", "damaged", "column", "tar", "empty"])
def test_what_is_missing_is_named_with_a_remedy(raw, damage):
    truth = raw / "truth.parquet"
    if damage == "gone":
        truth.unlink()
    elif damage == "damaged":
        truth.write_bytes(b"PAR1 no more")
    elif damage == "column":
        pd.read_parquet(truth).drop(columns="pose").to_parquet(truth)
    elif damage == "tar":
        (raw / "images/00.tar").write_bytes(b"no archive" * 200)
    else:
        for path in (raw / "images").glob("*.tar"):
            path.unlink()
    with pytest.raises(UserError, match=r"run `dvc repro figures@target`, or set domains\.target\.raw"):
        read("figures", raw, Options(domain="target"))
