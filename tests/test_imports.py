"""Who may know whom, and that dvc.yaml lists every module a stage is made of."""

import subprocess
import sys

import pytest

from pipeline.imports import ROOT, file_of, imports_of, modules_of

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ("pipeline", "stages", "models", "experiments")
    for path in (ROOT / room).rglob("*.py")
)
MAY_USE = {
    "pipeline": ("pipeline",),
    "models": ("models", "pipeline.people", "pipeline.packed", "pipeline.errors"),
    "stages": ("stages", "pipeline", "models"),
    "experiments": ("experiments", "stages", "pipeline", "models"),
}
DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack", "pseudo_labels")


def allowed(module):
    extra = ("pipeline.render",) if module.startswith("models.detectors.") else ()
    return MAY_USE[module.split(".")[0]] + extra


@pytest.mark.parametrize("module", MODULES)
def test_rooms_keep_to_themselves(module):
    for name in imports_of(module):
        if name in MAY_USE:
            continue
        assert any(name == room or name.startswith(f"{room}.") for room in allowed(module)), f"{module} imports {name}"


def test_the_rule_would_notice():
    assert "pipeline.people.skeleton" in imports_of("pipeline.packed")
    assert not any("models".startswith(room) for room in allowed("pipeline.packed"))
    assert file_of("pipeline.nothing") is None
    assert "pipeline.people.skeleton" in modules_of("stages.artifacts")


def test_only_params_reads_params_yaml_and_only_recipes_writes_it():
    for module in MODULES:
        path = file_of(module)
        neutral = ("pipeline.params", "pipeline.recipes", "experiments.settings")
        if module.startswith("models.detectors") or module in neutral:
            continue
        assert 'params.yaml").open' not in path.read_text()
        assert "YAML(" not in path.read_text(), f"{module} reads YAML"


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_data_stages_do_not_import_torch(stage):
    code = f"import sys, stages.{stage}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
