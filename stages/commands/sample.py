"""Draw people at random, or vary somebody: other clothes, another background, another pose.

A person is a foreground, a background and a pose. What --vary names is drawn at random, the rest comes from --person;
without a person all of it is random. With --towards the strip goes from one person to another: straight between their
codes, or through the noise from which codes are drawn (noise, sphere). This needs a network of a system that knows how
to draw at random: DPIG. A picture is a file, or the name of one in the catalog, such as p003_2.

Examples:
  posewright sample --count 8 --seed 3 --out strangers.png
  posewright sample --person anna.jpg --vary foreground --count 6 --out anna_in_other_clothes.png
  posewright sample --person p003_2 --towards p007_0
  posewright sample --person anna.jpg --vary background pose --captions
  posewright sample --person anna.jpg --towards bert.jpg --through noise --count 7 --out anna_to_bert.png
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import add_shared_arguments, check_files, look_at, open_method, write_results

if TYPE_CHECKING:
    from models.dpig import Dpig
    from models.dpig_codes import Codes
    from stages.photograph import Photograph

_MOST = 64
_FACTORS = ("foreground", "background", "pose")
_THROUGH = ("codes", "noise", "sphere")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright sample`."""
    parser.add_argument("--person", type=Path, metavar="FILE", help="whose picture gives what does not vary")
    parser.add_argument(
        "--vary", nargs="+", choices=_FACTORS, metavar="FACTOR", help=f"{', '.join(_FACTORS)}; without a person: all"
    )
    parser.add_argument(
        "--towards", type=Path, metavar="FILE", help="go from --person to this one, appearance and pose"
    )
    parser.add_argument("--through", choices=_THROUGH, default="codes", help="the way that --towards takes")
    parser.add_argument("--count", type=int, default=8, metavar="N", help="number of pictures; default: 8")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another number, other people; default: 0")
    add_shared_arguments(parser, out="sample.png")


def run(args: argparse.Namespace) -> None:
    """Write the strip and print its path."""
    from models.data import to_levels
    from models.sampling import nobody
    from stages.looks import read_recipe
    from stages.photograph import make_batch

    _check(args)
    paths = [path for path in (args.person, args.towards) if path]
    check_files(args, paths)
    method = open_drawing_method(args.checkpoint)
    seen = look_at(paths, args.crop) if paths else {}
    codes = _codes(args, method, seen)
    width, height = read_recipe().size
    images = []
    for number in range(args.count):
        # One at a time, so that a picture does not depend on how many others are asked for.
        batch = make_batch(seen[args.person], seen[args.person]) if args.person else nobody(1, (height, width))
        levels = to_levels(method.compose({key: code[number : number + 1] for key, code in codes.items()}, batch))[0]
        images.append(levels.permute(1, 2, 0).numpy())
    write_results(args, seen, images, [str(number + 1) for number in range(args.count)])


def open_drawing_method(checkpoint: Path | None) -> "Dpig":
    """A trained network that draws at random; UserError when it is of another system."""
    from models.dpig import Dpig

    method = open_method(checkpoint, "sample")
    assert isinstance(method, Dpig)
    return method


def _check(args: argparse.Namespace) -> None:
    if not 1 <= args.count <= _MOST:
        raise UserError(f"--count {args.count}: give a number between 1 and {_MOST}")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give a number of at least 0")
    if args.towards and not args.person:
        raise UserError("--towards: give the person where it begins, too: --person FILE")
    if args.towards and args.vary:
        raise UserError("--towards goes from one person to another; leave --vary out")
    if args.vary and not args.person and set(args.vary) != set(_FACTORS):
        raise UserError("--vary: what does not vary comes from a picture: give --person FILE")
    if args.person and not args.vary and not args.towards:
        raise UserError("--person: say what of it shall change: --vary foreground, or --towards FILE")


def _codes(args: argparse.Namespace, method: "Dpig", seen: "dict[Path, Photograph]") -> "Codes":
    """(count, N) by factor; without a code of the pose, the person's own pose is taken joint by joint."""
    from models.dpig_codes import POSE
    from models.sampling import path, sampled, without_pose
    from stages.photograph import make_batch

    found = {file: method.codes(make_batch(photograph, photograph)) for file, photograph in seen.items()}
    if args.towards:
        return path(method, found[args.person], found[args.towards], args.count, through=args.through)
    varied = args.vary or method.factors
    if strange := set(varied) - set(method.factors):
        raise UserError(f"--vary {min(strange)}: this network knows {', '.join(method.factors)}")
    codes = sampled(method, varied, args.count, seed=args.seed, fixed=found.get(args.person))
    return codes if POSE in varied else without_pose(codes)
