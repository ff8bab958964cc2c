"""What a killed dvc leaves torn, and `python -m pipeline.mend` mends."""

import subprocess
import sys

import pytest
from dvc.lock import make_lock

from pipeline.imports import ROOT
from pipeline.mend import mend

LOCK = (ROOT / "dvc.lock").read_text()


@pytest.fixture
def project(tmp_path):
    """A folder under git that has the lock of this project."""
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / "dvc.lock").write_text(LOCK)
    for words in (["init", "--quiet"], ["add", "dvc.lock"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def cut(project, length):
    (project / "dvc.lock").write_text(LOCK[:length])


@pytest.mark.parametrize("length", [0, 5, 8192, 3 * 8192, len(LOCK) - 20])
def test_a_torn_lock_is_taken_back_from_git(length, project):
    cut(project, length)
    mend(project)
    assert (project / "dvc.lock").read_text() == LOCK


def test_a_torn_lock_that_git_does_not_know_goes(project):
    subprocess.run(["git", "rm", "--quiet", "--cached", "dvc.lock"], cwd=project, check=True)
    cut(project, 8192)
    subprocess.run([sys.executable, "-m", "pipeline.mend", str(project)], cwd=ROOT, check=True)
    assert not (project / "dvc.lock").exists()


@pytest.mark.parametrize("text", ["", '{"write": {"a'])
def test_a_torn_rwlock_goes(text, project):
    (project / ".dvc/tmp/rwlock").write_text(text)
    mend(project)
    assert not (project / ".dvc/tmp/rwlock").exists()


def test_what_is_whole_stays(project):
    (project / ".dvc/tmp/rwlock").write_text('{"write": {}, "read": {}}')
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    mend(project)
    assert (project / ".dvc/tmp/rwlock").exists()
    assert len((project / "dvc.lock").read_text()) < 50


def test_a_dvc_that_runs_is_left_alone(project):
    cut(project, 8192)
    with make_lock(str(project / ".dvc/tmp/lock"), tmp_dir=str(project / ".dvc/tmp")):
        mend(project)
    assert (project / "dvc.lock").read_text() == LOCK[:8192]
