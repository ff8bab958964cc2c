"""Turn a published checkpoint into one of this project, or one of this project into a published one.

What FILE is says which way:
  of the original program   (.pth, .pt, .safetensors) becomes a .safetensors that the other commands use
  of this project           becomes a .pth that the original program reads

Nothing passes silently: an entry that does not fit is an error, one that nothing reads is printed. The order of the
labels changes on the way. Released weights know a joint as one single pixel; the new checkpoint says so.

Examples:
  posewright convert latest_net_netG.pth --out adgan.safetensors
  posewright convert data/pretrain/adgan/weights.safetensors --out latest_net_netG.pth
  posewright convert data/pretrain/adgan/weights.safetensors --out latest_net_netD_PB.pth --name adgan_d_pose
  posewright convert latest_netG.pth --out scagan.safetensors --name scagan
"""

import argparse
from pathlib import Path

from pipeline.errors import UserError

# Those of `models.published.ORIGINALS`, which is not imported for --help alone.
NETWORKS = (
    *("adgan", "adgan_d_pose", "adgan_d_texture", "spt_appearance"),
    *("scagan_pct", "scagan_pct_d_pose", "scagan_pct_d_source", "scagan", "scagan_d_pose", "scagan_d_texture"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright convert`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the checkpoint to read")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE2", help="the checkpoint to write")
    parser.add_argument(
        "--name",
        default="adgan",
        metavar="NETWORK",
        help=f"the published network, default: adgan (the generator); one of {', '.join(NETWORKS)}",
    )


def run(args: argparse.Namespace) -> None:
    """Write the other kind of checkpoint and print what became of the entries."""
    from models.originals import OriginalMismatch

    try:
        (_write_original if _is_ours(args.file) else _write_ours)(args)
    except OriginalMismatch as error:
        raise UserError(f"{args.file}: {error}") from None


def _is_ours(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return "system" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False  # a .pth, or no checkpoint at all: reading it tells which


def _write_ours(args: argparse.Namespace) -> None:
    from models.method import save
    from models.originals import read_checkpoint, to_method
    from models.published import ORIGINALS

    entries = read_checkpoint(args.file)
    _check_ending(args, ".safetensors", "a published checkpoint becomes one of this project")
    method = to_method(args.name, entries)
    save(args.out, method)
    original = ORIGINALS[args.name]
    settings = ", ".join(f"{key} {value}" for key, value in {**original.settings, **original.trained_with}.items())
    print(f"{args.out}: '{method.name}' with {original.title} of {args.file}, labels in this project's order")
    print(f"settings: {settings}; the other networks start from random weights")
    _print_ignored(method.ignored)


def _write_original(args: argparse.Namespace) -> None:
    import torch

    from models.method import load
    from models.originals import to_original
    from models.published import ORIGINALS

    _check_ending(args, ".pth", "a checkpoint of this project becomes a published one", ".pt")
    method = load(args.file)
    entries = to_original(args.name, method)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_name(args.out.name + ".part")
    # The format that the PyTorch of the originals' days reads too.
    torch.save(entries, partial, _use_new_zipfile_serialization=False)
    partial.replace(args.out)
    print(f"{args.out}: {ORIGINALS[args.name].title} with the {len(entries)} entries that it was published with")
    if hasattr(method.settings, "pose_map"):
        print(f"labels in the original's order; its pose maps must be '{method.settings.pose_map}', as in training")


def _check_ending(args: argparse.Namespace, ending: str, rule: str, *others: str) -> None:
    if args.out.suffix.lower() not in (ending, *others):
        raise UserError(f"--out {args.out}: {rule}; give a name that ends in {ending}")


def _print_ignored(keys: tuple[str, ...]) -> None:
    print(f"{len(keys)} entries that nothing reads were left out{':' if keys else ''}")
    for key in keys:
        print(f"  {key}")
