"""The command `posewright`: one sub-command per file of this folder.

A file has a docstring (its first line is the summary, the rest the help text), `add_arguments(parser)` and `run(args)`.
It imports what is heavy inside `run`, so that the command answers at once.
"""

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from pipeline.errors import UserError

_DESCRIPTION = "Pictures of people in, trained pose-transfer models out: look at and use what `dvc repro` made."
_EPILOG = """\
Examples:
  dvc repro                                                    make everything, then open data/report/index.html
  posewright inspect pack --domain source --item p03_2         everything known about one picture, as a PNG
  posewright inspect keypoints --domain target --item mage_run
  posewright detect holiday --out found                        joints and label maps of any folder of pictures
  posewright transfer --person anna.jpg --pose bert.jpg        Anna in Bert's pose, from any two photographs

Run it from the project's root, where params.yaml stands. `posewright COMMAND --help` says more.
"""


def find_commands() -> dict[str, ModuleType]:
    """Every sub-command by name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def make_parser() -> argparse.ArgumentParser:
    """The parser with every sub-command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("posewright", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in find_commands().items():
        summary, _, text = (module.__doc__ or "").strip().partition("\n")
        command = commands.add_parser(name, help=summary, description=summary, epilog=text, formatter_class=raw)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, 1 after a message about a mistake of the user's, 2 after a wrong call."""
    args = make_parser().parse_args(argv)
    try:
        args.run(args)
    except UserError as error:
        print(f"posewright {args.command}: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        from pipeline.faults import storage_trouble

        message = storage_trouble(error, [Path()])
        if message is None:
            raise
        print(f"posewright {args.command}: {message}", file=sys.stderr)
        return 1
    return 0
