"""A tiny project in a temporary folder: real rendered people through the real stages."""

import contextlib
import copy
import fcntl
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.imports import ROOT
from pipeline.run import main

# The stages that are named, one after another, in one process: what it imports is imported once.
TOGETHER = """
import sys
from pipeline.run import main
for stage in sys.argv[1:]:
    if code := main([stage]):
        sys.exit(code)
"""

# The longest files, in the order in which xdist hands them out, so that none is begun when the others end. The second
# of them needs nothing that the first one makes.
LONGEST = ("test_crash.py", "test_training_stages.py", "test_incremental.py", "test_contract.py", "test_determinism.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


class Project:
    """A folder with params.yaml and data/, where stages run as `dvc repro` would run them."""

    def __init__(self, folder: Path, **changes):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "models").exists():
            (folder / "models").mkdir()
            (folder / "models" / "detectors").symlink_to(ROOT / "models" / "detectors")
        self.raw = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
        small = {
            "domains.source.figures.people": 5,  # of twelve people the fifth is the first to be held out
            "domains.source.figures.poses": 2,
            "domains.source.ingest.test": 0.4,
            "domains.source.keypoints.max_quarantined": 0.9,
            "engine.kind": "inline",
        }
        self.change(**small | changes)

    @classmethod
    def at(cls, folder: Path):
        """The project that stands in a folder, as it is."""
        project = cls.__new__(cls)
        project.folder, project.raw = folder, YAML(typ="safe").load((folder / "params.yaml").read_text())
        return project

    def copied(self, folder: Path):
        """A copy in a new folder, which a test may change."""
        shutil.copytree(self.folder, folder, symlinks=True)
        project = copy.deepcopy(self)
        project.folder = folder
        return project

    def change(self, **changes):
        for path, value in changes.items():
            *way, last = path.split(".")
            place = self.raw
            for key in way:
                place = place[key]
            assert last in place, path
            place[last] = value
        with (self.folder / "params.yaml").open("w") as file:
            YAML().dump(self.raw, file)

    def start(self, stage, **env):
        return self._start("-m", "pipeline.run", stage, **env)

    def _start(self, *words, **env):
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DVC_ROOT": str(self.folder)} | env,
        )

    def run(self, *stages, check=True):
        """(exit code, output) of the last of the stages, each in a process of its own."""
        for stage in stages:
            process = self.start(stage)
            output, _ = process.communicate()
            if check:
                assert process.returncode == 0, output
        return process.returncode, output

    def run_together(self, *stages):
        """The output of the stages, one after another in one new process, which knows nothing of earlier ones."""
        process = self._start("-c", TOGETHER, *stages)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def run_here(self, *stages, check=True):
        """(exit code, message) of the last of the stages, in this process, which has imported everything already.

        What a test begins with, or a mistake and its message; never a run that another one is compared with.
        """
        message = io.StringIO()
        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(message):
            patch.setenv("DVC_ROOT", str(self.folder))
            for stage in stages:
                code = main([stage])
                assert code == 0 or not check, message.getvalue()
        return code, message.getvalue()

    def path(self, *parts):
        return self.folder.joinpath("data", *parts)

    def files(self, *parts):
        """Bytes of every file below data/<parts>."""
        root = self.path(*parts)
        paths = [root] if root.is_file() else [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack", "pseudo_labels")


def made_once(tmp_path_factory, name, make):
    """The folder that `make` fills: once in a run of the tests, by the first of the xdist workers that asks for it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with (root / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            shutil.rmtree(root / name, ignore_errors=True)
            make(root / name)
            lock.write("made")
    return root / name


@pytest.fixture(scope="session")
def packed_project(tmp_path_factory):
    """A project whose source domain went through every data stage once. Read it, do not change it."""

    def make(folder):
        Project(folder, methods=["adgan", "spt"]).run_together(*(f"{stage}@source" for stage in DATA_STAGES))

    return Project.at(made_once(tmp_path_factory, "packed", make))


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """A clone after an undisturbed `dvc repro` up to its pretraining. Read it, do not change it."""
    from tests.stages.clone import HERE, Clone

    def make(folder):
        Clone(folder).repro("pretrain@adgan", **HERE)

    return Clone.at(made_once(tmp_path_factory, "straight", make))
