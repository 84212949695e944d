"""`aligngemini evaluate report`: the reports of an evaluation, written again."""

import sys
from collections.abc import Sequence
from pathlib import Path

from aligngemini.cli import checks
from aligngemini.cli.evaluate_run import SCORES, TABLE
from aligngemini.cli.parser import Parser

DESCRIPTION = """Write the reports of an evaluation again, from its scores and its table.

Nothing is judged. The page report.html shows everything, with plots and the images
the detector was most wrong about; report.md, report.csv, report.tex and report.json
hold the tables.
"""

EPILOG = """examples:
  aligngemini evaluate report result
  aligngemini evaluate report result --no-pictures --to public
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    try:
        if given.to is not None:
            checks.folder(given.to, "--to")
    except checks.UsageError as error:
        parser.error(str(error))
    try:
        from aligngemini.evaluation.reports import write_reports
        from aligngemini.evaluation.scores import ScoresError, read_scores
        from aligngemini.evaluation.table_file import read_table
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[evaluate]" brings what reports need'
        )
    try:
        table = read_table(given.folder / TABLE)
        scores = read_scores(given.folder / SCORES)
        written = write_reports(table, scores, given.to or given.folder, pictures=given.pictures)
    except (ScoresError, OSError) as error:
        return _fail(str(error))
    for path in written:
        print(path)
    return checks.ALL_JUDGED


def _fail(message: str) -> int:
    print(f"aligngemini evaluate report: {message}", file=sys.stderr)
    return checks.WRONG_USE


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini evaluate report",
        usage="aligngemini evaluate report FOLDER [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="what evaluate had as --out")
    add("--to", type=Path, metavar="DIR", help="write into this folder instead")
    add(
        "--no-pictures",
        action="store_false",
        dest="pictures",
        help="leave images out of the page, so that it may be published",
    )
    return parser
