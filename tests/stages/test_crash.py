"""SIGKILL at any moment, a storage that refuses: outputs as of an undisturbed run, one batch of work lost at most."""

import json
import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from tests.stages.clone import Clone
from tests.stages.conftest import DATA_STAGES

STAGES = [*(f"{stage}@source" for stage in DATA_STAGES), "pretrain@adgan"]
LIMIT_BYTES = 8192


@pytest.fixture
def project(straight, tmp_path):
    """A copy of the undisturbed clone that a test may change."""
    return straight.copied(tmp_path / "copy")


def kill(process):
    """SIGKILL; False when it was over already, and well."""
    over = process.poll() is not None
    process.kill()
    output, _ = process.communicate()
    assert not over or process.returncode == 0, output
    return not over


def last_record(project):
    return json.loads((project.folder / "runs.jsonl").read_text().splitlines()[-1])


def killed_and_run_again(project, stage, moments):
    before = project.outs(stage)
    records = [json.loads(line) for line in (project.folder / "runs.jsonl").read_text().splitlines()]
    took = next(record["seconds"] for record in records if f"{record['stage']}@{record['item']}" == stage)
    project.forget(stage)
    rng = random.Random(stage)
    for _ in range(moments):
        process = project.start(stage)
        time.sleep(rng.uniform(0, took + 2))
        if not kill(process):
            project.forget(stage)
        assert not project.living()
    project.run(stage)
    assert project.outs(stage) == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_as_an_undisturbed_one(stage, project):
    killed_and_run_again(project, stage, 3)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_often_ends_as_an_undisturbed_one(stage, project):
    project.change(**{"engine.kind": "processes", "engine.workers": 2})
    killed_and_run_again(project, stage, 50 if stage.startswith("pretrain") else 7)


def kill_dvc(clone, straight, moments):
    """Kill `dvc repro` so many times; each time that it gets through, compare and begin anew."""
    rng, kills = random.Random(moments), 0
    while kills < moments:
        process = clone.dvc("repro", "pretrain@adgan")
        time.sleep(rng.uniform(1, 12))
        if kill(process):
            kills += 1
            assert not clone.living()
        else:
            assert clone.hashes() == straight.hashes()
            for name in ("data", ".cache", ".dvc/cache"):
                shutil.rmtree(clone.folder / name)
            (clone.folder / "dvc.lock").unlink()
    clone.repro("pretrain@adgan")
    assert clone.hashes() == straight.hashes()
    assert "up to date" in clone.repro("pretrain@adgan")


@pytest.mark.parametrize("moments", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_dvc_leaves_no_child_and_ends_as_an_undisturbed_one(moments, straight, tmp_path):
    kill_dvc(Clone(tmp_path / "killed", **{"engine.kind": "processes", "engine.workers": 2}), straight, moments)


def refused(project, stage, **how):
    """The message of a stage that storage refuses; whatever stood there before is as it was."""
    before = project.files(".")
    process = subprocess.run(
        [sys.executable, "-m", "pipeline.run", stage],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
        **how,
    )
    output = process.stdout + process.stderr
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert f"error in {stage}: " in output
    left = {name: data for name, data in project.files(".").items() if not name.endswith(".part")}
    assert left == before
    return output


@pytest.mark.parametrize("stage", STAGES)
def test_a_write_that_fails_is_told_and_the_next_run_completes(stage, project):
    before = project.outs(stage)
    shutil.rmtree(project.folder / ".cache")
    output = refused(project, stage, preexec_fn=limit_files)
    assert "run again: what is finished is kept" in output
    assert str(project.folder) in output or "data/" in output
    project.run(stage)
    assert project.outs(stage) == before


def limit_files():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))


def test_a_folder_that_cannot_be_written_is_named(project):
    before = project.outs("edges@source")
    folder = project.path("edges", "source")
    shutil.move(folder, project.folder / "aside")
    folder.symlink_to("/sys")  # nobody may make a folder there, root neither
    output = refused(project, "edges@source")
    assert "data/edges/source/" in output
    folder.unlink()
    project.run("edges@source")
    assert project.outs("edges@source") == before


def test_a_file_in_the_place_of_a_folder_is_named(project):
    before = project.outs("edges@source")
    shutil.rmtree(project.path("edges"))
    project.path("edges").write_text("in the way")
    assert "data/edges" in refused(project, "edges@source")
    project.path("edges").unlink()
    project.run("edges@source")
    assert project.outs("edges@source") == before


def test_a_full_disk_is_told_by_its_name(project):
    (project.folder / "runs.jsonl").unlink()
    (project.folder / "runs.jsonl").symlink_to("/dev/full")
    output = refused(project, "pairs@source")
    assert os.strerror(28) in output
    assert "MiB free" in output
