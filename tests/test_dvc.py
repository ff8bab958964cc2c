"""dvc.yaml says what the stages are made of: every module they import, every output they write."""

import re
from pathlib import PurePosixPath

import pytest
from ruamel.yaml import YAML

from pipeline.imports import ROOT, file_of, modules_of

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def body(stage):
    return STAGES[stage].get("do", STAGES[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_module_is_a_dependency(stage):
    listed = [PurePosixPath(path) for path in body(stage)["deps"]]
    for module in modules_of(f"stages.{stage}"):
        path = file_of(module)
        if path.name == "__init__.py" and "import" not in path.read_text():
            continue
        path = PurePosixPath(path.relative_to(ROOT).as_posix())
        assert any(path == dep or dep in path.parents for dep in listed), f"{stage} imports {path}; list it under deps"


@pytest.mark.parametrize("stage", STAGES)
def test_listed_code_exists_and_is_used(stage):
    used = {file_of(module).relative_to(ROOT).as_posix() for module in modules_of(f"stages.{stage}")}
    for path in body(stage)["deps"]:
        if re.match(r"(pipeline|stages|models)/", path) and "weights" not in path:
            assert (ROOT / path).exists(), f"{stage}: {path} does not exist"
            assert any(name == path or name.startswith(f"{path}/") for name in used), f"{stage} does not import {path}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_says_what_it_does(stage):
    assert len(body(stage)["desc"]) > 30
    assert body(stage)["cmd"].startswith(f"python -m pipeline.run {stage}")
