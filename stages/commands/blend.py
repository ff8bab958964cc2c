"""Go from one person to another in some parts, step by step.

A part is one of background, hair, face, upper_clothes, pants, skirt, arm, leg; a beginning such as `upper` is enough.
The result is a strip: the person on the left, the other's parts on the right. The pose stays, unless --pose names
another. Pants and a skirt go together: one fades while the other comes. A picture is a file, or the name of one in the
catalog, such as p003_2.

Examples:
  posewright blend --person anna.jpg --with bert.jpg --part upper --steps 7
  posewright blend --person anna.jpg --with dora.jpg --part skirt leg --pose walk.jpg --out anna_to_dora.png
  posewright blend --person p003_2 --with p007_0 --captions
  posewright blend --person anna.jpg --with bert.jpg --show found.png                         (all of the eight parts)
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

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
    write_results,
)

_MOST_STEPS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright blend`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="where it begins")
    parser.add_argument("--with", type=Path, required=True, dest="other", metavar="FILE", help="where it ends")
    parser.add_argument("--part", nargs="+", default=["all"], metavar="PART", help="which parts; default: all")
    parser.add_argument("--steps", type=int, default=7, metavar="N", help="number of pictures; default: 7")
    parser.add_argument(
        "--pose", type=Path, metavar="FILE", help="whose pose is to be taken; default: the person's own"
    )
    add_shared_arguments(parser, out="blend.png")


def run(args: argparse.Namespace) -> None:
    """Write the strip and print its path."""
    from models.attributes import blend

    if not 2 <= args.steps <= _MOST_STEPS:
        raise UserError(f"--steps {args.steps}: give a number between 2 and {_MOST_STEPS}")
    parts = _find_parts(args.part)
    pose = args.pose or args.person
    paths = [args.person, args.other, pose]
    check_files(args, paths)
    method = open_method(args.checkpoint, "blend")
    seen = look_at(paths, args.crop)
    person, other = seen[args.person], seen[args.other]
    if not {*parts} & {*person.parts, *other.parts}:
        raise UserError(
            f"--part: neither {args.person} nor {args.other} shows {part_names(parts)}; choose another part"
        )
    codes_TKS = blend(encode(method, person), encode(method, other), parts, args.steps)
    images = [draw(method, person, seen[pose], codes_TKS[step : step + 1]) for step in range(args.steps)]
    write_results(args, seen, images, [f"{step / (args.steps - 1):.0%}" for step in range(args.steps)])


def _find_parts(texts: Sequence[str]) -> list[int]:
    from models.attributes import ALL_PARTS

    return list(ALL_PARTS) if "all" in texts else sorted({find_part(text, "--part") for text in texts})
