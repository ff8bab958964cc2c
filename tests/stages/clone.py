"""A whole project in a folder of its own, as `git clone` gives it: code, dvc.yaml, tiny parameters."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.imports import ROOT
from pipeline.mend import mend
from tests.stages.conftest import Project

PARTS = ("pipeline", "stages", "models", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config")
IGNORED = shutil.ignore_patterns("__pycache__", ".cache", "data", "runs.jsonl", "tmp")
TRAINING = {
    "steps": 6,
    "batch": 2,
    "log_every": 1,
    "sample_every": 2,
    "checkpoint_every": 1,
    "held_out": 2,
    "threads": 1,
}
# Where the undisturbed clone is made.
HERE = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "LANG": "C", "TZ": "UTC"}


def paths_of(outs):
    """The paths of a stage's `outs`; one with options of DVC's is a mapping."""
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


class Clone(Project):
    """A project under git and DVC, with five people in two poses and six steps of training."""

    def __init__(self, folder: Path, **changes):
        for part in PARTS:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part, **({"ignore": IGNORED} if copy is shutil.copytree else {}))
        super().__init__(folder)
        self.raw["pretrain"] |= TRAINING
        self.raw["adgan"] |= {"width": 0.06, "perceptual": 0, "contextual": 0}
        self.change(**changes)
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "all")

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True)

    def dvc(self, *words, **env):
        """A running `dvc`, with its output in a pipe."""
        mend(self.folder)  # as `make repro` does
        search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "PYTHONPATH"))}
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited | {"PATH": search, "OMP_NUM_THREADS": "1"} | env,
        )

    def repro(self, *words, **env):
        """The output of a `dvc repro` that must succeed."""
        process = self.dvc("repro", *words, **env)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def outs(self, stage):
        """Bytes of every output of `stage`, by path."""
        name, _, item = stage.partition("@")
        body = YAML(typ="safe").load((self.folder / "dvc.yaml").read_text())["stages"][name]["do"]
        paths = [path.replace("${key}", item).replace("${item}", item) for path in paths_of(body["outs"])]
        return {name: data for path in paths for name, data in self.files(path.removeprefix("data/")).items()}

    def forget(self, stage):
        """Delete the outputs of `stage` and every cache."""
        for path in self.outs(stage):
            (self.folder / path).unlink()
        shutil.rmtree(self.folder / ".cache", ignore_errors=True)

    def living(self, seconds=2.0):
        """Processes that still work in the folder after so many seconds."""
        end = time.monotonic() + seconds
        while (pids := [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if self._holds(path)]) and (
            time.monotonic() < end
        ):
            time.sleep(0.02)
        return pids

    def _holds(self, path):
        try:
            return path.resolve().is_relative_to(self.folder)
        except OSError:  # it ended, or is another user's
            return False

    def hashes(self):
        """(path, hash) of every output in dvc.lock, by stage."""
        lock = YAML(typ="safe").load((self.folder / "dvc.lock").read_text())
        return {name: [(out["path"], out["md5"]) for out in stage["outs"]] for name, stage in lock["stages"].items()}
