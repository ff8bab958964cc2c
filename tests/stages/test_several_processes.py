"""A training stage in two processes, whoever starts them: the same weights, one set of curves, one line in the log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.imports import ROOT
from tests.stages.conftest import Project

pytestmark = pytest.mark.slow

TINY = {
    "steps": 4, "batch": 4, "log_every": 2, "sample_every": 2, "checkpoint_every": 2, "held_out": 2, "threads": 1,
    "device": "cpu", "devices": 2, "keep_best": True,
}  # fmt: skip
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29431", "-m", "pipeline.run"],
    "fabric": ["-m", "lightning.fabric.cli", "--devices", "2", "--accelerator", "cpu", "--main-port", "29432",
               str(ROOT / "pipeline" / "run.py")],
}  # fmt: skip


@pytest.fixture(scope="module")
def make(packed_project, tmp_path_factory):
    def made() -> Project:
        project = Project(tmp_path_factory.mktemp("several"), methods=["adgan"])
        project.path().mkdir()
        for name in ("pack", "extras"):
            project.path(name).symlink_to(packed_project.path(name))
        project.raw["pretrain"] |= TINY
        project.change(**{"adgan.width": 0.06, "adgan.perceptual": 0})
        return project

    return made


@pytest.fixture(scope="module")
def by_itself(make):
    project = make()
    project.run("pretrain@adgan")
    return project


def test_the_stage_starts_its_processes(by_itself):
    assert set(by_itself.files("pretrain", "adgan")) == {
        "data/pretrain/adgan/weights.safetensors",
        "data/pretrain/adgan/best/weights.safetensors",
    }
    _check(by_itself)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_gives_the_same_weights(launcher, make, by_itself):
    project = make()
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    env |= {"DVC_ROOT": str(project.folder)}
    command = [sys.executable, *LAUNCHERS[launcher], "pretrain@adgan"]
    done = subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.files("pretrain", "adgan") == by_itself.files("pretrain", "adgan")
    _check(project)


def test_two_machines_give_the_same_weights(make, by_itself):
    """Two launchers that find each other by an address, as on two machines; here both on this one."""
    project = make()
    project.change(**{"pretrain.devices": 1, "pretrain.nodes": 2})
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    env |= {"DVC_ROOT": str(project.folder)}
    launcher = "-m torch.distributed.run --nnodes 2 --nproc-per-node 1 --master-addr 127.0.0.1 --master-port 29433"
    machines = [
        subprocess.Popen(
            [sys.executable, *launcher.split(), "--node-rank", rank, "-m", "pipeline.run", "pretrain@adgan"],
            cwd=project.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    told = [machine.communicate(timeout=600)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], "\n".join(told)
    assert project.files("pretrain", "adgan") == by_itself.files("pretrain", "adgan")
    _check(project)


def _check(project: Project) -> None:
    table = pd.read_csv(next(project.path("curves", "pretrain", "adgan").rglob("l1.tsv")), sep="\t")
    assert table["step"].tolist() == [2, 4]
    runs = [json.loads(line) for line in Path(project.folder / "runs.jsonl").read_text().splitlines()]
    assert [run["stage"] for run in runs] == ["pretrain"]
    assert not list((project.folder / ".cache" / "runs").glob("*"))
