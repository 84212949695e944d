"""`aligngemini models`: which experts there are, and getting more."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, share

DESCRIPTION = """List, download, import and remove pixel experts.

A model is a folder: weights, preprocessing, thresholds, a card, and hashes over them.
What is installed goes by its name, everything else by its folder:
aligngemini detect photo.jpg --pixel NAME, or --pixel DIR.
"""

EPILOG = """commands:
  list                 models that ship, are installed, or can be pulled by name
  show NAME|DIR        all that a model's folder says, its files checked
  pull NAME|REPO       download dda, semantic (the base model of --semantic), or a
                       model folder from the Hugging Face Hub
  import FILE          convert the published DDA checkpoint (DDA_ckpt.pth)
  remove NAME          delete an installed model
  push DIR REPO        upload a model folder to the Hub

See aligngemini models COMMAND --help. Installed models lie in the user's data folder,
or in models/ of the folder that ALIGNGEMINI_HOME names.

examples:
  aligngemini models pull dda
  aligngemini detect photo.jpg --pixel dda
  aligngemini models import DDA_ckpt.pth --name dda
  aligngemini models show dda
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    from aligngemini.cli import model_actions
    from aligngemini.runtimes.folder import ModelError
    from aligngemini.settings import SettingsError

    try:
        getattr(model_actions, given.action)(given)
    except (ModelError, SettingsError) as error:
        print(f"aligngemini models: {error}", file=sys.stderr)
        return WRONG_USE
    return 0


def _alpha(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini models",
        usage="aligngemini models COMMAND ...",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(
        prog=parser.prog, metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )

    def command(name: str, action: str, description: str, epilog: str) -> Parser:
        made = commands.add_parser(
            name, description=description, epilog=f"example:\n  aligngemini models {epilog}\n"
        )
        made.set_defaults(action=action)
        return made

    made = command("list", "list_models", "List models, without checking their files.", "list")
    made.add_argument("--json", action="store_true", help="for programs")

    made = command(
        "show",
        "show",
        "Check a model's files against their hashes and say what its folder does.",
        "show compact",
    )
    made.add_argument(
        "model", metavar="NAME|DIR", help="an installed or shipped model, or a folder"
    )
    made.add_argument("--json", action="store_true", help="for programs")

    made = command(
        "pull",
        "pull",
        "Download a model from the Hugging Face Hub, check it against the Hub's checksum,\n"
        "note its revision and SHA-256, and install it. dda is converted once.",
        "pull dda",
    )
    made.add_argument("model", metavar="NAME|OWNER/NAME", help="dda, semantic, or a repository")
    made.add_argument("--name", metavar="NAME", help="to install it by (default: its own)")
    made.add_argument("--revision", metavar="REV", help="branch, tag or commit (default: newest)")
    _onnx_option(made)

    made = command(
        "import",
        "import_checkpoint",
        "Convert a checkpoint of DDA's training code (arXiv 2505.14359) to a model folder.\n"
        "LoRA is merged, the size of the backbone read from the tensors. No code in the\n"
        "file is run.",
        "import DDA_ckpt.pth --name dda",
    )
    made.add_argument("file", type=Path, metavar="FILE", help="DDA_ckpt.pth, or one like it")
    place = made.add_mutually_exclusive_group(required=True)
    place.add_argument("--name", metavar="NAME", help="install it by this name")
    place.add_argument("--out", type=Path, metavar="DIR", help="write the folder here instead")
    made.add_argument(
        "--threshold",
        type=share,
        metavar="T",
        help="scores from here up are fake (default: 0.5, as published)",
    )
    made.add_argument(
        "--lora-alpha",
        type=_alpha,
        default=1.0,
        metavar="A",
        help="of the training (default: 1, as published)",
    )
    _onnx_option(made)

    made = command(
        "remove", "remove", "Delete an installed model, after asking.", "remove dda --yes"
    )
    made.add_argument("name", metavar="NAME", help="an installed model")
    made.add_argument("--yes", action="store_true", help="do not ask")

    made = command(
        "push",
        "push",
        "Upload a model folder to the Hugging Face Hub in one commit, its card as the\n"
        "page. Others get it with aligngemini models pull OWNER/NAME.",
        "push my-expert me/my-expert --private",
    )
    made.add_argument("folder", type=Path, metavar="DIR", help="a model folder")
    made.add_argument(
        "repo", metavar="OWNER/NAME", help="the repository; made where it is not there"
    )
    made.add_argument("--private", action="store_true", help="make it for your eyes alone")
    return parser


def _onnx_option(parser: Parser) -> None:
    parser.add_argument(
        "--no-onnx",
        dest="onnx",
        action="store_false",
        help="do not export it too; that takes minutes and makes it faster on a CPU",
    )
