"""Weights, checkpoints and packs that are none: a message that names file and remedy, and no code of theirs is run."""

import hashlib
import io
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from models.detectors import storage
from models.detectors.pose import SHIPPED as POSE
from models.originals import read_checkpoint
from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.run import main
from tests.pipeline.test_packed import write as write_pack
from tests.stages import corpus
from tests.stages.conftest import Project


@pytest.fixture(scope="module")
def cropped(tmp_path_factory):
    """A project of six good pictures, run from ingest to crop."""
    folder = tmp_path_factory.mktemp("files")
    corpus.write_good(folder / "raw")
    changes = {"domains.source.raw": str(folder / "raw"), "domains.source.ingest.source": "folder"}
    project = Project(folder / "project", **changes)
    project.run_here("ingest@source", "crop@source")
    return project


@pytest.fixture
def project(cropped, monkeypatch, capsys):
    """The project as the current folder, and a function that runs a stage: exit code and message."""
    monkeypatch.chdir(cropped.folder)
    monkeypatch.setenv("DVC_ROOT", str(cropped.folder))
    cropped.stage = lambda name: (main([name]), capsys.readouterr().err)
    return cropped


def sprung(folder):
    """The traps below the folder that sprang."""
    return list(folder.rglob("sprung*"))


def zipped_trap(path):
    """What torch.save writes of a trap: an archive with a pickle in it."""
    buffer = io.BytesIO()
    torch.save({"model": corpus.Trap(path), "state_dict": corpus.Trap(path)}, buffer)
    return buffer.getvalue()


def _bad_weights():
    whole = POSE.read_bytes()
    other = save({"a": torch.zeros(3)}, {"description": "[1, 2]"})
    no_json = save({"a": torch.zeros(3)}, {"description": "{"})
    trap, zipped = corpus.malicious("sprung"), zipped_trap("sprung")
    damaged = ["not a file of weights", ".safetensors"]
    return {
        "a malicious .pkl": ("w.pkl", trap, ["a pickle can run any code", "SHA-256", ".safetensors"]),
        "a malicious archive .pkl": ("w.pkl", zipped, ["a pickle can run any code", "SHA-256", ".safetensors"]),
        "a malicious .pth": ("w.pth", trap, damaged),
        "a malicious archive .pth": ("w.pth", zipped, damaged),
        "a pickle named .safetensors": ("w.safetensors", trap, damaged),
        "an archive named .safetensors": ("w.safetensors", zipped, damaged),
        "HTML": ("w.safetensors", b"<!DOCTYPE html>", damaged),
        "zero bytes": ("w.safetensors", b"", damaged),
        "half a file": ("w.safetensors", whole[: len(whole) // 2], damaged),
        "a header without end": ("w.safetensors", b"\xff" * 8 + whole[8:], damaged),
        "numbers for names": ("w.pth", _torch({"a": 1}), damaged),
        "a list": ("w.pth", _torch([torch.zeros(1)]), damaged),
        "no description": ("w.pth", _torch({"a": torch.zeros(1)}), ["says nothing of its network", "w.json"]),
        "an odd description": ("w.safetensors", other, ["description of the network is [1, 2]", "expected names"]),
        "a torn description": ("w.safetensors", no_json, ["description of the network is no JSON", "write it again"]),
    }


def _torch(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


WEIGHTS = _bad_weights()


@pytest.mark.parametrize("stage", ["keypoints", "parsing"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_bad_weights_stop_the_run_with_a_remedy(project, kind, stage):
    name, data, parts = WEIGHTS[kind]
    if stage == "parsing" and name == "w.pkl":
        parts = ["not a file of weights", ".safetensors"]  # only openpifpaf publishes pickles
    (project.folder / name).write_bytes(data)
    key = f"domains.source.{stage}.weights"
    before = project.raw["domains"]["source"][stage]["weights"]
    project.change(**{key: name})
    code, message = project.stage(f"{stage}@source")
    project.change(**{key: before})
    assert (code, "Traceback" in message) == (1, False)
    for part in [f"{name}: ", *parts]:
        assert part in message
    assert not sprung(project.folder)


def test_the_trap_would_spring(tmp_path):
    """A pickle that is trusted runs what is in it: else the tests above would show nothing."""
    (tmp_path / "w.pkl").write_bytes(zipped_trap(tmp_path / "sprung-zip"))
    torch.load(tmp_path / "w.pkl", weights_only=False)
    assert (tmp_path / "sprung-zip").is_dir()


def test_a_trusted_hash_is_that_of_the_very_bytes(tmp_path):
    path = tmp_path / "w.pkl"
    path.write_bytes(zipped_trap(tmp_path / "sprung"))
    with pytest.raises(UserError, match=r"w\.pkl: a pickle can run any code") as caught:
        storage.read_pickle(path, trusted={"0" * 64})
    assert not sprung(tmp_path)
    path.write_bytes(b"no pickle")
    digest = hashlib.sha256(b"no pickle").hexdigest()
    assert digest not in str(caught.value)
    with pytest.raises(UserError, match=r"w\.pkl: not a pickle that can be read .*fetch it again"):
        storage.read_pickle(path, trusted={digest})


@pytest.mark.parametrize("name", ["g.pth", "g.pt", "g.safetensors"])
def test_a_published_checkpoint_that_is_a_trap_is_not_run(tmp_path, name):
    for data in (corpus.malicious(tmp_path / "sprung"), zipped_trap(tmp_path / "sprung")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=rf"{name}: cannot be read .*save its state dict alone"):
            read_checkpoint(tmp_path / name)
    assert not sprung(tmp_path)


SMALL = {"s.safetensors": save({"a": torch.zeros(40)}, {"description": "{}"}), "s.pth": _torch({"a": torch.zeros(40)})}


@given(st.sampled_from(sorted(SMALL)), st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_weights_are_tensors_or_an_error_that_names_the_file(name, draw):
    data = bytearray(SMALL[name])
    for _ in range(draw.draw(st.integers(0, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data[: draw.draw(st.sampled_from([len(data), draw.draw(st.integers(0, len(data)))]))])
        path.with_suffix(".json").write_text("{}")
        try:
            weights, description = storage.read(path)
        except UserError as error:
            assert str(error).startswith(str(path))  # noqa: PT017
        else:
            assert isinstance(description, dict)
            assert all(isinstance(value, torch.Tensor) for value in weights.values())


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return write_pack(tmp_path_factory.mktemp("pack") / "source.h5")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_pack_cut_anywhere_is_an_error_that_names_file_and_remedy(packed, draw):
    whole = packed.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.h5"
        path.write_bytes(whole[: draw.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(UserError, match=r"source\.h5: not a readable pack .*`dvc repro pack@source`"):
            Pack(path)


def _with(name, value):
    """A change that puts another data set into a pack."""

    def change(file):
        del file[name]
        file[name] = value

    return change


def _chunked(name, kind, shape, at_once=1):
    """A change that stores a plane of zeros in another way."""

    def change(file):
        del file[name]
        file.create_dataset(name, data=np.zeros(shape, kind), chunks=(at_once, *shape[1:]))

    return change


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda file: file.attrs.update({"schema": 99}), "schema 99, this version reads 1; pack it again"),
        (lambda file: file.attrs.pop("schema"), "schema None"),
        (lambda file: file.attrs.update({"schema": [1, 2]}), "not a readable pack"),
        (lambda file: file.attrs.pop("width"), "not a readable pack"),
        (lambda file: file.attrs.update({"width": 23}), "has shape"),
        (lambda file: file.pop("edges"), "not a readable pack"),
        (lambda file: file.pop("pairs/val"), "not a readable pack"),
        (_with("pairs/train", np.array([(0, 3)])), "pairs name rows that are not there"),
        (_with("pairs/train", np.array([(-1, 0)])), "pairs name rows that are not there"),
        (_with("persons", np.zeros(3)), "not a readable pack"),
        (_with("persons", ["a"]), "persons has shape (1,) instead of (3,)"),
        (_with("keypoints", np.zeros((3, 17, 3))), "keypoints has shape (3, 17, 3) instead of (3, 18, 3)"),
        (_with("keypoints", np.full((3, 18, 3), np.nan, np.float32)), "keypoints are not finite numbers"),
        (_with("keypoints", np.zeros((3, 18, 3))), "keypoints are not finite numbers of float32"),
        (lambda file: file["parsing"].write_direct(np.full((3, 32, 22), 19, np.uint8)), "parsing has the label 19"),
        (_with("pairs/val", np.array([(0.0, 1.0)])), "pairs/val are float64"),
        (_with("pairs/val", np.zeros((2, 3), int)), "pairs/val are int64 of shape (2, 3), not two rows"),
        (_with("images", np.zeros((3, 32, 22, 3), np.uint8)), "images are uint8 in chunks of None"),
        (_chunked("images", np.float32, (3, 32, 22, 3)), "images are float32 in chunks of (1, 32, 22, 3), not uint8"),
        (_chunked("edges", np.uint8, (3, 32, 22), at_once=2), "edges are uint8 in chunks of (2, 32, 22)"),
    ],
)
def test_a_foreign_pack_is_an_error_that_names_file_and_remedy(packed, tmp_path, change, part):
    path = shutil.copy(packed, tmp_path / "source.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(UserError) as caught:
        Pack(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert part in str(caught.value)
    assert "pack" in str(caught.value).rpartition(";")[2]


@pytest.mark.parametrize("data", [None, b"", b"<!DOCTYPE html>", zipped_trap("sprung"), corpus.malicious("sprung")])
def test_a_training_without_a_pack_stops_with_a_remedy(project, data):
    path = project.path("pack", "source.h5")
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)
    code, message = project.stage("pretrain@adgan")
    assert (code, "Traceback" in message) == (1, False)
    assert "data/pack/source.h5: not a readable pack" in message
    assert "dvc repro pack@source" in message
    assert not sprung(project.folder)


def test_a_damaged_row_of_a_pack_is_named(packed, tmp_path):
    path = shutil.copy(packed, tmp_path / "source.h5")
    with h5py.File(path) as file:
        place = file["parsing"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    pack = Pack(path)
    assert pack.parsing(0).shape == pack.parsing(2).shape
    with pytest.raises(UserError, match=r"source\.h5: parsing of row 1 is damaged .*`dvc repro pack@source`"):
        pack.parsing(1)


def test_a_chunk_that_was_never_written_is_named(packed, tmp_path):
    path = shutil.copy(packed, tmp_path / "source.h5")
    with h5py.File(path, "a") as file:
        del file["images"]
        file.create_dataset("images", (3, 32, 22, 3), np.uint8, chunks=(1, 32, 22, 3))
    with pytest.raises(UserError, match=r"source\.h5: images of row 0 is damaged .*`dvc repro pack@source`"):
        Pack(path).image(0)
