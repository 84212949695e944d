"""The command line: one file a command, no logic.

argparse, because it starts in a tenth of the time of the others: `aligngemini detect` on one image
is over before they have been imported. A command is a module with `main(arguments) -> exit code`,
loaded when it is called.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "detect": "say of each image whether it shows signs of AI generation",
    "explain": "say in plain words how a verdict came about",
    "scan": "judge millions of images into a store that loses nothing",
    "build": "make a data set for training",
    "train": "train a pixel expert, the semantic model or GAMMA, and measure it",
    "calibrate": "set thresholds on your own photos, guaranteed to call few of them fake",
    "fuse": "fit how branches are joined into one verdict",
    "audit": "say whether a labelled set can be solved without looking at a pixel",
    "evaluate": "measure a detector on a benchmark, every score kept",
    "reproduce": "make a paper's table again from the benchmarks on this disk",
    "robustness": "measure what delivery, words in the picture or an attack do to verdicts",
    "experiment": "run a study of the papers' own questions",
    "models": "list, download, import and remove pixel experts",
    "export": "make a pixel expert run without PyTorch",
    "serve": "judge images over HTTP: an API, and a page for people",
    "selftest": "check that this installation answers as it was released",
    "doctor": "say what is installed and what would run where",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands behind the program's name; None takes the process's own.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    known = bool(arguments) and arguments[0] in COMMANDS
    try:
        command = import_module(f"aligngemini.cli.{arguments[0] if known else 'root'}")
        code: int = command.main(arguments[1:] if known else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130  # as shells show a program that Ctrl-C ended
    except BrokenPipeError:  # of a reader that has seen enough, such as head
        from aligngemini.cli.run import BROKEN_PIPE, discard_stdout

        discard_stdout()
        return BROKEN_PIPE
    return code
