"""dvc.yaml of the experiments lists every module that its stages import, and what the pages are made of."""

import re
from pathlib import PurePosixPath

import pytest
from ruamel.yaml import YAML

from experiments.tables import PAGES
from models.method import METHODS
from pipeline.imports import ROOT, file_of, modules_of

STAGES = YAML(typ="safe").load((ROOT / "experiments" / "dvc.yaml").read_text())["stages"]


def body(stage):
    return STAGES[stage].get("do", STAGES[stage])


def listed(stage):
    """The dependencies as paths from the repository's root; `${item.method}` stands for every method."""
    paths = {path.replace("${item.method}", name) for path in body(stage)["deps"] for name in METHODS}
    return {path[3:] if path.startswith("../") else f"experiments/{path}" for path in paths}


def used(stage):
    """Files of the modules that the stage's command imports; where rows are of any method, those of the methods too."""
    roots = re.findall(r"python -m ([\w.]+)", body(stage)["cmd"])
    if any("${item.method}" in path for path in body(stage)["deps"]):
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
def test_listed_code_exists(stage):
    for path in listed(stage):
        if path.endswith(".py"):
            assert (ROOT / path).is_file(), f"{stage}: {path} does not exist"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_depends_on_its_results(page):
    written = {path for stage in STAGES for out in body(stage).get("metrics", ()) for path in out}
    for name in PAGES[page]:
        assert f"results/{name}.json" in body(page)["deps"]
        assert f"results/{name}.json" in written
