"""Find the person, the 18 joints and the eight-label map in every picture of a folder.

Pictures may be of any kind and size and lie in sub-folders. Written below --out, with the names of the pictures:

  annotation.csv    name:keypoints_y:keypoints_x, whole pixels of the cropped picture, -1 = missing; a row for every
                    picture that can be read, also where nobody is found
  labels8/*.png     0 background, 1 hair, 2 face, 3 upper clothes, 4 pants, 5 skirt, 6 arm, 7 leg
  images/*.png      the cropped pictures (176x256); with --crop none each keeps its size
  pictures.csv      where each came from, how it was cropped, how sure the network is
  quarantine.csv    files that cannot be read, and why
  sheet.png         some of them on one page

The folder is a raw folder again: correct what is wrong and name it as `raw` of a domain in params.yaml. Two pictures of
one name (a.jpg, a.png) become `a` and `a.png`. Where there is nobody to cut out, the whole picture is taken (pad).
Settings and weights are those of params.yaml, where there is one. A run that was stopped goes on where it was.

Examples:
  posewright detect holiday --out found
  posewright detect DeepFashion/img --out found --crop columns
  posewright detect drawings --out found --crop pad --pose-weights my_pose.safetensors
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from stages.looks import Recipe

_CROPS = ("columns", "resize", "pad", "person", "none")
_VOCABULARIES = ("ours", "adgan", "lip", "cihp", "atr", "spt", "pise", "pise_table", "casd")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright detect`."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="pictures, also in sub-folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--crop",
        choices=_CROPS,
        help="40..215 of 256x256, resize both sides, pad, cut around the person, or leave each picture as it is; "
        "default: none for a picture that has the network's size, else person",
    )
    parser.add_argument("--pose-weights", type=Path, metavar="FILE", help="default: keypoints.weights of params.yaml")
    parser.add_argument("--trusted", metavar="SHA256", help="of --pose-weights, where that is a .pkl of openpifpaf")
    parser.add_argument("--parsing-weights", type=Path, metavar="FILE", help="default: parsing.weights of params.yaml")
    parser.add_argument("--vocabulary", choices=_VOCABULARIES, help="of --parsing-weights")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes; default: one per core")


def run(args: argparse.Namespace) -> None:
    """Write the folder and print its path."""
    from pipeline.faults import storage_trouble
    from stages.detection import detect
    from stages.looks import read_recipe

    if args.workers < 0:
        raise UserError(f"--workers {args.workers}: give the number of processes, or 0 for one per core")
    recipe = _with_weights(read_recipe(args.crop), args)
    try:
        summary = detect(args.folder, args.out, recipe, workers=args.workers)
    except UserError:
        raise
    except Exception as error:
        if (message := storage_trouble(error, [args.out])) is None:
            raise
        raise UserError(message) from error
    told = [f"{summary.pictures} pictures", f"nobody found in {summary.empty}"]
    told += [f"{summary.set_aside} files set aside (quarantine.csv)"] if summary.set_aside else []
    told += [f"{summary.ignored} files are no pictures"] if summary.ignored else []
    print("; ".join(told), file=sys.stderr)
    if not summary.pictures:
        raise UserError(f"{args.folder}: no picture can be read; {args.out / 'quarantine.csv'} says why")
    print(args.out)


def _with_weights(recipe: "Recipe", args: argparse.Namespace) -> "Recipe":
    for option, path in (("--pose-weights", args.pose_weights), ("--parsing-weights", args.parsing_weights)):
        if path and not path.is_file():
            raise UserError(f"{option} {path}: there is no such file; `posewright weights list` names known ones")
    return replace(
        recipe,
        pose_weights=args.pose_weights or recipe.pose_weights,
        trusted=args.trusted or recipe.trusted,
        parsing_weights=args.parsing_weights or recipe.parsing_weights,
        labelling=replace(recipe.labelling, vocabulary=args.vocabulary or recipe.labelling.vocabulary),
    )
