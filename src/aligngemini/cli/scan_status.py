"""`aligngemini scan status`: what is in a store."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import checks
from aligngemini.cli.parser import Parser

if TYPE_CHECKING:
    from aligngemini.calibration.drift import ScoreHistogram
    from aligngemini.scan.status import KnownDetector, Status

DESCRIPTION = """Say what is in a store: inputs by verdict, errors by code, drift of the scores.

A store that is being scanned into can be asked too.
"""

EPILOG = """drift:
  Each day's scores are compared with those of the days before, branch by branch; today,
  which is not over, is left out. A warning means that the images have changed, or what
  happens to them on their way; then thresholds may no longer hold what they promise.
  Where all that comes in is photos, --photos-like compares with the calibration's.

exit codes:
  0    every input has a verdict
  1    some could not be judged
  2    wrong usage, or there is no such store

examples:
  aligngemini scan status --store photos.sqlite
  aligngemini scan status --store photos.sqlite --json | jq .errors
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini scan status",
        usage="aligngemini scan status --store FILE [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--store", type=Path, required=True, metavar="FILE", help="the scan's")
    add(
        "--detector",
        metavar="FINGERPRINT",
        help="whose verdicts, where several judged (default: the latest)",
    )
    add(
        "--photos-like",
        type=Path,
        metavar="CALIBRATION",
        help="the calibration that the scan used, if all inputs should be photos like those it was "
        "set on",
    )
    add("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)

    from aligngemini.calibration import CalibrationError
    from aligngemini.scan.status import find_detector, read_status
    from aligngemini.scan.store import Store, StoreError

    try:
        with Store(given.store) as store:
            detector = find_detector(store, given.detector)
            references = _references(given.photos_like, detector)
            today = datetime.now(timezone.utc).date().isoformat()
            status = read_status(store, detector, today=today, references=references)
    except (StoreError, CalibrationError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return checks.WRONG_USE
    print(json.dumps(_to_dict(status), indent=2) if given.json else "\n".join(_lines(status)))
    return checks.SOME_NOT_JUDGED if status.errors else checks.ALL_JUDGED


def _references(path: Path | None, detector: "KnownDetector") -> "dict[str, ScoreHistogram] | None":
    """The photos' scores of a calibration.

    Raises:
        CalibrationError: It is not the one that the scan used, or has none.
    """
    if path is None:
        return None
    from aligngemini.calibration import CalibrationError, read_calibration
    from aligngemini.calibration.drift import ScoreHistogram

    file = read_calibration(path)
    if file.guarantee.name != detector.about["calibration"]:
        used = detector.about["calibration"] or "none"
        raise CalibrationError(f"{path} is not the calibration of this scan, which is: {used}")
    if not file.reference:
        raise CalibrationError(f"{path} does not hold the photos' scores: calibrate again")
    return {name: ScoreHistogram.from_dict(counts) for name, counts in file.reference.items()}


def _lines(status: "Status") -> list[str]:
    from aligngemini.cli.scan_words import counted_verdicts
    from aligngemini.scan.run import PASSING

    about = status.detector.about
    models = ", ".join(f"{name} {model}" for name, model in about["models"].items())
    lines = [
        f"{status.total:,} inputs, {status.contents:,} different ones judged.",
        *(f"  {count:>12,}  {text}" for count, text in counted_verdicts(status.verdicts)),
        f"Detector {status.detector.fingerprint}: {models}; fusion {about['fusion']}; "
        f"calibration {about['calibration'] or 'none'}.",
    ]
    if status.others:
        lines.append(f"Judged here too: {', '.join(status.others)} (--detector shows them).")
    if status.errors:
        lines += ["No verdict, by reason:", *_counts(status.errors)]
    if status.branch_errors:
        lines += ["A verdict, but a branch of it failed:", *_counts(status.branch_errors)]
    if {*status.errors, *status.branch_errors} & set(PASSING):
        lines.append("aligngemini scan retry --errors tries again what may work by now.")
    for branch, days in status.drift.items():
        lines += [
            f"Drift, {branch}, {day}: {one.sentence}." for day, one in days.items() if one.warned
        ]
    return lines


def _counts(counts: "dict[str, int]") -> list[str]:
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    return [f"  {count:>12,}  {code}" for code, count in ordered]


def _to_dict(status: "Status") -> dict[str, Any]:
    return {
        "inputs": status.total,
        "contents": status.contents,
        "detector": {"fingerprint": status.detector.fingerprint, **status.detector.about},
        "others": status.others,
        "verdicts": dict(status.verdicts),
        "errors": dict(status.errors),
        "branch_errors": dict(status.branch_errors),
        "drift": {
            branch: {
                day: {"warned": one.warned, "p_value": one.p_value, "effect": one.effect}
                for day, one in days.items()
            }
            for branch, days in status.drift.items()
        },
    }
