"""dvc.yaml says what the stages are made of: every module they import, every output they write."""

import re
from pathlib import PurePosixPath

import pytest
from ruamel.yaml import YAML

from models.method import METHODS
from pipeline.imports import ROOT, file_of, modules_of

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def body(stage):
    return STAGES[stage].get("do", STAGES[stage])


def listed(stage):
    """The dependencies; `${item}` stands for every method, `${key}` stays."""
    names = METHODS if STAGES[stage].get("foreach") == "${methods}" else ["${item}"]
    return {path.replace("${item}", name) for path in body(stage)["deps"] for name in names}


def used(stage):
    """Files of the modules that the stage imports, those of the methods included, which are imported by name."""
    roots = [f"stages.{stage}"]
    if STAGES[stage].get("foreach") == "${methods}":
        roots += [place.partition(":")[0] for place in METHODS.values()]
    files = {file_of(module) for root in roots for module in modules_of(root)}
    return {path for path in files if path.name != "__init__.py" or "import" in path.read_text()}


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_module_is_a_dependency(stage):
    deps = [PurePosixPath(path) for path in listed(stage)]
    for file in used(stage):
        path = PurePosixPath(file.relative_to(ROOT).as_posix())
        assert any(path == dep or dep in path.parents for dep in deps), f"{stage} imports {path}; list it under deps"


@pytest.mark.parametrize("stage", STAGES)
def test_listed_code_exists_and_is_used(stage):
    names = {file.relative_to(ROOT).as_posix() for file in used(stage)}
    for path in listed(stage):
        if re.match(r"(pipeline|stages|models)/", path) and "weights" not in path and path != "models/pretrained":
            assert (ROOT / path).exists(), f"{stage}: {path} does not exist"
            assert any(name == path or name.startswith(f"{path}/") for name in names), f"{stage} does not import {path}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage):
    assert len(body(stage)["desc"]) > 30
    assert body(stage)["cmd"].startswith(f"python -m pipeline.run {stage}")


def test_the_report_depends_on_every_finding():
    """File by file: of `experiments/`, a project of its own, DVC sees no folder's content."""
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments/results").glob("*.json")}
    assert found
    assert found == {path for path in listed("report") if path.startswith("experiments")}
