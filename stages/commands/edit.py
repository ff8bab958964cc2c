"""Draw a person again after an edited label map: longer sleeves, a skirt for trousers, another cut.

First `--write-layout` writes the label map that was found, as an indexed PNG of eight colours. Change it in a paint
program (keep the colours), then give it as `--layout`. `--change PART=PART` relabels a whole part without painting, for
example `arm=upper` for long sleeves. A part is one of background, hair, face, upper_clothes, pants, skirt, arm, leg; a
beginning such as `upper` is enough. The picture is a file, or the name of one in the catalog, such as p003_2.

Examples:
  posewright edit --person anna.jpg --write-layout layout.png
  posewright edit --person anna.jpg --layout layout.png --out anna_edited.png
  posewright edit --person p003_2 --change arm=upper
  posewright edit --person anna.jpg --change arm=upper leg=pants --captions
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import (
    add_shared_arguments,
    check_files,
    find_part,
    look_at,
    part_names,
    say,
    write_results,
)

if TYPE_CHECKING:
    from pipeline.people.labels import LabelMap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright edit`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="who is to be drawn again")
    parser.add_argument("--write-layout", type=Path, metavar="FILE.png", help="write the label map to edit, and stop")
    parser.add_argument("--layout", type=Path, metavar="FILE.png", help="the edited label map, of the network's size")
    parser.add_argument(
        "--change", nargs="+", action="extend", default=[], metavar="PART=PART", help="give a part another label"
    )
    add_shared_arguments(parser, out="edit.png")


def run(args: argparse.Namespace) -> None:
    """Write the picture, or the label map to edit, and print its path."""
    from dataclasses import replace

    from stages.commands._layouts import open_painter, paint, read_layout, write_layout

    if not (args.write_layout or args.layout or args.change):
        raise UserError(
            "nothing to do: give --write-layout FILE.png first, then --layout FILE.png, or --change PART=PART"
        )
    changes = [_change(text) for text in args.change]
    check_files(args, [path for path in (args.person, args.layout) if path])
    method = None if args.write_layout else open_painter(args.checkpoint, "edit")
    seen = look_at([args.person], args.crop)
    person = seen[args.person]
    layout = read_layout(args.layout, person.parsing.shape) if args.layout else person.parsing
    layout = _changed(layout, changes, args.layout or args.person)
    if method is None:
        write_layout(args.write_layout, layout)
        say("change it in a paint program, keep its eight colours, and give it as --layout")
        print(args.write_layout)
        return
    edited = replace(person, parsing=layout, name=f"{person.name}, edited")
    write_results(args, seen | {Path("edited"): edited}, [paint(method, person, edited)], [edited.name])


def _change(text: str) -> tuple[int, int]:
    part, is_given, other = text.partition("=")
    if not is_given:
        raise UserError(f"--change {text}: expected PART=PART, such as arm=upper")
    return find_part(part, f"--change {text}"), find_part(other, f"--change {text}")


def _changed(layout: "LabelMap", changes: list[tuple[int, int]], path: Path) -> "LabelMap":
    import numpy as np

    out = layout.copy()
    for part, other in changes:
        if not (layout == part).any():
            shown = part_names(int(label) for label in np.unique(layout))
            raise UserError(f"{path}: no {part_names([part])} was found in it, only {shown}; change another part")
        out[layout == part] = other
    return out
