"""What all commands' parsers share."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that keeps the layout of its texts and says errors in two lines."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings
        )

    def parse_with_inputs(
        self, arguments: Sequence[str], name: str
    ) -> tuple[argparse.Namespace, list[str]]:
        """Options, and inputs that may stand anywhere among them.

        Args:
            arguments: What was typed.
            name: Of the argument that takes the inputs.
        """
        # Behind "--" everything is an input; argparse disagrees with itself over versions on this.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        given = self.parse_intermixed_args(arguments[:end])
        return given, [*getattr(given, name), *arguments[end + 1 :]]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def positive_int(text: str) -> int:
    """A whole number from 1 up."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def share(text: str) -> float:
    """A share, from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def open_share(text: str) -> float:
    """A share above 0 and below 1."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1, neither of them")
    return value


def seed(text: str) -> int:
    """A whole number from 0 up."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def seconds(text: str) -> float:
    """A time of at least a millisecond and at most a day."""
    value = float(text)
    if not 0.001 <= value <= 86_400:
        raise argparse.ArgumentTypeError("must lie between 0.001 and 86400")
    return value
