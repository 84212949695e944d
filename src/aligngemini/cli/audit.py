"""`aligngemini audit`: can a labelled set be solved without looking at a pixel?"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import checks, labelled_set
from aligngemini.cli.parser import Parser, positive_int

if TYPE_CHECKING:
    from aligngemini.datasets.manifest import Row
    from aligngemini.evaluation.audit import Audit

DESCRIPTION = """Say whether a labelled set can be solved without looking at a pixel.

Where photos are JPEG files of one size and AI images PNG files of another, a
detector may score well and know nothing. Headers alone are read: container format,
size, compression, colour mode, metadata. A decision tree of three questions then
tries to tell photos from fakes by those; if it can, the set is no measure.
"""

EPILOG = """what is said of a set, by the tree's balanced accuracy on images it was not grown on:
  does not tell      below 0.60, or no better than guessing does by chance
  solved in part     from 0.60
  solved             from 0.80

--out writes everything; the suffix decides: .json for programs, .html a page, .md
Markdown. Without it the Markdown is printed.

Needs the evaluate extra: pip install "aligngemini[evaluate]"

exit codes:
  0    the set was audited, whatever was found
  1    some files could not be read (they are listed); with --strict also: headers
       tell the classes apart, or there is too little to say
  2    wrong usage or configuration, or no image

examples:
  aligngemini audit images.csv
  aligngemini audit --real photos/ --fake generated/ --out audit.html
  aligngemini audit genimage/ --benchmark genimage
  aligngemini audit set/manifest.parquet --strict
"""

NO_SAMPLE = "all"
SUFFIXES = (".json", ".html", ".htm", ".md")


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    labelled_set.check(parser, given, "audit")
    try:
        if given.out is not None and given.out.suffix.lower() not in SUFFIXES:
            raise checks.UsageError("--out", f"{given.out.name} ends in none of .json, .html, .md")
        inputs = [given.set] if given.set else [*given.real, *given.fake]
        checks.outputs(inputs, out=None, report=given.out, heatmaps=None)
    except checks.UsageError as error:
        parser.error(str(error).replace("--report", "--out"))
    try:
        import sklearn  # noqa: F401 - imported now, so that its absence is said
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[evaluate]" brings what auditing needs'
        )
    from aligngemini.benchmarks import BenchmarkError
    from aligngemini.datasets.manifest import ManifestError

    try:
        rows = labelled_set.read_set(given)
    except (BenchmarkError, ManifestError) as error:
        return _fail(str(error))
    if not rows:
        return _fail("found no image there")
    audit = _audit(rows, given)
    try:
        _show(audit, labelled_set.name_of(given), given.out)
    except OSError as error:
        return _fail(str(error))
    if audit.unreadable:
        from aligngemini.evaluation.blocks import counted

        print(f"{counted(len(audit.unreadable), 'file')} could not be read.", file=sys.stderr)
    telling = given.strict and audit.state != "clear"
    return checks.SOME_NOT_JUDGED if audit.unreadable or telling else checks.ALL_JUDGED


def _audit(rows: "Sequence[Row]", given: Any) -> "Audit":
    from aligngemini.cli.progress import progress
    from aligngemini.evaluation.audit import audit_rows, chosen

    files = chosen(rows, most=given.sample, seed=given.seed)
    with progress(len(files), text="Reading headers") as step:
        return audit_rows(rows, most=given.sample, seed=given.seed, step=step)


def _show(audit: "Audit", name: str, out: Path | None) -> None:
    from aligngemini.evaluation.audit.render import to_html, to_json, to_markdown
    from aligngemini.report.files import replacing

    if out is None:
        print(to_markdown(audit, name), end="")
        return
    kind = out.suffix.lower()
    text = (
        to_json(audit)
        if kind == ".json"
        else (to_markdown if kind == ".md" else to_html)(audit, name)
    )
    with replacing(out) as file:
        file.write(text.encode())
    print(audit.line())


def _fail(message: str) -> int:
    print(f"aligngemini audit: {message}", file=sys.stderr)
    return checks.WRONG_USE


def _sample(text: str) -> int | None:
    return None if text == NO_SAMPLE else positive_int(text)


_sample.__name__ = "number or all"  # as argparse names it in its error


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini audit",
        usage="aligngemini audit SET [options]\n"
        "       aligngemini audit --real PHOTOS --fake FAKES [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    labelled_set.add_arguments(parser)
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the audit here, as .json, .html or .md; a file there is replaced",
    )
    add(
        "--sample",
        type=_sample,
        default=10_000,
        metavar="N",
        help="images of each class to look at, drawn at random, or all (default: 10000)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the draw and the folds (default: 0)")
    add(
        "--strict",
        action="store_true",
        help="exit with 1 unless headers do not tell the classes apart",
    )
    return parser
