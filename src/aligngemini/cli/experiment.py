"""`aligngemini experiment`: the papers' own questions, run and answered."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int
from aligngemini.cli.training_run import failed, not_installed

if TYPE_CHECKING:
    from aligngemini.experiments.study import Study

COMMAND = "aligngemini experiment"

DESCRIPTION = """Run a study: a question that the papers raise, answered by numbers.

Every study trains and tests its cells with several seeds, checks itself with null
controls (labels drawn by lot, nothing to find), and writes a table, a plot and what
the numbers say of the papers' claims, for or against.

names:
  list     the studies there are
  NAME     one of them

scales:
  smoke    seconds: shows that everything runs, and nothing else
  tiny     under half an hour on two cores: small models, drawn scenes (the default)
  full     what real weights and GPUs would run
"""

EPILOG = """what DIR holds afterwards:
  conclusion.md  what the numbers say, the null controls, the design
  table.md       mean and standard deviation over the seeds
  figure.png     the plot; figure.svg too
  results.json   every number, for programs
  runs/, cache/  finished runs; the same command goes on where it was stopped

More seeds later: give a larger --seeds, only the new ones are run. Needs the train and
evaluate extras: pip install "aligngemini[train,evaluate]"

exit codes:
  0    the study is written, whatever it found
  2    wrong usage or configuration
  130  stopped by Ctrl-C

examples:
  aligngemini experiment list
  aligngemini experiment alignment
  aligngemini experiment alignment --scale smoke --out smoke
  aligngemini experiment subtle --seeds 5 --out subtle
"""

LIST = "list"
FEWEST_SEEDS = 2


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    try:
        from aligngemini.experiments.registry import STUDIES, open_study
        from aligngemini.experiments.study import StudyError

        studies = [open_study(name) for name in (STUDIES if given.name == LIST else [given.name])]
    except ImportError as error:
        return not_installed(COMMAND, error)
    except StudyError as error:
        return failed(COMMAND, f"{error}; `{COMMAND} list` says what each asks")
    if given.name == LIST:
        for study in studies:
            print(f"{study.name:14}{study.question}")
        return 0
    return _run(studies[0], given, f"{COMMAND} {' '.join(arguments)}")


def _run(study: "Study", given: Any, command: str) -> int:
    from aligngemini.cli.progress import progress
    from aligngemini.experiments.report import write_report
    from aligngemini.experiments.runs import run_study
    from aligngemini.experiments.study import StudyError

    out = given.out or Path(f"experiment-{study.name}-{given.scale}")
    try:
        cells = study.cells(study.settings_of(given.scale))
        with progress(len(cells) * given.seeds, text=study.name) as advance:

            def step(line: str) -> None:
                advance()
                if not sys.stderr.isatty():
                    print(f"{study.name}: {line}", file=sys.stderr)

            with redirect_stdout(sys.stderr):  # trainers' logs; results alone go to standard output
                runs = run_study(
                    study, given.scale, out, seeds=range(given.seeds), data=given.data, step=step
                )
        print(write_report(study, given.scale, runs, out, command))
    except StudyError as error:
        return failed(COMMAND, str(error))
    except OSError as error:
        problem = f"cannot read or write: {error}; the same command goes on where it was"
        return failed(COMMAND, problem)
    print(f"Written to {out}")
    return 0


def _seeds(text: str) -> int:
    count = positive_int(text)
    if count < FEWEST_SEEDS:
        raise argparse.ArgumentTypeError(f"must be {FEWEST_SEEDS} or more: one has no deviation")
    return count


def _parser() -> Parser:
    parser = Parser(
        prog=COMMAND,
        usage="aligngemini experiment NAME [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="a study, or list")
    add(
        "--scale",
        choices=("smoke", "tiny", "full"),
        default="tiny",
        help="how much to run (default: tiny)",
    )
    add("--seeds", type=_seeds, default=3, metavar="N", help="runs of each cell, 2 or more (3)")
    add("--out", type=Path, metavar="DIR", help="folder to write (experiment-NAME-SCALE)")
    add("--data", type=Path, metavar="DIR", help="images, for the studies that take some")
    return parser
