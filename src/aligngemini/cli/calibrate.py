"""`aligngemini calibrate`: thresholds that keep a promise, set on the user's own photos."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, open_share

if TYPE_CHECKING:
    from aligngemini.calibration import CalibrationFile
    from aligngemini.evaluation.labelled import Labelled

DESCRIPTION = """Set thresholds on your own photos, so that few of them are called fake: guaranteed.

Judges photos that you know to be real and moves the thresholds until the promise
holds: with the confidence asked for, no more than the share asked for of all such
photos is called fake by the verdict, all branches taken together. AI images (--fake)
add how many of those are found, and let the branches share the false alarms out to
find most. The result is a small file for detect --calibration.
"""

EPILOG = """what is promised, and what is not:
  The promise holds for photos like those given: from the same cameras, sites and
  software. About other photos it says nothing; --group-by shows how much that
  matters, and takes thresholds that hold in every group large enough.
  The file fits the very models and the rule it was made with, and no others.

how many photos it takes:
  1 %% false alarms with 95 %% confidence: 299 photos; 5 %%: 59; 0.1 %%: 2,995.
  With more, thresholds need not lie above every single photo.

exit codes:
  0    the file is written
  1    it is, but some images could not be judged and were not counted
  2    wrong usage or configuration, or too few photos

Needs the evaluate extra: pip install "aligngemini[evaluate]"

examples:
  aligngemini calibrate --real archive/2024 --out ours.json
  aligngemini detect new.jpg --calibration ours.json
  aligngemini calibrate --real archive/ --fake known-ai/ --max-false-alarms 0.005 \\
      --confidence 0.99 --out ours.json
  aligngemini calibrate --manifest images.csv --group-by source,format --out ours.json
""".replace("%%", "%")

SIZES = ((0.5e6, "under 0.5 MP"), (2e6, "0.5 to 2 MP"), (8e6, "2 to 8 MP"))
LARGEST = "over 8 MP"


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    if bool(given.manifest) == bool(given.real):
        parser.error("say what to calibrate on: either --real (and --fake), or --manifest")
    if given.manifest and given.fake:
        parser.error("--fake goes with --real; a manifest names both classes")
    try:
        checks.outputs([given.scores or ""], out=given.out, report=None, heatmaps=None)
        detector_options.check(given)
        named = given.pixel or given.gamma or given.semantic != "off"
        if given.scores is not None and named:
            raise checks.UsageError(
                "--scores", "judged already; leave --pixel, --semantic and --gamma out"
            )
    except checks.UsageError as error:
        parser.error(str(error))
    try:
        import scipy  # type: ignore[import-untyped]  # noqa: F401 - its absence is to be said
        import sklearn  # noqa: F401
    except ImportError as error:
        return _fail(
            f'{error.name} is not installed; pip install "aligngemini[evaluate]" brings what '
            "calibrating needs"
        )
    from aligngemini.calibration import CalibrationError
    from aligngemini.datasets.manifest import ManifestError
    from aligngemini.evaluation.guarantee import TooFewPhotosError
    from aligngemini.evaluation.labelled import RecordsError
    from aligngemini.fusion import FusionError
    from aligngemini.isolation import WorkerStartError

    try:
        return _calibrate(given)
    except (CalibrationError, FusionError, ManifestError, RecordsError, TooFewPhotosError) as error:
        return _fail(str(error))
    except BrokenPipeError:
        raise  # an OSError, and no failure: cli.main ends quietly
    except (WorkerStartError, OSError) as error:
        return _fail(str(error))


def _calibrate(given: Any) -> int:
    from dataclasses import replace
    from datetime import datetime, timezone

    from aligngemini.calibration import write_calibration
    from aligngemini.cli.judged import judge_rows, say_left_out
    from aligngemini.evaluation.calibrate import Promise, calibrate
    from aligngemini.evaluation.labelled import join_labels, read_records
    from aligngemini.fusion import open_rule

    rule = open_rule(given.fusion)
    rows = _rows(given)
    if not any(row.label == "real" for row in rows):
        return _fail("found no photo to calibrate on")
    if given.scores is None:
        options = detector_options.options_of(given)
        kept = given.out.with_suffix(".scores.jsonl")
        verdicts = judge_rows(rows, options, kept, workers=given.workers, timeout=given.timeout)
    else:
        verdicts = read_records(given.scores)
    joined = join_labels(rows, verdicts)
    say_left_out(joined)
    groups = _groups(given.group_by, joined.images)
    file = calibrate(
        joined.images,
        rule,
        Promise(given.max_false_alarms, given.confidence),
        groups=groups,
        scaling=given.scaling,
    )
    where = str(given.manifest) if given.manifest else ", ".join(given.real)
    counted = f"{file.photos} photos" + (f" and {file.fakes} fakes" if file.fakes else "")
    today = datetime.now(timezone.utc).date().isoformat()
    file = replace(file, made=today, fitted_on=f"{counted} of {where}")
    write_calibration(file, given.out)
    _print(file, given.out)
    unjudged = any(image.verdict.verdict is None for image in joined.images) or joined.rows_left
    return checks.SOME_NOT_JUDGED if unjudged else 0


def _rows(given: Any) -> "list[Any]":
    from aligngemini.datasets.manifest import Row, read_manifest
    from aligngemini.images.sources import expand

    if given.manifest:
        return read_manifest(given.manifest)
    labelled = (("real", given.real), ("fake", given.fake))
    return [
        Row(item.path, label, source=str(Path(item.path).parent))
        for label, names in labelled
        for item in expand(names)
    ]


def _groups(columns: Sequence[str], images: "Sequence[Labelled]") -> "dict[str, Any]":
    """The group of each image, by column.

    Raises:
        CalibrationError: No row has such a column.
    """
    import numpy as np

    from aligngemini.calibration import CalibrationError

    found = {}
    for column in columns:
        values = [_group(column, image) for image in images]
        if not any(values):
            raise CalibrationError(
                f"--group-by {column}: no such column; there are format, size, source and those "
                "of the manifest"
            )
        found[column] = np.array([value or "not given" for value in values])
    return found


def _group(column: str, image: "Labelled") -> str:
    verdict, row = image.verdict, image.row
    if column == "format":
        return verdict.format or ""
    if column == "size":
        pixels = (verdict.width or 0) * (verdict.height or 0)
        return next((name for most, name in SIZES if pixels < most), LARGEST) if pixels else ""
    if column in ("source", "generator", "split"):
        return str(getattr(row, column))
    return str(row.extra.get(column, ""))


def _print(file: "CalibrationFile", out: Path) -> None:
    from aligngemini.report.words import share

    print(
        f"{out}: at most {_percent(file.max_false_alarms)} of photos like these are called fake, "
        f"with {_percent(file.confidence)} confidence\n"
        f"  set on           {file.fitted_on}\n"
        f"  photos           {file.alarms} of {file.photos} called fake "
        f"({share(file.alarms / file.photos)})"
    )
    if file.recall is not None:
        print(f"  fakes            {share(file.recall)} of {file.fakes} called fake")
    for name, branch in file.branches.items():
        alone = "none" if branch.alone is None else f"{branch.alone:.3f}"
        print(f"  {name:16} fake from {branch.threshold:.3f} up (by itself: {alone})")
        for scaling, quality in branch.quality.items():
            mark = " (taken)" if scaling == (branch.scaling or "as is") else ""
            print(f"    {scaling:14} ECE {quality.ece:.3f}, Brier {quality.brier:.3f}{mark}")
    for group in file.groups:
        held = "holds here too" if group.promised else "does not hold here by itself"
        print(
            f"  {group.column} {group.value}: {group.alarms} of {group.photos} called fake, "
            f"at most {_percent(group.bound)}: {held}"
        )
    print(
        "It holds for photos like these alone. Use it with the same models: "
        f"aligngemini detect --calibration {out}"
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"


def _fail(message: str) -> int:
    print(f"aligngemini calibrate: {message}", file=sys.stderr)
    return checks.WRONG_USE


def _columns(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini calibrate",
        usage="aligngemini calibrate --real PATH --out FILE.json [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    paths: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "PATH"}
    add("--real", help="photos that you know to be real: files, folders, quoted patterns", **paths)
    add("--fake", help="AI images, likewise", **paths)
    add("--manifest", type=Path, metavar="FILE", help="images and their labels, instead")
    add(
        "--scores",
        type=Path,
        metavar="FILE.jsonl",
        help="records of detect --format jsonl on these images; without it they are judged first",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="calibration to write; a file there is replaced",
    )
    add = parser.add_argument_group("what to promise").add_argument
    add(
        "--max-false-alarms",
        type=open_share,
        default=0.01,
        metavar="RATE",
        help="share of photos that may be called fake (default: 0.01)",
    )
    add(
        "--confidence",
        type=open_share,
        default=0.95,
        metavar="SHARE",
        help="that no larger share is (default: 0.95)",
    )
    add(
        "--group-by",
        type=_columns,
        default=[],
        metavar="COLUMN,...",
        help="hold the promise in every group of these columns that has photos enough: source, "
        "format, size, or any column of the manifest",
    )
    add(
        "--scaling",
        choices=("temperature", "isotonic"),
        help="also make probabilities of the scores, for which AI images are needed",
    )
    group = parser.add_argument_group("how to judge; detect has to be given the same models")
    detector_options.add_models(group)
    detector_options.add_running(group)
    return parser
