"""Mend what a killed `dvc` left half written: `python -m pipeline.mend [FOLDER]`. `make repro` begins with it.

DVC writes .dvc/tmp/rwlock and dvc.lock in place, and refuses to start again where one of them is cut off. Without its
entry in dvc.lock a finished stage comes from DVC's run cache, its pictures from the memo.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dvc.lock import LockError, make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import parse_yaml


def mend(project: Path) -> None:
    """Remove a torn rwlock and take a torn dvc.lock back from git; nothing where another `dvc` runs."""
    places = project / ".dvc" / "tmp"
    places.mkdir(parents=True, exist_ok=True)
    try:
        with make_lock(str(places / "lock"), tmp_dir=str(places)):
            if _is_torn(places / "rwlock", json.loads):
                (places / "rwlock").unlink()
            if _is_torn(project / "dvc.lock", _read_lock):
                _take_back(project / "dvc.lock")
    except LockError:
        return


def _is_torn(path: Path, read: Callable[[str], Any]) -> bool:
    if not path.exists():
        return False
    try:
        read(path.read_text(encoding="utf-8"))
    except Exception:  # as many kinds as there are readers
        return True
    return False


def _read_lock(text: str) -> None:
    COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, "dvc.lock"))
    if not text.endswith("\n"):
        raise ValueError("cut off within a line")


def _take_back(path: Path) -> None:
    print(f"{path} was torn by a dvc that was killed; taken back from git, where git knows it", file=sys.stderr)
    path.unlink()
    subprocess.run(["git", "restore", path.name], cwd=path.parent, check=False, capture_output=True)


if __name__ == "__main__":
    mend(Path(*sys.argv[1:]))
