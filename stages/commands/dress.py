"""Give a person parts of other people, or take parts off.

A part is one of background, hair, face, upper_clothes, pants, skirt, arm, leg; a beginning such as `upper` is enough.
Pants and a skirt are worn instead of each other: who takes one from somebody gives up the other. The pose stays, unless
--pose names another. A picture is a file, or the name of one in the catalog, such as p003_2.

Examples:
  posewright dress --person anna.jpg --take upper=bert.jpg pants=carl.jpg
  posewright dress --person anna.jpg --take skirt=dora.jpg leg=dora.jpg --pose walk.jpg --out anna_walks.png
  posewright dress --person p003_2 --take upper=p007_0
  posewright dress --person anna.jpg --remove hair --show found.png
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import (
    add_shared_arguments,
    check_files,
    draw,
    encode,
    find_part,
    look_at,
    open_method,
    part_names,
    say,
    write_results,
)

if TYPE_CHECKING:
    from stages.photograph import Photograph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright dress`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="who is to be dressed")
    parser.add_argument(
        "--take", nargs="+", action="extend", default=[], metavar="PART=FILE", help="this part of the person in FILE"
    )
    parser.add_argument("--remove", nargs="+", action="extend", default=[], metavar="PART", help="parts to take off")
    parser.add_argument(
        "--pose", type=Path, metavar="FILE", help="whose pose is to be taken; default: the person's own"
    )
    add_shared_arguments(parser, out="dress.png")


def run(args: argparse.Namespace) -> None:
    """Write the picture and print its path."""
    from models.attributes import empty_codes, with_parts
    from stages.photograph import make_batch

    donors, removed = _wishes(args.take, args.remove)
    pose = args.pose or args.person
    paths = [args.person, *donors.values(), pose]
    check_files(args, paths)
    method = open_method(args.checkpoint, "dress")
    seen = look_at(paths, args.crop)
    _check_donors(donors, seen)
    codes_1KS = with_parts(
        encode(method, seen[args.person]), {label: encode(method, seen[path]) for label, path in donors.items()}
    )
    # One by one, after the donors': to take off a skirt is not to take off the pants below it.
    empty_1KS = empty_codes(method, make_batch(seen[args.person], seen[pose]))
    for label in removed:
        codes_1KS[:, label] = empty_1KS[:, label]
    image = draw(method, seen[args.person], seen[pose], codes_1KS)
    write_results(args, seen, [image], [args.person.name])


def _wishes(take: Sequence[str], remove: Sequence[str]) -> tuple[dict[int, Path], list[int]]:
    """Whose part to take by label, and the labels to remove."""
    removed = [find_part(text, "--remove") for text in remove]
    donors: dict[int, Path] = {}
    for wish in take:
        part, is_given, file = wish.partition("=")
        if not (is_given and file):
            raise UserError(f"--take {wish}: expected PART=FILE, such as upper=bert.jpg")
        label = find_part(part, f"--take {wish}")
        if label in donors or label in removed:
            raise UserError(f"--take {wish}: {part_names([label])} is asked for twice; keep one of --take and --remove")
        donors[label] = Path(file)
    if not donors and not removed:
        raise UserError("nothing to do: give --take PART=FILE, such as upper=bert.jpg, or --remove PART")
    return donors, removed


def _check_donors(donors: Mapping[int, Path], seen: "Mapping[Path, Photograph]") -> None:
    from models.attributes import INSTEAD

    for label, path in donors.items():
        shown = seen[path].parts
        if label in INSTEAD and label not in shown and INSTEAD[label] in shown:
            say(f"{path} shows {part_names([INSTEAD[label]])} instead of {part_names([label])}: that is taken")
        elif label not in shown:
            raise UserError(
                f"{path}: no {part_names([label])} was found in it, only {part_names(shown)}; "
                "take that part from another picture"
            )
