"""Give a person the texture of somebody else's clothes; their cut, the pose and the rest stay.

SPT draws the wearer's label map in the style of the other person, region by region. Of the result the named parts are
put into the wearer's picture; `--part all` shows all that was drawn. A part is one of background, hair, face,
upper_clothes, pants, skirt, arm, leg; a beginning such as `upper` is enough. A picture is a file, or the name of one in
the catalog, such as p003_2.

Examples:
  posewright restyle --person anna.jpg --style bert.jpg
  posewright restyle --person anna.jpg --style bert.jpg --part upper --checkpoint data/pretrain/spt/weights.safetensors
  posewright restyle --person p003_2 --style p007_0
  posewright restyle --person anna.jpg --style bert.jpg --part all --out anna_as_bert.png --captions --show found.png
"""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import add_shared_arguments, check_files, find_part, look_at, part_names, write_results

if TYPE_CHECKING:
    from pipeline.pictures import Bytes
    from stages.photograph import Photograph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright restyle`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="who wears the clothes")
    parser.add_argument("--style", type=Path, required=True, metavar="FILE", help="whose clothes' texture to take")
    parser.add_argument(
        "--part",
        nargs="+",
        default=["upper_clothes", "pants", "skirt"],
        metavar="PART",
        help="what is given another texture; default: upper_clothes pants skirt; or all",
    )
    add_shared_arguments(parser, out="restyle.png")


def run(args: argparse.Namespace) -> None:
    """Write the picture and print its path."""
    from pipeline.people.labels import LABELS
    from stages.commands._layouts import open_painter, paint

    is_all = args.part == ["all"]
    parts = list(range(len(LABELS))) if is_all else [find_part(text, "--part") for text in args.part]
    paths = [args.person, args.style]
    check_files(args, paths)
    method = open_painter(args.checkpoint, "restyle")
    seen = look_at(paths, args.crop)
    person, style = seen[args.person], seen[args.style]
    _check_parts(args, parts, person, style)
    drawn = paint(method, style, person)
    image = drawn if is_all else _within(drawn, person, parts)
    write_results(args, seen, [image], [f"{args.person.name} like {args.style.name}"])


def _check_parts(args: argparse.Namespace, parts: Sequence[int], person: "Photograph", style: "Photograph") -> None:
    for path, one in ((args.person, person), (args.style, style)):
        if not set(parts) & set(one.parts):
            raise UserError(
                f"{path}: no {part_names(parts)} was found in it, only {part_names(one.parts)}; "
                "name others with --part, or give another picture"
            )


def _within(drawn: "Bytes", person: "Photograph", parts: Collection[int]) -> "Bytes":
    """What was drawn inside the parts, the person's own picture elsewhere."""
    import numpy as np

    inside = np.isin(person.parsing, list(parts))[..., None]
    return np.where(inside, drawn, person.image)
