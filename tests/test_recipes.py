"""Every recipe is a list of parameters that exist, with values that are allowed."""

import pytest
from ruamel.yaml import YAML

from models.method import build, method_class
from models.settings import read_settings
from pipeline import params
from pipeline.imports import ROOT
from stages.pretrain import training_settings

RECIPES = sorted(path.name for path in (ROOT / "recipes").iterdir() if path.suffix != ".md")


def applied(*names):
    """params.yaml with the recipes' values, as `dvc exp run` would write them."""
    yaml = YAML(typ="safe")
    raw = yaml.load((ROOT / "params.yaml").read_text())
    for word in " ".join((ROOT / "recipes" / name).read_text() for name in names).split():
        if word == "-S":
            continue
        path, _, value = word.partition("=")
        *way, last = path.split(".")
        place = raw
        for key in way:
            place = place[key]
        assert last in place, path
        place[last] = yaml.load(value)
    return params.parse(raw)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_what_there_is(name):
    found = applied(name)
    for method in found.methods:
        read_settings(method_class(method).Settings, found.system(method), where=method)
        for stage in ("pretrain", "finetune"):
            training_settings(found, stage, method)


def test_every_recipe_is_explained():
    text = (ROOT / "recipes" / "README.md").read_text()
    assert all(f"`{name}`" in text for name in RECIPES)


def test_the_published_recipe_is_the_settings_default():
    """params.yaml holds quick values; the recipe goes back to those that AdganSettings calls the published code's."""
    default = method_class("adgan").Settings()
    settings = read_settings(type(default), applied("adgan_code").system("adgan"), where="adgan")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    assert different == {"pose_map"}  # the released pictures' maps are single pixels; Gaussians are what is meant


def test_the_released_recipe_of_pg2_is_its_settings_default():
    default = method_class("pg2").Settings()
    settings = read_settings(type(default), applied("pg2_deepfashion").system("pg2"), where="pg2")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    # Full frames; and the quirks, which are mended by default.
    assert different == {"columns", "compat"}


@pytest.mark.parametrize(
    ("names", "coarse", "fine"),
    [
        (["pg2_deepfashion"], 22_000, 58_000),
        (["pg2_market"], 22_000, 38_000),
        (["pg2_poster"], 40_000, 25_000),
        (["pg2_poster", "pg2_poster_wgan"], 40_000, 25_000 * 10),
    ],
)
def test_pg2_takes_the_published_steps(names, coarse, fine):
    """A WGAN's steps are its critic's: G2 takes one in ten."""
    found = applied(*names)
    phases, steps = (
        build("pg2", found.system("pg2") | {"width": 0.05}).phases,
        found.training("pretrain", "pg2")["steps"],
    )
    assert steps == coarse + fine
    assert round(steps * phases[0].share) == coarse
    size = found.domain("source").crop
    assert (found.methods["pg2"]["rows"], found.methods["pg2"]["columns"]) == (size.height, size.width)


def test_the_released_recipe_of_scagan_is_its_settings_default():
    found, default = applied("scagan_code"), method_class("scagan").Settings()
    settings = read_settings(type(default), found.system("scagan"), where="scagan")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    assert different == {"compat"}  # the quirks, which are mended by default
    # 16,000 samples for PCT-Net and 400 x 4,000 for IS-Net, three a step
    training, phases = found.training("pretrain", "scagan"), build("scagan", {"width": 0.05}).phases
    samples = [training["steps"] * training["batch"] * phase.share for phase in phases]
    assert samples == pytest.approx([16_000, 1_600_000], rel=0.02)


def test_a_thousand_pairs_and_seventy_five():
    target = applied("fashion_1000").domain("target")
    assert (target.pairs.max_train, target.pairs.max_test) == (1000, 75)


def test_params_yaml_builds_its_methods():
    raw = params.load(ROOT / "params.yaml")
    assert all(build(name, raw.system(name)).name == name for name in raw.methods)
