"""What `transfer`, `dress` and `blend` share: arguments, the way from files to results, and the writing of them."""

import argparse
import io
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from models.method import Method
    from pipeline.pictures import Bytes
    from stages.photograph import Photograph

# Ending of the result -> Pillow's format and options.
_FORMATS: dict[str, tuple[str, dict[str, int | bool]]] = {
    ".png": ("PNG", {"compress_level": 6}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True}),
}
CROPS = ("person", "pad", "resize", "columns")


def add_shared_arguments(parser: argparse.ArgumentParser, *, out: str) -> None:
    """The arguments that all have who write pictures."""
    add_crop_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FILE", help=f"default: {out}; or .jpg, .webp")
    parser.add_argument("--captions", action="store_true", help="write below each picture what it shows")
    parser.add_argument("--show", type=Path, metavar="FILE.png", help="draw what was found in the pictures as well")


def add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    """Which network, and how pictures are cut for it."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a trained network; default: the newest that `dvc repro` made"
    )
    parser.add_argument(
        "--crop",
        choices=CROPS,
        help="how pictures get the network's size: cut around the person, pad, resize, or 40..215 of 256x256; "
        "default: as they are if they have it, else person",
    )


def say(text: str) -> None:
    """Tell on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)


def check_files(args: argparse.Namespace, pictures: Iterable[Path]) -> None:
    """UserError when --out or --show has a wrong ending or is one of the `pictures` that are read."""
    if args.out.suffix.lower() not in _FORMATS:
        raise UserError(f"--out {args.out}: give a name that ends in {', '.join(_FORMATS)}")
    if args.show and args.show.suffix.lower() != ".png":
        raise UserError(f"--show {args.show}: the sheet is a PNG; give a name that ends in .png")
    taken = {path.resolve() for path in pictures}
    for option, path in (("--out", args.out), ("--show", args.show)):
        if path and path.resolve() in taken:
            raise UserError(f"{option} {path}: this would write over one of your files; give another name")
        if path:
            taken.add(path.resolve())


def find_part(text: str, option: str) -> int:
    """The label that `text` is or uniquely begins, as `upper` does; UserError lists the eight."""
    from pipeline.people.labels import LABELS

    wanted = text.strip().lower().replace("-", "_").replace(" ", "_")
    begun = [label for label, name in enumerate(LABELS) if name.startswith(wanted)]
    if len(begun) != 1:
        raise UserError(f"{option}: '{text}' is none of the eight parts {', '.join(LABELS)}")
    return begun[0]


def part_names(labels: Iterable[int]) -> str:
    """The parts in words: `hair, face`."""
    from pipeline.people.labels import LABELS

    return ", ".join(LABELS[label] for label in labels)


def open_method(checkpoint: Path | None, edit: str = "") -> "Method":
    """The trained system; UserError when it cannot do `edit`."""
    from models.method import METHODS, load, method_class
    from stages.checkpoints import newest

    path = checkpoint or newest()
    method = load(path)
    say(f"network: {path} ({method.name})")
    if edit and edit not in method.edits:
        able = [name for name in METHODS if edit in method_class(name).edits]
        reason = "has no codes of single parts, so it " if edit in ("dress", "blend") else ""
        raise UserError(f"{path}: {method.name} {reason}cannot {edit}; give a --checkpoint of {' or '.join(able)}")
    return method


def look_at(paths: Sequence[Path], crop: str | None) -> "dict[Path, Photograph]":
    """The photographs by path, where there is no such file by name in the catalog; tells what was found in each."""
    from pipeline.people.labels import BACKGROUND
    from pipeline.people.skeleton import is_present
    from stages.looks import read_recipe
    from stages.named import find_named
    from stages.photograph import read_photographs

    say("looking at the pictures ...")
    recipe = read_recipe(crop)
    photographs = {
        path: named
        for path in dict.fromkeys(paths)
        if not path.exists() and (named := find_named(str(path), recipe)) is not None
    }
    if files := [path for path in paths if path not in photographs]:
        photographs |= read_photographs(files, recipe)
    for path, photograph in photographs.items():
        joints = is_present(photograph.joints)
        parts = part_names(label for label in photograph.parts if label != BACKGROUND)
        say(f"found the person in {path}: {joints.sum()} of {len(joints)} joints; {parts}")
        if photograph.others:
            say(f"  {photograph.others} more of comparable size: the main person is taken")
    return photographs


def encode(method: "Method", photograph: "Photograph") -> "Tensor":
    """(1, K, S) codes of the person's eight parts."""
    from stages.photograph import make_batch

    return method.part_codes(make_batch(photograph, photograph, method.reads))


def draw(method: "Method", person: "Photograph", pose: "Photograph", codes_1KS: "Tensor | None" = None) -> "Bytes":
    """(H, W, 3) RGB: `person`, or whoever the codes describe, in the pose of `pose`.

    One picture at a time, so that it does not depend on how many others are asked for.
    """
    from models.data import to_levels
    from stages.photograph import make_batch

    levels_3HW = to_levels(method.generate(make_batch(person, pose, method.reads), codes_1KS))[0]
    return levels_3HW.permute(1, 2, 0).numpy()


def write_results(
    args: argparse.Namespace, seen: "dict[Path, Photograph]", images: "Sequence[Bytes]", captions: Sequence[str]
) -> None:
    """Write the images side by side, each above its caption where asked for, and the sheet; print the paths."""
    import numpy as np

    from stages.captions import captioned

    shown = [captioned(*pair) for pair in zip(images, captions, strict=True)] if args.captions else images
    _write_picture(args.out, np.concatenate(shown, axis=1))
    print(args.out)
    if args.show:
        _write_sheet(args, list(seen.values()), images, captions)
        print(args.show)


def _write_picture(path: Path, image: "Bytes") -> None:
    from PIL import Image

    kind, options = _FORMATS[path.suffix.lower()]
    partial = path.with_name(path.name + ".part")
    try:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind, **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(buffer.getvalue())
        os.replace(partial, path)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {path}: cannot be written ({error}); give another name, or fewer pictures") from error


def _write_sheet(
    args: argparse.Namespace, seen: "Sequence[Photograph]", images: "Sequence[Bytes]", captions: Sequence[str]
) -> None:
    from stages.drawing import beside, draw_labels, draw_skeleton
    from stages.sheets import CLASSES, Section, Tile, write_sheet

    found = [
        Tile(
            beside(one.image, draw_skeleton(one.image, one.joints), draw_labels(one.parsing)),
            f"{one.name} · {part_names(one.parts)}",
        )
        for one in seen
    ]
    made = [Tile(image, caption) for image, caption in zip(images, captions, strict=True)]
    sections = [
        Section(found, "Found: picture, skeleton, label map", columns=2, legend=CLASSES),
        Section(made, "Made", columns=7),
    ]
    write_sheet(args.show, f"posewright {args.command}", sections, subtitle=args.out.name, max_bytes=20_000_000)
