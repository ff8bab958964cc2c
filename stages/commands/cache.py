"""Show how much room finished work takes, and make room.

Every stage keeps what it has finished below .cache/, so that it is not done twice: pictures by their content, whole
shards, checkpoints of unfinished trainings. All of it may be deleted at any time; the results stay, the time is lost.
Trainings that nobody went on with for a day go first, then what was not used for longest.

Examples:
  posewright cache
  posewright cache --prune --max-size 5G
"""

import argparse
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.memo import Memo

_DAY_S = 86_400
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright cache`."""
    parser.add_argument("--prune", action="store_true", help="remove what was not used for longest")
    parser.add_argument("--max-size", metavar="SIZE", default="0", help="how much may stay: 500M, 5G; default: nothing")


def run(args: argparse.Namespace) -> None:
    """Print the sizes, after pruning where that is asked for."""
    from pipeline.memo import Memo
    from pipeline.run import cache_folder

    folder = cache_folder()
    memo = Memo(folder / "memo")
    runs = folder / "runs"
    if args.prune:
        print(f"{_spoken(_prune(memo, runs, _bytes_of(args.max_size)))} removed")
    print(f"{_spoken(memo.size())} of finished work in {folder / 'memo'}")
    print(f"{_spoken(_size(runs))} of unfinished trainings in {runs}")


def _prune(memo: "Memo", runs: Path, max_bytes: int) -> int:
    """Make both no larger than `max_bytes` together, without the trainings of today; the bytes removed."""
    before = memo.size() + _size(runs)
    trainings = sorted((_last_written(folder), folder) for folder in runs.glob("*"))
    for written, folder in trainings:
        # One that runs writes checkpoints.
        if memo.size() + _size(runs) > max_bytes and time.time() - written > _DAY_S:
            shutil.rmtree(folder, ignore_errors=True)
    memo.prune(max(0, max_bytes - _size(runs)))
    return before - memo.size() - _size(runs)


def _size(folder: Path) -> int:
    return sum(state.st_size for state in _states(folder) if S_ISREG(state.st_mode))


def _last_written(folder: Path) -> float:
    return max((state.st_mtime for state in _states(folder)), default=0.0)


def _states(folder: Path) -> Iterator[os.stat_result]:
    """Of the folder and all in it, without what a training that runs replaces meanwhile."""
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            yield path.stat()


def _bytes_of(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if not found:
        raise UserError(f"--max-size {text}: expected a number with K, M, G or T, such as 5G")
    return int(float(found[1]) * _UNITS[found[2]])


def _spoken(count: int) -> str:
    for unit in ("T", "G", "M", "K"):
        if count >= _UNITS[unit]:
            return f"{count / _UNITS[unit]:.1f} {unit}B"
    return f"{count} B"
