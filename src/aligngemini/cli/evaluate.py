"""`aligngemini evaluate`: how good a detector is on a benchmark, every score kept."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, positive_int

ACTIONS = {
    "list": "benchmarks: how to get them, licence, counts",
    "verify": "what of a benchmark is on this disk, and what is missing",
    "report": "write the reports of an evaluation again",
}

DESCRIPTION = """Measure a detector on a benchmark: each branch alone, and all of them together.

Every score is kept, and every figure computed from the scores: accuracy of photos
and of fakes at 0.5 and at the shipped threshold, average precision, AUC, recall at
few false alarms, calibration, each with its 95 % interval, by subset and over all.
No threshold is set on the images that are measured; the figures that would need one
are called oracle. First of all an audit says in one line whether the benchmark can
be solved without looking at a pixel.
"""

EPILOG = f"""actions:
{chr(10).join(f"  evaluate {name:8}{what}" for name, what in ACTIONS.items())}

protocols (--protocol, any number of them):
  as-is         every file as it is
  all-alike     every image saved as JPEG of quality 96 first: the honest column, where
                photos are JPEG and fakes PNG
  fakes-jpeg96  the fakes alone are: how published numbers often came about
  jpeg:75, scale:0.5+webp:80, ...  any delivery, for both classes
  The default is as-is and all-alike, and fakes-jpeg96 where the published numbers had
  that; it costs nothing beside the other two.

what --out gets:
  scores.parquet     a row for each image, protocol and branch
  table.json         every figure, with intervals, counts and notes
  report.*           the same for people and papers
  judged.jsonl       what was judged: the same command goes on where it was stopped, and
                     judges no image again; another detector may go on in the same folder

exit codes:
  0    every image was judged
  1    some could not be judged; the table counts them, scores.parquet says why
  2    wrong usage or configuration, or there was no image
  130  stopped by Ctrl-C (143: by SIGTERM)

Needs the evaluate extra: pip install "aligngemini[evaluate]"

examples:
  aligngemini evaluate list
  aligngemini evaluate --benchmark genimage --root GenImage --out result
  aligngemini evaluate --benchmark folder --root mine --limit 100 --out quick
  aligngemini evaluate --benchmark manifest --root images.csv --pixel dda --out result
  aligngemini evaluate --benchmark wildrf --root WildRF --pixel hf:owner/name --out other
  aligngemini evaluate --benchmark wildrf --root WildRF --scores theirs.csv --out theirs
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    if arguments[0] in ACTIONS:
        action = import_module(f"aligngemini.cli.evaluate_{arguments[0]}")
        code: int = action.main(arguments[1:])
        return code
    given = parser.parse_args(arguments)
    try:
        checks.folder(given.out, "--out")
        detector_options.check(given)
        checks.calibration(given.calibration)
        if given.scores is not None:
            if detector_options.any_given(given) or given.calibration is not None:
                raise checks.UsageError(
                    "--scores",
                    "judged already; leave --pixel, --semantic, --gamma, --fusion and "
                    "--calibration out",
                )
            if len(given.protocol or ()) > 1:
                raise checks.UsageError("--scores", "made under one protocol; name that one")
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.evaluate_run import Task, run

    options = detector_options.options_of(given)
    if given.calibration is not None:
        options = replace(options, calibration=str(given.calibration))
    return run(
        Task(
            benchmark=given.benchmark,
            root=given.root,
            real_root=given.real_root,
            work=given.work,
            protocols=tuple(dict.fromkeys(given.protocol or ())),
            limit=given.limit,
            out=given.out,
            options=options,
            scores=given.scores,
            workers=given.workers,
            timeout=given.timeout,
            retry=given.retry,
        )
    )


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini evaluate",
        usage="aligngemini evaluate --benchmark NAME --root DIR --out DIR [options]\n"
        f"       aligngemini evaluate {{{','.join(ACTIONS)}}} ...",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument_group("what to measure on").add_argument
    add(
        "--benchmark",
        required=True,
        metavar="NAME",
        help="a public benchmark (see evaluate list), folder, or manifest",
    )
    add(
        "--root",
        type=Path,
        required=True,
        metavar="DIR",
        help="where it lies; for manifest, the file",
    )
    add(
        "--real-root",
        type=Path,
        metavar="DIR",
        help="photos for a benchmark that has none of its own; every subset is compared with them",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="where a benchmark that comes packed is unpacked, once (default: unpacked/ in --out)",
    )
    add(
        "--protocol",
        action="append",
        metavar="NAME",
        help="what happens to the images first, see below; may be given several times",
    )
    add(
        "--limit",
        type=positive_int,
        metavar="N",
        help="take this many photos and fakes of each subset, the same ones every time",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for scores, table and reports; made where it is missing",
    )
    group = parser.add_argument_group("whose scores")
    detector_options.add_models(group)
    add = group.add_argument
    add(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="thresholds that aligngemini calibrate set; scores, table and reports name it",
    )
    add(
        "--scores",
        type=Path,
        metavar="FILE",
        help="judge nothing, and take these scores: .csv, .jsonl or .parquet with path, score "
        "(P(fake), 0 to 1) and verdict if there is one",
    )
    group = parser.add_argument_group("how to run")
    detector_options.add_running(group)
    add = group.add_argument
    add(
        "--retry",
        action="store_true",
        help="judge images again that timed out, crashed a worker or found no server",
    )
    return parser
