"""Files between the stages that somebody spoiled: each ends in a message that names file and remedy."""

import io
import json
import os
import re
import shutil

import pytest
import torch
from safetensors.torch import save

from models.checkpoints import newest
from models.detectors.parsing import SHIPPED as PARSING
from models.detectors.pose import PoseDetector
from models.features import Trunk
from pipeline.errors import UserError
from pipeline.params import load
from pipeline.shards import ShardReader
from tests.stages import corpus
from tests.stages.conftest import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of six good pictures, run from ingest to crop."""
    folder = tmp_path_factory.mktemp("spoiled")
    corpus.write_good(folder / "raw")
    changes = {"domains.source.raw": str(folder / "raw"), "domains.source.ingest.source": "folder"}
    project = Project(folder / "project", **changes)
    project.run_here("ingest@source", "crop@source")
    return project


def traps(path):
    """A malicious pickle, alone and as torch.save writes it; each would make a folder at `path`."""
    buffer = io.BytesIO()
    torch.save({"recipe": corpus.Trap(path)}, buffer)
    return corpus.malicious(path), buffer.getvalue()


def test_bad_weights_are_named_with_several_processes(project):
    (project.folder / "w.safetensors").write_bytes(b"junk")
    before = dict(project.raw["engine"]), project.raw["domains"]["source"]["keypoints"]["weights"]
    key = "domains.source.keypoints.weights"
    project.change(**{"engine.kind": "processes", "engine.workers": 2, key: "w.safetensors"})
    code, output = project.run("keypoints@source", check=False)
    project.change(**{"engine.kind": before[0]["kind"], "engine.workers": before[0]["workers"], key: before[1]})
    assert (code, "Traceback" in output) == (1, False)
    assert "w.safetensors: not a file of weights" in output


@pytest.mark.parametrize("description", ["{}", '{"base": "resnet1"}', '{"base": "lite0pyramid", "width": "wide"}'])
def test_weights_of_another_network_are_named(tmp_path, description):
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"a": torch.zeros(3)}, {"description": description}))
    with pytest.raises(UserError, match=r"w\.safetensors: the weights do not fit"):
        PoseDetector(path)
    shutil.copy(PARSING, path)
    with pytest.raises(UserError, match=r"w\.safetensors: the weights do not fit"):
        PoseDetector(path)


def test_a_picture_that_has_gone_since_is_named(project):
    picture = project.folder.parent / "raw" / "ada_0.png"
    data = picture.read_bytes()
    picture.unlink()
    shutil.rmtree(project.folder / ".cache")
    code, output = project.run("crop@source", check=False)
    picture.write_bytes(data)
    assert (code, "Traceback" in output) == (1, False)
    assert re.search(r"ada_0\.png cannot be read any more .*: put it back", output)


@pytest.mark.parametrize("data", [b"junk" * 999, b"", corpus.malicious("sprung")])
def test_a_shard_that_is_none_is_named(tmp_path, data):
    (tmp_path / "00.tar").write_bytes(data)
    with pytest.raises(UserError, match=r"00\.tar: not a shard .*delete it.*`dvc repro` writes it again"):
        ShardReader(tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfea\0:\0", b"a: \xe9"])
def test_parameters_in_another_encoding_are_named(tmp_path, data):
    (tmp_path / "params.yaml").write_bytes(data)
    with pytest.raises(UserError, match=r"params\.yaml cannot be read .*UTF-8"):
        load(tmp_path / "params.yaml")


def test_weights_of_a_vgg_that_are_a_trap_are_not_run(tmp_path):
    path = tmp_path / "vgg19.pth"
    for data in (*traps(tmp_path / "sprung"), b"", b"<!DOCTYPE html>"):
        path.write_bytes(data)
        with pytest.raises(
            UserError, match=r"vgg19\.pth: not a file of weights .*fetch torchvision's vgg19 file again"
        ):
            Trunk("vgg19").load(path)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_vgg_are_named(tmp_path):
    torch.save({f"features.{key}": torch.zeros(2) for key in Trunk("vgg19").state_dict()}, tmp_path / "vgg19.pth")
    with pytest.raises(UserError, match=r"vgg19\.pth: not the features of a vgg19 .*take its own file"):
        Trunk("vgg19").load(tmp_path / "vgg19.pth")


def test_a_checkpoint_that_is_a_trap_is_not_run(tmp_path):
    path = tmp_path / "step-000002.pt"
    for data in (*traps(tmp_path / "sprung"), b"", b"<!DOCTYPE html>"):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"step-000002\.pt: not a checkpoint that can be read .*delete it"):
            newest(tmp_path, "recipe")
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_pack_in_the_store_is_not_copied_from(packed_project, tmp_path):
    project = packed_project.copied(tmp_path / "project")
    before, kept = project.path("pack", "source.h5").read_bytes(), project.folder / ".cache" / "memo" / "files"
    for path in kept.iterdir():
        if path.read_bytes()[:4] == b"\x89HDF":
            state = path.stat()
            path.unlink()  # the artifact may be another name of the file
            path.write_bytes(bytes(state.st_size))
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    project.run("pack@source")
    assert json.loads((project.folder / "runs.jsonl").read_text().splitlines()[-1])["computed"] == 10
    assert project.path("pack", "source.h5").read_bytes() == before
