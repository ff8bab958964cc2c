"""Show how much room finished work takes, and make room.

Every stage keeps what it has finished below .cache/, so that it is not done twice: pictures by their content, whole
shards, checkpoints of unfinished trainings. All of it may be deleted at any time; the results stay, the time is lost.
What was not used for longest goes first.

Examples:
  posewright cache
  posewright cache --prune --max-size 5G
"""

import argparse
import re

from pipeline.errors import UserError

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
    if args.prune:
        print(f"{_spoken(memo.prune(_bytes_of(args.max_size)))} removed")
    print(f"{_spoken(memo.size())} of finished work in {folder / 'memo'}")
    runs = sum(path.stat().st_size for path in (folder / "runs").rglob("*") if path.is_file())
    print(f"{_spoken(runs)} of unfinished trainings in {folder / 'runs'}")


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
