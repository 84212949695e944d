"""`aligngemini` itself: which commands there are."""

import sys
from collections.abc import Sequence

from aligngemini import __version__
from aligngemini.cli import COMMANDS
from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser

WIDTH = max(len(name) for name in COMMANDS) + 2

EPILOG = f"""commands:
{chr(10).join(f"  {name:{WIDTH}}{what}" for name, what in COMMANDS.items())}

first steps:
  aligngemini detect photo.jpg
  aligngemini detect --help
"""


def main(arguments: Sequence[str]) -> int:
    """Answer everything that is no command; gives the exit code."""
    parser = Parser(
        prog="aligngemini",
        usage="aligngemini COMMAND ...",
        description="Was this image made by AI?",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"aligngemini {__version__}")
    if not arguments:
        parser.print_help()
        return WRONG_USE
    _, unknown = parser.parse_known_args(arguments)
    print(f"aligngemini: there is no command {unknown[0]!r}", file=sys.stderr)
    print(f"There are: {', '.join(COMMANDS)}. See aligngemini --help.", file=sys.stderr)
    return WRONG_USE
