"""What every data stage promises, whatever it does: the same tests run on each of them, on rendered people."""

import dataclasses
import json
import shutil

import pytest
from ruamel.yaml import YAML

from pipeline.imports import ROOT
from pipeline.params import load
from pipeline.run import Job
from tests.stages.clone import paths_of
from tests.stages.conftest import DATA_STAGES

OUTS = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
MAPS_ITEMS = ("figures", "crop", "keypoints", "parsing", "edges")

pytestmark = pytest.mark.parametrize("stage", DATA_STAGES)


def outs(stage, domain="source"):
    return [path.replace("${key}", domain).removeprefix("data/") for path in paths_of(OUTS[stage]["do"]["outs"])]


def result(project, stage):
    return {name: data for path in outs(stage) for name, data in project.files(path).items()}


def records(project, stage):
    """What the runs of the stage noted, the last one last."""
    lines = map(json.loads, (project.folder / "runs.jsonl").read_text().splitlines())
    return [record for record in lines if record["stage"] == stage]


def forget(project, stage):
    for path in outs(stage):
        target = project.path(path)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    shutil.rmtree(project.folder / ".cache")


@pytest.fixture
def project(packed_project, tmp_path):
    """A copy of the packed project that a test may change."""
    return packed_project.copied(tmp_path / "project")


@pytest.fixture(scope="module")
def run_again(packed_project, tmp_path_factory):
    """A copy without artifacts that a second process took through every stage, with the store of the first one."""
    project = packed_project.copied(tmp_path_factory.mktemp("again") / "project")
    shutil.rmtree(project.path())
    project.run_together(*(f"{stage}@source" for stage in DATA_STAGES))
    return project


@pytest.fixture(scope="module")
def spread(packed_project, tmp_path_factory):
    """A copy without artifacts and without the store, that went through every stage in several processes."""
    project = packed_project.copied(tmp_path_factory.mktemp("spread") / "project")
    project.change(**{"engine.kind": "processes", "engine.workers": 2})
    shutil.rmtree(project.path())
    shutil.rmtree(project.folder / ".cache")
    project.run_together(*(f"{stage}@source" for stage in DATA_STAGES))
    return project


def test_same_input_same_bytes_without_any_cache(stage, project):
    before = result(project, stage)
    forget(project, stage)
    project.run(f"{stage}@source")
    assert before
    assert result(project, stage) == before


def test_a_second_run_computes_nothing(stage, packed_project, run_again):
    assert result(run_again, stage) == result(packed_project, stage)
    first, second = records(run_again, stage)
    if stage in MAPS_ITEMS:
        assert first["computed"] > 0
        assert second["computed"] == 0
        assert second["items"] + second["set_aside"] == 10


def test_several_processes_give_the_same_bytes(stage, packed_project, spread):
    assert result(spread, stage) == result(packed_project, stage)
    if stage in MAPS_ITEMS:
        assert records(spread, stage)[-1]["computed"] == records(packed_project, stage)[0]["computed"] > 0


def test_every_parameter_that_is_read_is_listed(stage, packed_project, monkeypatch, tmp_path):
    shutil.copytree(packed_project.folder, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    read = set()
    job = Job(stage, "source", watched(load(), "", read))
    __import__(f"stages.{stage}", fromlist=["run"]).run(job)
    listed = [path.replace("${key}", "source") for path in OUTS[stage]["do"]["params"]]
    for path in read:
        if path.startswith("engine"):
            continue
        assert any(path == key or path.startswith(f"{key}.") for key in listed), f"{stage} reads {path}: list it"


def watched(value, path, read):
    """A copy of the parameters that notes in `read` every leaf that is looked at."""
    if not dataclasses.is_dataclass(value):
        return value
    kind = type(value)

    def look(self, name):
        found = object.__getattribute__(self, name)
        if name in kind.__dataclass_fields__ and not isinstance(found, dict) and not dataclasses.is_dataclass(found):
            read.add(f"{path}{name}")
        return found

    spy = type(kind.__name__, (kind,), {"__getattribute__": look})
    fields = {}
    for item in dataclasses.fields(value):
        found = getattr(value, item.name)
        if isinstance(found, dict):
            fields[item.name] = {key: watched(inner, f"{path}{item.name}.{key}.", read) for key, inner in found.items()}
        else:
            fields[item.name] = watched(found, f"{path}{item.name}.", read)
    made = object.__new__(spy)
    for name, found in fields.items():
        object.__setattr__(made, name, found)
    return made
