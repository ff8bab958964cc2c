"""params.yaml of the experiments: every row is a list of parameters that exist, with values that are allowed."""

import pytest
from ruamel.yaml import YAML

from experiments import settings, trainings
from experiments.ablations import FULL, published
from models.method import METHODS, method_class
from models.settings import read_settings
from pipeline.errors import UserError

FOUND = settings.read()
ROWS = [(group, name) for group in settings.GROUPS for name in FOUND.rows[group]]


@pytest.mark.parametrize(("group", "name"), ROWS)
def test_a_row_sets_what_there_is(group, name):
    row = FOUND.rows[group][name]
    params = settings.root_params(row)
    read_settings(method_class(row.method).Settings, params.system(row.method), where=row.method)
    budget = trainings.budget(FOUND, params, row)
    assert (budget.steps == 0) == (row.share == 0)
    assert budget.patience == 0
    assert (row.domain == params.pretrain_domain) == (group == "trained")


def test_every_size_knows_every_system():
    raw = YAML(typ="safe").load((settings.HERE / "params.yaml").read_text())
    assert all(set(size["share"]) == {"carried", *METHODS} for size in raw["sizes"].values())


def test_no_row_stands_twice_and_every_table_has_its_full_row():
    names = [name for _, name in ROWS]
    assert len(names) == len(set(names))
    for seed, full in FULL.items():
        assert full in FOUND.of(seed)


def test_published_rows_are_ours_or_named_as_others():
    others = {"Ma et al.", "the target itself", "PG2"}
    for seed in FULL:
        titles = {row.title for row in FOUND.of(seed).values()}
        assert set(published(seed)) <= titles | others


def test_an_unknown_key_is_named(tmp_path):
    text = (settings.HERE / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("title: G1,", "titel: G1,"))
    with pytest.raises(UserError, match=r"unknown key 'trained\.pg2_g1\.titel'"):
        settings.read(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(text.replace("size: tiny", "size: huge"))
    with pytest.raises(UserError, match="'huge' is not one of tiny, quick"):
        settings.read(tmp_path / "params.yaml")


def test_a_root_parameter_that_is_not_there_is_named():
    row = settings.Row("cost", "wrong", "adgan", set={"adgan.widht": 1})
    with pytest.raises(UserError, match=r"there is no key 'adgan\.widht'"):
        settings.root_params(row)
