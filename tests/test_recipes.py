"""Every recipe sets parameters that exist, to values that are allowed, and changes nothing else of params.yaml."""

import itertools
import re
import shutil

import pytest

from models import cost
from models.cost import unbuilt
from models.method import METHODS, build, method_class
from models.settings import read_settings
from pipeline import params, recipes
from pipeline.imports import ROOT
from stages import commands, paces
from stages.estimates import estimate
from stages.pretrain import training_settings

RECIPES = recipes.names(ROOT / "recipes")
WANTED = "quick deepfashion-adgan deepfashion-transfer-1000 pg2-seed001 spt dpig scagan market1501"


def plan(*names, **overrides):
    chosen = [recipes.read(name, ROOT / "recipes") for name in names]
    return recipes.plan(chosen, overrides, ROOT / "params.yaml")


def applied(*names):
    """params.yaml with the recipes' values."""
    return plan(*names).params


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the parameters and the recipes alone."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_recipes_are_there():
    assert set(WANTED.split()) <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_what_there_is_and_its_networks_can_be_built(name):
    found = applied(name)
    for method in found.methods:
        assert sum(weight.numel() for weight in unbuilt(method, found.system(method)).parameters()) > 0
        for stage in ("pretrain", "finetune"):
            training_settings(found, stage, method)


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("quick", "fashion-1000")])
def test_published_trainings_are_at_full_size_throughout(name):
    found = applied(name)
    assert all(found.training("pretrain", method)["small_until"] == 0 for method in found.methods)


@pytest.mark.parametrize(("name", "domain"), [("fashion-1000", "target"), ("deepfashion-transfer-1000", "source")])
def test_a_transfer_of_1000_takes_1000_pairs_to_train_and_75_to_test(name, domain):
    pairs = applied(name).domain(domain).pairs
    assert (pairs.max_train, pairs.max_test) == (1000, 75)


def test_every_recipe_is_explained():
    text = (ROOT / "recipes" / "README.md").read_text()
    assert all(f"`{name}`" in text for name in RECIPES)


def test_params_yaml_is_as_the_project_comes():
    """What `quick` brings back is what stands there; add to recipes/quick.yaml what a new recipe changes."""
    assert plan("quick").changes == []
    read = [recipes.read(name, ROOT / "recipes") for name in RECIPES]
    changed = {key for recipe in read for key in (*recipe.values, *recipe.asks) if "/" not in key}
    assert changed == set(recipes.read("quick", ROOT / "recipes").values)


@pytest.mark.parametrize("name", RECIPES)
def test_there_and_back_every_byte_is_as_it_was(project, name, capsys):
    before = (project / "params.yaml").read_text()
    assert commands.main(["use", name]) == 0
    after = (project / "params.yaml").read_text()
    assert (after == before) == (name == "quick")
    assert [line.partition("#")[2] for line in after.splitlines()] == [
        line.partition("#")[2] for line in before.splitlines()
    ]
    assert commands.main(["use", "quick"]) == 0
    assert (project / "params.yaml").read_text() == before


@pytest.mark.parametrize(
    ("written", "values", "edited"),
    [
        ("a:\n  - x # k\n  - y\n\n# c\nb: 1\n", {"a": "[z]"}, "a:\n  [z]\n\n# c\nb: 1\n"),
        ("a:\n- x\n- y # c\nb: 1\n", {"a": "[z]"}, "a:\n  [z] # c\nb: 1\n"),
        ("a:\n  - - 1\n  - x: 1\n    y: 2\n\nb: 1\n", {"a": "[z]"}, "a:\n  [z]\n\nb: 1\n"),
        ("a: # c\nb: 1\n", {"a": "z"}, "a: z # c\nb: 1\n"),
        ("b: 1\na:", {"a": "z"}, "b: 1\na: z"),
        ("a: |\n  x\n\n# c\nb: 1\n", {"a": "z"}, "a: z\n\n# c\nb: 1\n"),
        ("a:\n  x # c\nb: {c: 1,\n  d: 2} # e\n", {"a": "z", "b": "{}"}, "a:\n  z # c\nb: {} # e\n"),
    ],
)
def test_values_of_every_form_are_changed_and_nothing_else_is(written, values, edited):
    assert recipes.with_values(written, values, "params.yaml") == edited


def test_a_params_yaml_that_was_edited_keeps_its_own(project, capsys):
    """Comments, domains, lists in several lines, ends of lines of another system."""
    text = (
        (project / "params.yaml").read_text().replace("methods: [adgan]", "methods: # mine\n- adgan # the first\n- pg2")
    )
    start, stop = text.index("  target: # two toon"), text.index("\n# The systems that are trained")
    own = text[start:stop].replace("  target: # two toon", "  mine: # my own, toon", 1)
    text = f"# größer\n{text[:stop]}{own}{text[stop:]}\n# no end".replace("\n", "\r\n")
    (project / "params.yaml").write_bytes(text.encode())
    assert commands.main(["use", "adgan"]) == 0
    assert commands.main(["use", "quick"]) == 0
    kept = text.replace("- adgan # the first\r\n- pg2", "  [adgan]")
    assert (project / "params.yaml").read_bytes().decode() == kept


def test_a_list_in_several_lines_that_says_the_same_stays(project, capsys):
    """As `dvc exp run -S` leaves every list, whichever value was set."""
    text = (project / "params.yaml").read_text().replace("methods: [adgan]", "methods:\n- adgan")
    (project / "params.yaml").write_text(text)
    assert commands.main(["use", "adgan"]) == 0
    assert "methods" not in capsys.readouterr().out
    assert commands.main(["use", "quick"]) == 0
    assert (project / "params.yaml").read_text() == text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seed: 0\n", "seed: 0\nseed: 1\n", 'params.yaml: no valid YAML: .*duplicate key "seed"'),
        ("seed: 0\n", "seed: !mine 0\n", "params.yaml: no valid YAML: .*!mine"),
        ("width: 0.25 # channels", "width: *width # channels", "params.yaml: no valid YAML: .*undefined alias"),
        ("  coarse: 0.92", "  coarse: &share 0.92", "'pg2.coarse' cannot be changed from '&share 0.92' to '0.275'"),
    ],
)
def test_a_params_yaml_that_has_no_room_for_a_value_is_left_alone(project, capsys, old, new, told):
    text = (project / "params.yaml").read_text()
    written = text.replace(old, new, 1) + ("\nmore: {of: *share}\n" if "&share" in new else "")
    (project / "params.yaml").write_text(written)
    assert commands.main(["use", "pg2-deepfashion"]) == 1
    assert re.search(told, capsys.readouterr().err, re.DOTALL)
    assert (project / "params.yaml").read_text() == written


def test_what_changed_is_told_and_what_is_missing(project, capsys):
    commands.main(["use", "deepfashion-adgan", "-S", "pretrain.steps=500"])
    told = capsys.readouterr().out
    assert "0.25 -> 1.0" in told
    assert "2600 -> 500" in told
    assert "still yours to give: -S domains.source.raw" in told
    assert "posewright use quick" in told
    found = params.load(project / "params.yaml")
    assert found.domain("source").ingest.source == "deepfashion"
    assert found.pretrain["steps"] == 500
    assert found.methods["adgan"]["width"] == 1.0


def test_a_file_that_is_asked_for_is_missed_until_it_is_there(project, capsys):
    given = ["-S", "domains.source.raw=/data/mine"]
    commands.main(["use", "deepfashion-transfer-1000", *given])
    told = capsys.readouterr().out
    assert "still yours to bring: models/pretrained/adgan.safetensors" in told
    assert "still yours to give" not in told
    (project / "models/pretrained").mkdir(parents=True)
    (project / "models/pretrained/adgan.safetensors").touch()
    commands.main(["use", "deepfashion-transfer-1000", *given])
    assert "still yours" not in capsys.readouterr().out


def test_a_dry_run_tells_and_writes_nothing(project, capsys):
    before = (project / "params.yaml").read_text()
    arguments = ["-S", "finetune.steps=0", "-S", "finetune.scratch=false", "-S", "pretrain.precision=bf16-mixed"]
    assert commands.main(["use", "pg2-deepfashion", "--dry-run", *arguments]) == 0
    told = capsys.readouterr().out
    assert (project / "params.yaml").read_text() == before
    assert "values of params.yaml would change" in told
    assert "pg2.coarse" in told
    assert "122.1" in told  # millions of parameters of the published G1
    assert "58,000 steps of 1" in told
    assert "GiB of its memory" in told
    assert "as if it were float32: bf16-mixed takes less" in told
    assert "pg2-deepfashion needs: pictures of 256x256" in told


SMALL = {
    f"domains.{key}.crop.{side}": px for key in ("source", "target") for side, px in (("width", "44"), ("height", "64"))
}


def test_hours_follow_from_steps_that_were_taken(project, capsys, monkeypatch):
    """By a clock that moves by a second whenever it is read: two steps are timed at a time, so a step takes a half."""
    seconds = itertools.count()
    monkeypatch.setattr(paces.time, "perf_counter", lambda: next(seconds))
    before = (project / "params.yaml").read_text()
    own = {"adgan.width": "0.05", "pretrain.steps": "7200", "finetune.steps": "3600"}
    changes = [word for key, value in (own | SMALL).items() for word in ("-S", f"{key}={value}")]
    assert commands.main(["use", "quick", "--dry-run", "--measure", *changes]) == 0
    told = capsys.readouterr().out
    assert (project / "params.yaml").read_text() == before
    assert "measured here by a few steps of every phase (CPU, " in told
    assert told.count("500 ms a step") == 2
    assert "  2.0 h of training, without data stages" in told


@pytest.mark.parametrize("name", METHODS)
def test_every_phase_of_every_system_is_timed_as_it_is_counted(name, project, monkeypatch):
    """At one moment of each phase, for time's sake."""
    for module in (cost, paces):
        monkeypatch.setattr(module, "sampled_steps", lambda count: [int(0.9 * count)])
    own = {f"{name}.width": "0.05", "methods": f"[{name}]", "pretrain.steps": "200", "finetune.steps": "0"}
    found = plan("quick", **own, **SMALL).params
    trainings = estimate(found).trainings
    taken = paces.paces(found, trainings)
    assert set(taken) == {(training.name, phase) for training in trainings for phase in training.phases}
    assert all(pace.seconds > 0 and pace.memory_bytes == 0 for pace in taken.values())


@pytest.mark.parametrize("steps", ["1", "3"])
def test_trainings_of_hardly_a_step_are_timed_too(project, steps):
    found = plan("quick", **SMALL, **{"adgan.width": "0.05", "pretrain.steps": steps, "finetune.steps": "0"}).params
    assert list(paces.paces(found, estimate(found).trainings)) == [("pretrain@adgan", "train")]


def test_measuring_goes_with_a_dry_run(project, capsys):
    assert commands.main(["use", "quick", "--measure"]) != 0
    assert "--measure goes with --dry-run" in capsys.readouterr().err


def test_the_arguments_for_dvc_are_those_values(project, capsys):
    commands.main(["use", "pg2-seed001", "pg2-seed001-wgan", "--set", "-S", "seed=3"])
    words = capsys.readouterr().out.split()
    assert set(words[::2]) == {"-S"}
    assert {"pg2.critic=wgan_triplet", "methods=[pg2]", "pg2.pretrain.steps=290000", "seed=3"} <= set(words[1::2])
    assert recipes.plan([], recipes.overrides(words[1::2])).params == applied_with_seed(3)


def applied_with_seed(seed):
    return plan("pg2-seed001-wgan", seed=str(seed)).params


def test_the_way_back_is_told_where_there_is_one(project, capsys):
    commands.main(["use", "spt"])
    assert "back: `posewright use quick`" in capsys.readouterr().out
    commands.main(["use", "quick"])
    assert "back:" not in capsys.readouterr().out


def test_the_list_names_them_all(project, capsys):
    assert commands.main(["use"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line in RECIPES] == RECIPES
    assert RECIPES[0] == "quick"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("set:\n  adgan:\n    widht: 1.0\n", "recipes/mine.yaml: 'adgan.widht' is no key of params.yaml; did you mean 'adgan.width'"),
        ("set:\n  adgan:\n    width: 7\n", "recipes/mine.yaml: adgan.width: 7.0 is out of range"),
        ("set:\n  pretrain:\n    batch: many\n", "recipes/mine.yaml: pretrain.batch: expected int, found 'many'"),
        ("set:\n  domains:\n    source:\n      crop:\n        mode: cut\n", "recipes/mine.yaml: domains.source.crop.mode: 'cut' is not one of"),
        ("set:\n  methods: [adgam]\n", "methods lists 'adgam'"),
        ("sets:\n  seed: 1\n", "recipes/mine.yaml: unknown key 'sets'; did you mean 'set'"),
        ("set: [\n", "recipes/mine.yaml: no valid YAML"),
        ("set: 3\n", "recipes/mine.yaml: set: expected a dict, found 3"),
        ("builds_on: [adgen]\nset: {}\n", "no recipe 'adgen'; did you mean 'adgan'"),
        ("builds_on: [mine]\nset: {}\n", "recipes/mine.yaml: builds on itself"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_named_with_its_key(project, capsys, written, told):
    head = "description: mine\nneeds: nothing\nexpected: {hours: 1, memory_gib: 1, disk_gib: 1}\n"
    (project / "recipes/mine.yaml").write_text(head + written)
    before = (project / "params.yaml").read_text()
    assert commands.main(["use", "mine"]) == 1
    assert told in capsys.readouterr().err
    assert (project / "params.yaml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["adgam"], "no recipe 'adgam'; did you mean 'adgan'"),
        (["adgan", "-S", "adgan.width"], "-S adgan.width: expected key=value"),
        (["adgan", "-S", "adgan.wide=1"], "-S: 'adgan.wide' is no key"),
        (["adgan", "-S", "adgan.width=9"], "adgan.width: 9.0 is out of range"),
        (["adgan", "-S", "methods=[adgan"], "-S methods=[adgan: no valid YAML"),
        (["--dry-run"], "name a recipe: quick, "),
    ],
)
def test_a_wrong_call_is_one_message(project, capsys, arguments, told):
    assert commands.main(["use", *arguments]) == 1
    assert told in capsys.readouterr().err


def test_outside_of_a_project_it_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["use"]) == 1
    assert "project's root" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_says_it_takes_is_what_is_counted(name):
    recipe, found = recipes.read(name, ROOT / "recipes"), applied(name)
    counted = estimate(found)
    assert recipe.expected.hours == pytest.approx(counted.hours, rel=0.06)
    assert recipe.expected.memory_gib == pytest.approx(counted.memory_gib, rel=0.06)
    assert recipe.expected.disk_gib == pytest.approx(counted.disk_gib(found, recipe.pictures), rel=0.06)


def test_a_device_of_several_keeps_its_part_of_the_batch():
    ways = ({}, {"pretrain.accumulate": "4"}, {"pretrain.devices": "2", "pretrain.nodes": "2"})
    plans = [plan("quick", **{"finetune.steps": "0", "pretrain.steps": "2"} | way).params for way in ways]
    whole, in_parts, spread = (estimate(found).memory_gib for found in plans)
    assert spread == in_parts < whole


def test_a_batch_in_parts_keeps_the_gradients_of_those_before():
    """As a batch that is as small as a part, and a number for each weight of the generator and the two critics."""
    small, in_parts = (
        estimate(plan("quick", **{"finetune.steps": "0", "pretrain.steps": "2"} | way).params)
        for way in ({"pretrain.batch": "1"}, {"pretrain.accumulate": "4"})
    )
    weights = sum(count for count, _ in in_parts.networks["adgan"].values())
    assert (in_parts.memory_gib - small.memory_gib) * 2**30 == pytest.approx(1.1 * 4 * weights, rel=0.01)


def test_the_published_recipe_is_the_settings_default():
    """params.yaml holds quick values; the recipe goes back to those that AdganSettings calls the published code's."""
    default = method_class("adgan").Settings()
    settings = read_settings(type(default), applied("adgan").system("adgan"), where="adgan")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    assert different == {"pose_map"}  # the released pictures' maps are single pixels; Gaussians are what is meant


def test_the_released_recipe_of_pg2_is_its_settings_default():
    default = method_class("pg2").Settings()
    settings = read_settings(type(default), applied("pg2-deepfashion").system("pg2"), where="pg2")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    # Full frames; and the quirks, which are mended by default.
    assert different == {"columns", "compat"}


@pytest.mark.parametrize(
    ("names", "coarse", "fine"),
    [
        (["pg2-deepfashion"], 22_000, 58_000),
        (["pg2-market"], 22_000, 38_000),
        (["pg2-seed001"], 40_000, 25_000),
        (["pg2-seed001", "pg2-seed001-wgan"], 40_000, 25_000 * 10),
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
    found, default = applied("scagan"), method_class("scagan").Settings()
    settings = read_settings(type(default), found.system("scagan"), where="scagan")
    different = {key for key, value in vars(default).items() if getattr(settings, key) != value}
    assert different == {"compat"}  # the quirks, which are mended by default
    # 16,000 samples for PCT-Net and 400 x 4,000 for IS-Net, three a step
    training, phases = found.training("pretrain", "scagan"), build("scagan", {"width": 0.05}).phases
    samples = [training["steps"] * training["batch"] * phase.share for phase in phases]
    assert samples == pytest.approx([16_000, 1_600_000], rel=0.02)


@pytest.mark.parametrize(("name", "domain"), [("fashion-1000", "target"), ("deepfashion-transfer-1000", "source")])
def test_a_thousand_pairs_and_seventy_five(name, domain):
    pairs = applied(name).domain(domain).pairs
    assert (pairs.max_train, pairs.max_test) == (1000, 75)


def test_params_yaml_builds_its_methods():
    raw = params.load(ROOT / "params.yaml")
    assert all(build(name, raw.system(name)).name == name for name in raw.methods)
