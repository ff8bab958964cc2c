"""Write a domain's pack as the folders and lists that other programs open.

Layouts:
  adgan       train/ trainK/ semantic_merge3/ fashion-resize-*.csv        ADGAN, MUST-GAN
  patn        train/ trainK/ fashion-resize-*.csv (64x128: market-*.csv)  PATN and what grew from it
  gfla        train/ fasion-*.csv trainSPL8/                              GFLA, PISE, DPTN
  spt         imgs/ parsing/ data/train_A_parsing.txt ...                 SPT
  scagan      train/ trainK/ trainE/diff/ fashion-resize-*.csv            SCA-GAN
  seed001     train.h5 test.h5: condition, target, pose, mask of pairs    programs that read pairs from HDF5
  coco        images/ annotations/person_keypoints_*.json labels/         whatever reads COCO's key points
  webdataset  train-000000.tar ...: samples of two pictures               WebDataset

The first five are also read again by ingest.source: folder, as is coco. Files that are called as DeepFashion's keep
their names, others get such names, since these programs take them apart; names.csv tells which is which. DIR must be
new, empty, or an earlier export of the same layout and domain, which is brought up to date.

Examples:
  posewright export --layout adgan --domain source --out ~/deepfashion
  posewright export --layout coco --domain target --split test --out characters_coco
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright export`."""
    layouts = ("adgan", "patn", "gfla", "spt", "scagan", "seed001", "coco", "webdataset")
    parser.add_argument("--layout", required=True, choices=layouts, metavar="LAYOUT", help=", ".join(layouts))
    parser.add_argument("--domain", required=True, help="a name under domains: in params.yaml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or an earlier export")
    splits = ("train", "val", "test")
    parser.add_argument("--split", nargs="+", choices=splits, default=splits, help="default: train val test")


def run(args: argparse.Namespace) -> None:
    """Write the folder and print what is in it."""
    import pandas as pd

    from pipeline import params
    from pipeline.exports import Selection, export
    from pipeline.packed import Pack
    from stages.artifacts import artifact, pack

    params.load().domain(args.domain)
    catalog = artifact("ingest", args.domain, "catalog.parquet")
    for path in (pack(args.domain), catalog):
        if not path.is_file():
            raise UserError(f"there is no {path}: run `dvc repro pack@{args.domain}`, or `dvc pull`")
    table = pd.read_parquet(catalog)
    split_of = dict(zip(table["id"].astype(str), table["split"].astype(str), strict=True))
    chosen = Selection(Pack(pack(args.domain)), tuple(dict.fromkeys(args.split)), split_of)
    if not chosen.kept:
        raise UserError(f"--split {' '.join(args.split)}: the domain {args.domain} has no picture there")
    try:
        folder = export(args.layout, chosen, args.out, domain=args.domain, track=_track)
    except OSError as error:
        raise UserError(f"--out {args.out}: {error.strerror or error}") from error
    for split in chosen.kept:
        print(f"{split}: {len(chosen.needed(split))} pictures, {len(chosen.pairs(split))} pairs")
    print(f"{args.out}: {len(folder)} files, {folder.bytes / 1e6:.1f} MB")


def _track(values: Iterable[Any], title: str) -> Iterable[Any]:
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(values, desc=title, unit="item", mininterval=0.5, file=sys.stderr)
    return bar
