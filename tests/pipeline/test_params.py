import copy

import pytest
from ruamel.yaml import YAML

from pipeline.imports import ROOT
from pipeline.params import ParamsError, load, parse


@pytest.fixture
def raw():
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text())


def change(raw, path, value):
    raw = copy.deepcopy(raw)
    *way, last = path.split(".")
    place = raw
    for key in way:
        place = place[key]
    place[last] = value
    return raw


def test_the_shipped_file_is_right():
    params = load(ROOT / "params.yaml")
    assert list(params.domains) == ["source", "target"]
    assert params.domain("source").crop.width == 176


def test_a_method_may_train_for_another_time_than_the_others(raw):
    params = parse(change(raw, "adgan.pretrain", {"steps": 7}))
    assert params.training("pretrain", "adgan") == raw["pretrain"] | {"steps": 7}
    assert params.training("finetune", "adgan") == raw["finetune"]
    assert params.system("adgan") == raw["adgan"]


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("adgan.pretrain", 3, ["adgan.pretrain", "expected a mapping"]),
        ("adgan.pretrain", {"domain": "target"}, ["adgan.pretrain.domain", "set pretrain.domain"]),
        ("domains.source.raw", " ", ["domains.source.raw is empty", "name a folder"]),
        ("domains.source.crop.mdoe", "pad", ["domains.source.crop.mdoe", "did you mean 'mode'"]),
        ("domains.source.crop.mode", "padd", ["domains.source.crop.mode", "'padd'", "columns, resize, pad, person"]),
        ("domains.source.crop.width", 3, ["domains.source.crop.width", "3", "between 32 and 2048"]),
        ("domains.source.crop.width", "wide", ["domains.source.crop.width", "expected int", "'wide'"]),
        ("domains.source.crop.width", True, ["domains.source.crop.width", "expected int"]),
        ("domains.source.ingest.test", 1.5, ["domains.source.ingest.test", "1.5", "between 0 and 1"]),
        ("domains.source.ingest.test", float("nan"), ["domains.source.ingest.test", "nan"]),
        ("domains.source.ingest.test", "1e-1x", ["domains.source.ingest.test", "expected float"]),
        (
            "domains.source.keypoints.edges_px",
            256,
            ["domains.source.keypoints.edges_px", "expected a list such as [256]"],
        ),
        ("domains.source.keypoints.edges_px", [], ["expected a list such as [256], found []"]),
        ("domains.source.keypoints.edges_px", [256, "large"], ["edges_px", "expected int", "'large'"]),
        ("domains.source.keypoints.edges_px", [256, 5], ["edges_px", "5 is out of range", "between 32 and 4096"]),
        ("domains.source.keypoints.person", "biggest", ["'biggest'", "main, largest, central"]),
        ("domains.target.crop.width", 128, ["one picture size"]),
        ("domains.source.ingest.val", 0.9, ["domains.source.ingest", "val + test"]),
        ("methods", ["adgan", "adgan"], ["listed twice"]),
        ("methods", "adgan", ["expected a list"]),
        ("methods", ["gan"], ["no section `gan:`"]),
        ("domains", {}, ["domains"]),
        ("metods", {"a": 1}, ["unknown key 'metods'", "did you mean 'methods'"]),
        ("sead", 3, ["unknown key 'sead'", "did you mean 'seed'"]),
        ("pretrain.domain", "elsewhere", ["pretrain.domain", "elsewhere", "source, target"]),
    ],
)
def test_a_wrong_value_is_named(raw, path, value, parts):
    with pytest.raises(ParamsError) as caught:
        parse(change(raw, path, value))
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_key_is_named(raw):
    del raw["domains"]["source"]["crop"]["mode"]
    with pytest.raises(ParamsError, match=r"'domains\.source\.crop\.mode' is missing"):
        parse(raw)


def test_small_numbers_as_dvc_writes_them_are_numbers(tmp_path, raw):
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text().replace("val: 0.08", "val: 1e-05")
    path.write_text(text)
    assert load(path).domain("source").ingest.val == 1e-5


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match="is missing"):
        load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [")
    with pytest.raises(ParamsError, match="not valid YAML"):
        load(tmp_path / "params.yaml")


def test_an_unknown_domain_lists_the_known_ones(raw):
    with pytest.raises(ParamsError, match="source, target"):
        parse(raw).domain("elsewhere")


def test_a_file_that_nests_too_deep_is_named(tmp_path):
    (tmp_path / "params.yaml").write_text("a: " + "[" * 5000)
    with pytest.raises(ParamsError, match=r"params\.yaml is not valid YAML"):
        load(tmp_path / "params.yaml")
