"""Two clones that share nothing but their commit: the same hashes in dvc.lock."""

import os

import pytest

from tests.stages.clone import HERE, Clone
from tests.stages.conftest import DATA_STAGES

THERE = {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}


@pytest.fixture
def other_umask():
    """Files that nobody else may read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.parametrize("target", ["pack@source", pytest.param("pretrain@adgan pack@target", marks=pytest.mark.slow)])
def test_two_clones_give_the_same_lock(target, straight, tmp_path, request):
    here = straight.copied(tmp_path / "here")
    assert here.raw["engine"]["kind"] == "inline"
    here.repro(*target.split(), **HERE)  # does what the undisturbed clone has not done
    request.getfixturevalue("other_umask")
    there = Clone(tmp_path / "somewhere else" / "ü", **{"engine.kind": "processes", "engine.workers": 2})
    there.repro(*target.split(), **THERE)
    assert {stage: outs for stage, outs in here.hashes().items() if stage in there.hashes()} == there.hashes()
    assert there.hashes().keys() >= {*target.split(), *(f"{stage}@source" for stage in DATA_STAGES[:7])}
    assert any(path.startswith("data/sheets/") for outs in there.hashes().values() for path, _ in outs)

    lock = (there.folder / "dvc.lock").read_bytes()
    there.repro("--force", *target.split(), **HERE)
    assert (there.folder / "dvc.lock").read_bytes() == lock
