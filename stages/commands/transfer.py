"""Show the person of one picture in the pose of another.

Any picture will do: a photograph from a telephone, a drawing, a picture of a data set. The person is found, cut out and
labelled by the networks that ship with the project, as the stages do it. Several poses give a strip, side by side.
A picture of a domain can be named as in the catalog, with or without the domain: p003_2, target/mage_run.

Examples:
  posewright transfer --person anna.jpg --pose bert.jpg
  posewright transfer --person anna.jpg --pose walk.jpg sit.jpg run.jpg --out anna_moves.png --show found.png
  posewright transfer --person p003_2 --pose p007_0 anna.jpg
  posewright transfer --person mage.png --pose run.png --checkpoint data/finetune/adgan/target.safetensors
"""

import argparse
from pathlib import Path

from stages.commands._pictures import add_shared_arguments, check_files, draw, look_at, open_method, write_results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright transfer`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="who is to be seen")
    parser.add_argument(
        "--pose", type=Path, required=True, nargs="+", metavar="FILE", help="whose pose is to be taken; one or several"
    )
    add_shared_arguments(parser, out="transfer.png")


def run(args: argparse.Namespace) -> None:
    """Write the picture or strip and print its path."""
    paths = [args.person, *args.pose]
    check_files(args, paths)
    method = open_method(args.checkpoint)
    seen = look_at(paths, args.crop)
    images = [draw(method, seen[args.person], seen[pose]) for pose in args.pose]
    write_results(args, seen, images, [pose.name for pose in args.pose])
