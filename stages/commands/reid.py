"""Make a set of people who do not exist, and check what it teaches about re-identifying people who do.

make: every identity is a foreground drawn at random, seen before random backgrounds in random poses (or in the poses of
the training pictures, --poses real). Files are named as Market-1501's, so whatever trains on that set trains on this
one. It needs a network of a system that draws at random: DPIG.

check: a small ResNet learns the identities of --train from random weights; then every held-out picture is asked for the
others of its person: Rank-1 and mAP. Held out are the rendered people that no training saw, or with --market the
queries and gallery of Market-1501. --adapt goes on with the unlabelled training pictures of the same kind (clusters
serve as identities, PUL). --kissme adds rows with a metric learnt on top of the features: from the identities of
--train, and after --adapt from the clusters.

Examples:
  posewright reid make --identities 50 --images 12 --out virtual
  posewright reid check --train virtual --adapt --out reid.json
  posewright reid check --train virtual --market /data/Market-1501 --adapt --kissme --epochs 60
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import say

if TYPE_CHECKING:
    from torch import Tensor

    from models.data import Batch
    from models.reid import Embedder, People
    from pipeline.packed import Pack

_MOST_IDENTITIES, _MOST_IMAGES = 9999, 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright reid make` and `posewright reid check`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="make | check")
    make = actions.add_parser("make", help="write a folder of generated people")
    make.add_argument("--identities", type=int, default=50, metavar="N", help="default: 50")
    make.add_argument("--images", type=int, default=12, metavar="M", help="pictures of each; default: 12")
    make.add_argument("--poses", choices=("sampled", "real"), default="sampled", help="real: of the training pictures")
    make.add_argument("--seed", type=int, default=0, metavar="N", help="another number, other people; default: 0")
    make.add_argument("--checkpoint", type=Path, metavar="FILE", help="a trained network; default: the newest")
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    check = actions.add_parser("check", help="train on a folder and score on people who are held out")
    check.add_argument("--train", type=Path, required=True, metavar="DIR", help="pictures in Market-1501's names")
    check.add_argument("--market", type=Path, metavar="DIR", help="Market-1501's folder; default: the rendered people")
    check.add_argument("--adapt", action="store_true", help="go on with unlabelled pictures of the kind that is scored")
    check.add_argument("--kissme", action="store_true", help="score with a metric learnt on top of the features, too")
    check.add_argument("--epochs", type=int, default=30, metavar="N", help="default: 30")
    check.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    check.add_argument("--out", type=Path, metavar="FILE.json", help="write the scores as well")


def run(args: argparse.Namespace) -> None:
    """Do what the action says."""
    _make(args) if args.action == "make" else _check(args)


def _make(args: argparse.Namespace) -> None:
    from PIL import Image

    from models.data import to_levels
    from models.dpig_codes import BACKGROUND, FOREGROUND, POSE
    from models.sampling import sampled
    from stages.commands.sample import open_drawing_method
    from stages.reid_sets import name_of

    for option, most in (("identities", _MOST_IDENTITIES), ("images", _MOST_IMAGES)):
        if not 1 <= getattr(args, option) <= most:
            raise UserError(f"--{option} {getattr(args, option)}: give a number between 1 and {most}")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give a number of at least 0")
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UserError(f"--out {args.out}: there is something already; give a new or empty folder")
    method = open_drawing_method(args.checkpoint)
    people = sampled(method, [FOREGROUND], args.identities, seed=args.seed)[FOREGROUND]
    varied = [factor for factor in (BACKGROUND, POSE) if factor in method.factors]
    args.out.mkdir(parents=True, exist_ok=True)
    for identity in range(args.identities):
        codes = sampled(method, varied, args.images, seed=args.seed + 1_000_003 * (identity + 1))
        codes[FOREGROUND] = people[identity : identity + 1].expand(args.images, -1)
        batch = _poses(args, identity)
        if args.poses == "real":
            del codes[POSE]
        for picture, levels in enumerate(to_levels(method.compose(codes, batch)).permute(0, 2, 3, 1).numpy()):
            Image.fromarray(levels).save(args.out / f"{name_of(identity, picture)}.jpg", quality=95)
    say(f"{args.identities} identities, {args.images} pictures of each")
    print(args.out)


def _poses(args: argparse.Namespace, identity: int) -> "Batch":
    """What is drawn into: of the network's size, with joints of training pictures where real poses are asked for."""
    from dataclasses import replace

    import numpy as np
    import torch

    from models.sampling import nobody
    from stages.looks import read_recipe

    batch = nobody(args.images, read_recipe().size[::-1])
    if args.poses == "sampled":
        return batch
    pack = _pack()
    rows = sorted({int(row) for row in pack.pairs("train").ravel()})
    chosen = np.random.default_rng((args.seed, identity)).choice(rows, args.images)
    return replace(batch, target_joints=torch.from_numpy(pack.keypoints[chosen]))


def _check(args: argparse.Namespace) -> None:
    from models.reid import ReidSettings, adapt, believed, fresh, learn, score
    from models.settings import read_settings
    from stages.reid_sets import read_folder

    settings = read_settings(ReidSettings, {"epochs": args.epochs, "seed": args.seed}, where="reid check")
    made = read_folder(args.train)
    queries, gallery, unlabelled = _held_out(args)
    say(f"learning {len(set(made.persons))} identities from {len(made.persons)} pictures ...")
    embedder = fresh(args.seed)
    rows = {"random weights": score(embedder, queries, gallery)}
    embedder = learn(embedder, made.images, made.persons, settings)
    rows |= _scored(args, args.train.name, embedder, made.images, made.persons, (queries, gallery))
    if args.adapt:
        say(f"adapting to {len(unlabelled.persons)} unlabelled pictures ...")
        # As many clusters as persons there are told about: PUL's number has to be guessed as well.
        clusters = len(set(unlabelled.persons))
        embedder = adapt(embedder, unlabelled.images, clusters, settings)
        chosen, persons = believed(embedder, unlabelled.images, clusters, settings)
        rows |= _scored(
            args, f"{args.train.name} + PUL", embedder, unlabelled.images[chosen], persons, (queries, gallery)
        )
    _tell(args, rows)


def _scored(
    args: argparse.Namespace,
    name: str,
    embedder: "Embedder",
    images: "Tensor",
    persons: tuple[str, ...],
    held_out: "tuple[People, People]",
) -> dict[str, dict[str, float]]:
    """The row of an embedder, and with --kissme one with the metric learnt from these pictures."""
    from models.reid import kissme, score

    rows = {name: score(embedder, *held_out)}
    if args.kissme:
        try:
            metric = kissme(embedder.features(images), persons)
        except UserError as error:  # clusters can be too few: the other rows took minutes
            say(f"{name} + KISSME is left out: {error}")
        else:
            rows[f"{name} + KISSME"] = score(embedder, *held_out, metric)
    return rows


def _held_out(args: argparse.Namespace) -> "tuple[People, People, People]":
    """Queries, gallery, and unlabelled pictures of the same kind."""
    from stages.reid_sets import GALLERY, QUERIES, TRAIN, read_folder, read_pack

    if args.market:
        queries, gallery, unlabelled = (read_folder(args.market / name) for name in (QUERIES, GALLERY, TRAIN))
        return queries, gallery, unlabelled
    pack = _pack()
    people = read_pack(pack, ("val", "test"))
    return people, people, read_pack(pack, ("train",))


def _pack() -> "Pack":
    from pipeline import params
    from pipeline.packed import Pack
    from stages import artifacts

    path = artifacts.pack(params.load().pretrain_domain)
    if not path.is_file():
        raise UserError(f"{path} is not there yet: `dvc repro` makes it; or give --market, the folder of Market-1501")
    return Pack(path)


def _tell(args: argparse.Namespace, rows: dict[str, dict[str, float]]) -> None:
    room = max(24, *map(len, rows))
    print(f"{'learnt from':<{room}} {'Rank-1':>7} {'mAP':>7}   ({next(iter(rows.values()))['queries']:.0f} queries)")
    for name, values in rows.items():
        print(f"{name:<{room}} {values['rank1']:>7.3f} {values['map']:>7.3f}")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(rows, indent=2) + "\n")
        print(args.out)
