"""List public weights, or fetch one: once, into a cache folder, checked against its publisher's SHA-256.

The project works without any of them: it ships networks of its own. A fetched file is used where its path is given to a
parameter. It is never loaded by this command. A file of openpifpaf is a pickle, which can run code when it is loaded:
it is loaded only where keypoints.trusted holds its SHA-256.

The folder is POSEWRIGHT_CACHE, or the user's cache folder; --to names another one, --url a mirror.

Examples:
  posewright weights list
  posewright weights fetch vgg19
  posewright weights fetch openpifpaf-shufflenetv2k16 --to weights
"""

import argparse
import sys
from pathlib import Path

from pipeline.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright weights`."""
    parser.add_argument("action", choices=("list", "fetch"), metavar="list|fetch")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of `posewright weights list`")
    parser.add_argument("--to", type=Path, metavar="DIR", help="default: the cache folder")
    parser.add_argument("--url", metavar="URL", help="of a mirror; default: the publisher's")


def run(args: argparse.Namespace) -> None:
    """Print the table, or fetch the file and print its path."""
    from pipeline.faults import storage_trouble
    from stages.weights import cache_folder

    if args.action == "list" and not args.name:
        _list(args.to or cache_folder())
        return
    if args.action == "list" or not args.name:
        raise UserError("give `list` alone, or `fetch` and a name of the list")
    try:
        _fetch(args)
    except OSError as error:
        raise UserError(storage_trouble(error, [args.to or cache_folder()]) or str(error)) from error


def _list(folder: Path) -> None:
    from stages.known_weights import KNOWN

    for known in KNOWN:
        size = f"{known.megabytes:.0f} MB" if known.megabytes else "size not published"
        digest = f"SHA-256 {known.sha256}..." if known.sha256 else "no SHA-256 published"
        here = f"\n  here: {folder / known.file_name}" if (folder / known.file_name).is_file() else ""
        print(f"{known.name}\n  {known.url}\n  {known.licence}; {size}; {digest}\n  for: {known.use}")
        print(f"  without it: {known.stand_in}{here}")


def _fetch(args: argparse.Namespace) -> None:
    from stages.weights import cache_folder, fetch, find_known

    known = find_known(args.name)
    path, digest = fetch(known, args.to or cache_folder(), args.url)
    checked = f"begins as published ({known.sha256})" if known.sha256 else "none is published: note it and compare"
    print(f"SHA-256 {digest}: {checked}\nlicence: {known.licence}\nfor: {known.use}", file=sys.stderr)
    if path.suffix == ".pkl":
        print(f"keypoints.trusted: {digest}", file=sys.stderr)
    print(path)
