"""Two clones that share nothing but their commit: the same hashes in dvc.lock."""

import os

import pytest

from tests.stages.clone import Clone

HERE = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "LANG": "C", "TZ": "UTC"}
THERE = {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}


@pytest.fixture
def other_umask():
    """Files that nobody else may read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.parametrize("target", ["pack@source", pytest.param("pretrain@adgan pack@target", marks=pytest.mark.slow)])
def test_two_clones_give_the_same_lock(target, tmp_path, request):
    here = Clone(tmp_path / "here", **{"engine.kind": "inline"})
    here.repro(*target.split(), **HERE)
    request.getfixturevalue("other_umask")
    there = Clone(tmp_path / "somewhere else" / "ü", **{"engine.kind": "processes", "engine.workers": 2})
    there.repro(*target.split(), **THERE)
    assert here.hashes() == there.hashes()
    assert any(path.startswith("data/sheets/") for outs in here.hashes().values() for path, _ in outs)

    lock = (there.folder / "dvc.lock").read_bytes()
    there.repro("--force", *target.split(), **HERE)
    assert (there.folder / "dvc.lock").read_bytes() == lock
