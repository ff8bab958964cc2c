"""A tiny project in a temporary folder: real rendered people through the real stages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.imports import ROOT


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
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.run", stage],
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

    def path(self, *parts):
        return self.folder.joinpath("data", *parts)

    def files(self, *parts):
        """Bytes of every file below data/<parts>."""
        root = self.path(*parts)
        paths = [root] if root.is_file() else [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


DATA_STAGES = ("figures", "ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack", "pseudo_labels")


@pytest.fixture(scope="session")
def packed_project(tmp_path_factory):
    """A project whose source domain went through every data stage once. Read it, do not change it."""
    project = Project(tmp_path_factory.mktemp("packed"), methods=["adgan", "spt"])
    project.run(*(f"{stage}@source" for stage in DATA_STAGES))
    return project
