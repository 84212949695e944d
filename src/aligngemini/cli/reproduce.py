"""`aligngemini reproduce`: a paper's table from what is on the disk."""

from collections.abc import Sequence
from pathlib import Path

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, positive_int

TABLES = ("in-the-wild", "aigi-now", "genimage")

DESCRIPTION = """Make a paper's table again from the benchmarks on this disk, in one command.

Says first what of the table is there and what is missing, evaluates what is there,
and prints our numbers beside the published ones, with a remark wherever protocol,
metric or source keep the two from being compared.
"""

EPILOG = """tables:
  in-the-wild  Chameleon, WildRF, BFree-Online, AIGIBench (CommunityAI and SocialRF
               only) and CO-SPY in the wild
  aigi-now     nine generators, with aligned formats and degraded
  genimage     eight generators

Under --root each benchmark has a folder by a name it is known by: Chameleon, WildRF,
B-Free or BFree-Online, AIGIBench, CO-SPY-In-the-Wild, AIGI-Now, GenImage. How to get
them: aligngemini evaluate list NAME.

what --out gets:
  reproduced.md   the table, and the published numbers beside it
  BENCHMARK/      everything that aligngemini evaluate writes; the same command goes on
                  where it was stopped

exit codes:
  0    the whole table was made
  1    a part of it: something is missing, or could not be judged
  2    wrong usage or configuration, or nothing of the table is there
  130  stopped by Ctrl-C (143: by SIGTERM)

Needs the evaluate extra: pip install "aligngemini[evaluate]"

examples:
  aligngemini reproduce in-the-wild --root data --check
  aligngemini reproduce in-the-wild --root data --out result
  aligngemini reproduce genimage --root data/GenImage --pixel dda --out dda-genimage
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    try:
        detector_options.check(given)
        if not given.root.is_dir():
            raise checks.UsageError("--root", f"no such folder: {given.root}")
        if given.out is None and not given.check:
            raise checks.UsageError("--out", "say where to write, or --check to see what is there")
        if given.out is not None:
            checks.folder(given.out, "--out")
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.reproduce_run import Task, run

    return run(
        Task(
            table=given.table,
            root=given.root,
            out=None if given.check else given.out,
            limit=given.limit,
            options=detector_options.options_of(given),
            workers=given.workers,
            timeout=given.timeout,
        )
    )


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini reproduce",
        usage="aligngemini reproduce TABLE --root DIR --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("table", choices=TABLES, metavar="TABLE", help="which one, see below")
    add("--root", type=Path, required=True, metavar="DIR", help="folder of the benchmarks")
    add("--out", type=Path, metavar="DIR", help="folder for scores and tables")
    add("--check", action="store_true", help="only say what is there and what is missing")
    add(
        "--limit",
        type=positive_int,
        metavar="N",
        help="take this many photos and fakes of each subset, the same ones every time",
    )
    detector_options.add_models(parser.add_argument_group("whose scores"))
    detector_options.add_running(parser.add_argument_group("how to run"))
    return parser
