"""A training stage in two processes, whoever starts them: the same weights, one set of curves, one line in the log."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    with _launched(launcher, project) as training:
        told, _ = training.communicate()
    assert training.returncode == 0, told
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


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_of_a_lost_process_the_other_says_so_in_one_line(launcher, make):
    """It meets the silence by itself, or the launcher ends it before."""
    project = make()
    project.change(**{"pretrain.steps": 100_000})
    with _launched(launcher, project) as training:
        lost = _started(project, training, 2)[-1]
        os.kill(lost, signal.SIGKILL)
        told, _ = training.communicate(timeout=120)
    assert training.returncode
    ours = [line for line in told.splitlines() if line.startswith("error in pretrain@adgan: ")]
    assert len(ours) == 1, told
    assert re.search(
        r"a process of the training was lost \(.+\); .*the same commands again|the launcher ended this process", ours[0]
    ), told
    assert "devices.py" not in told
    assert str(lost) in told, "the launcher names the first that failed"
    assert not [path for path in (project.folder / ".cache" / "runs").rglob("*.part")]


def test_ctrl_c_ends_all_processes_with_one_line_and_the_next_run_goes_on(make):
    project = make()
    project.change(**{"pretrain.steps": 20})
    command = [sys.executable, "-m", "pipeline.run", "pretrain@adgan"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DVC_ROOT": str(project.folder)}
    with subprocess.Popen(
        command, cwd=project.folder, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as training:
        started = _started(project, training, 3)  # one of them keeps account of semaphores
        os.killpg(training.pid, signal.SIGINT)
        _, told = training.communicate(timeout=60)
    assert training.returncode == 130
    assert told.count("error in pretrain@adgan: interrupted. What is finished is kept: run again") == 1
    assert "Traceback" not in told
    _wait(lambda: not any(map(_is_alive, started)), seconds=20)
    _, told = project.run("pretrain@adgan")
    assert int(re.search(r"(\d+)/20", told)[1]) >= 2, "the first that the bar shows"


def test_the_processes_end_with_a_killed_launcher(make):
    project = make()
    project.change(**{"pretrain.steps": 100_000})
    with _launched("torchrun", project) as training:
        started = _started(project, training, 2)
        training.kill()
        _wait(lambda: not any(map(_is_alive, started)))


def _launched(launcher: str, project: Project) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    env |= {"DVC_ROOT": str(project.folder)}
    command = [sys.executable, *LAUNCHERS[launcher], "pretrain@adgan"]
    return subprocess.Popen(
        command, cwd=project.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _started(project: Project, parent: subprocess.Popen[str], count: int) -> list[int]:
    """The processes of a training that has left a checkpoint."""
    _wait(lambda: list((project.folder / ".cache" / "runs").rglob("step-*.pt")))
    found = list(map(int, Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()))
    assert len(found) == count
    return found


def _is_alive(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait(condition: Callable[[], Any], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def _check(project: Project) -> None:
    table = pd.read_csv(next(project.path("curves", "pretrain", "adgan").rglob("l1.tsv")), sep="\t")
    assert table["step"].tolist() == [2, 4]
    runs = [json.loads(line) for line in Path(project.folder / "runs.jsonl").read_text().splitlines()]
    assert [run["stage"] for run in runs] == ["pretrain"]
    assert not list((project.folder / ".cache" / "runs").glob("*"))
