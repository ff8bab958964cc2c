"""Score anybody's generated pictures under a named protocol, with intervals and all that the numbers depend on.

Pictures are read from two folders, matched by name, or from strips that hold several pictures side by side: ADGAN's 880
wide ones (source, pose, target, pose, generated), or three of a size (source, target, generated). A pair list
(`from,to`) tells which pictures of --generated (`<from>___<to>`, `<from>_2_<to>`, `_vis` at the end, or the name of the
target) belong to which of --targets. PNG, JPEG and others may be mixed. Nothing is scaled: a picture that is torn, has
no partner or another size than its target is left out and named; of 256x256 beside 176x256 the middle is taken.

Official FID, IS and LPIPS need their weights (--inception, --alexnet, from `posewright weights`); without them
stand-ins are computed under their own names, which are to be compared with each other only. docs/metrics.md tells what
each score is.

Examples:
  posewright score --generated results/fake --targets results/real --protocol padded
  posewright score --strips results/fashion_PATN_test/images --protocol padded --out scores.json
  posewright score --generated fake --targets img --pairs pairs.csv --protocol train_fid --training train
  posewright score --baseline copy_source --targets img --pairs pairs.csv --protocol plain
"""

import argparse
from pathlib import Path

PROTOCOL_NAMES = ("plain", "padded", "train_fid", "pg2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright score`."""
    parser.add_argument("--generated", type=Path, metavar="DIR", help="the generated pictures")
    parser.add_argument("--targets", type=Path, metavar="DIR", help="the pictures they should be (and the sources)")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="CSV with the columns from,to")
    parser.add_argument("--strips", type=Path, metavar="DIR", help="pictures side by side instead of two folders")
    parser.add_argument(
        "--layout", metavar="NAMES", help="what a strip holds: source,target,generated in their order, - for the rest"
    )
    parser.add_argument("--baseline", choices=("copy_source",), help="score this instead of --generated")
    parser.add_argument("--protocol", choices=PROTOCOL_NAMES, default="plain", help="default: plain")
    parser.add_argument("--training", type=Path, metavar="DIR", help="training pictures, the reference of train_fid")
    parser.add_argument("--inception", type=Path, metavar="FILE", help="weights for FID, KID and IS")
    parser.add_argument("--alexnet", type=Path, metavar="FILE", help="torchvision's AlexNet, for LPIPS")
    parser.add_argument(
        "--people", action=argparse.BooleanOptionalAction, default=True, help="find joints and labels in them again"
    )
    parser.add_argument("--perceptual", action="store_true", help="LPIPS and CX as well: seconds for every picture")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="scores and provenance as JSON")


def run(args: argparse.Namespace) -> None:
    """Print the table; with --out write it as JSON too."""
    from stages.scoring import Request, print_table, score, write_json

    result = score(
        Request(
            protocol=args.protocol,
            generated=args.generated,
            targets=args.targets,
            pairs=args.pairs,
            strips=args.strips,
            layout=args.layout,
            baseline=args.baseline,
            training=args.training,
            inception=args.inception,
            alexnet=args.alexnet,
            people=args.people,
            perceptual=args.perceptual or args.alexnet is not None,
        )
    )
    print_table(result)
    if args.out:
        write_json(args.out, result)
