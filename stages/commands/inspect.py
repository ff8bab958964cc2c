"""Draw all that a stage knows about one picture into a PNG.

What each stage has:
  crop        picture, and the annotation and label map that came with it
  keypoints   picture, skeleton, 18 heat maps
  parsing     picture, label map
  edges       picture, edge map
  pack        all of it and the body mask, as the training reads it

Examples:
  posewright inspect keypoints --domain source --item p03_2
  posewright inspect pack --domain target --item mage_r --out mage.png     (a unique beginning of the name is enough)
"""

import argparse
from pathlib import Path

from pipeline.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright inspect`."""
    stages = ("crop", "keypoints", "parsing", "edges", "pack")
    parser.add_argument("stage", choices=stages, metavar="STAGE", help=", ".join(stages))
    parser.add_argument("--domain", required=True, help="a name under domains: in params.yaml")
    parser.add_argument("--item", required=True, metavar="NAME", help="the picture's id, or a unique beginning of it")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="default: STAGE_DOMAIN_NAME.png in this folder")


def run(args: argparse.Namespace) -> None:
    """Write the sheet and print its path."""
    from pipeline import params
    from stages.sheets import write_sheet
    from stages.views import make_sections, read_view

    settings = params.load().domain(args.domain)
    view = read_view(args.stage, args.domain, args.item, sigma_px=settings.pack.sigma_px)
    out = args.out or Path(f"{args.stage}_{args.domain}_{view.name.replace('/', '_')}.png")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: the sheet is a PNG; give a name that ends in .png")
    subtitle = f"{args.stage}@{args.domain} · {view.image.shape[1]} x {view.image.shape[0]} px{view.note}"
    write_sheet(out, view.name, make_sections(view), subtitle=subtitle, max_bytes=20_000_000)
    print(out)
