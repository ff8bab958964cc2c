"""A local web page: drop a photograph, choose a pose, change clothes, download the result.

The page answers on this machine alone (127.0.0.1) and needs no internet. Pictures that are sent to it are limited in
size, stay in memory and are gone with the answer. Poses of the packed domains can be chosen by a click; where the
network has codes of single parts, clothes of another person can be put on. Ctrl+C ends it.

Examples:
  posewright serve                                                   then open the address that it prints
  posewright serve --port 9000 --checkpoint data/finetune/adgan/target.safetensors
"""

import argparse
import asyncio
from pathlib import Path

from pipeline.errors import UserError
from stages.commands._pictures import CROPS, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright serve`."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="a trained network; default: all that `dvc repro` made"
    )
    parser.add_argument("--crop", choices=CROPS, help="how pictures get the network's size; see `posewright transfer`")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    parser.add_argument("--max-mb", type=float, default=20, metavar="MB", help="the largest picture; default: 20")


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl+C."""
    from stages.serve.server import LOCAL, make_app, run_server
    from stages.serve.studio import Studio

    if not 0 < args.max_mb <= 1000:
        raise UserError(f"--max-mb {args.max_mb:g}: give a number above 0, up to 1000")
    is_local = args.host in LOCAL
    if not is_local:
        say(
            f"--host {args.host}: others in the network can use this page and your machine. The key points come from "
            "openpifpaf (AGPL-3.0): whoever offers them over a network must offer the source."
        )
    studio = Studio(args.checkpoint, args.crop)
    say(f"networks: {', '.join(map(str, studio.networks))}")
    app = make_app(studio, max_mb=args.max_mb, only_local=is_local)
    try:
        asyncio.run(
            run_server(app, args.host, args.port, lambda url: print(f"open {url} (Ctrl+C ends it)", flush=True))
        )
    except KeyboardInterrupt:
        say("ended")
