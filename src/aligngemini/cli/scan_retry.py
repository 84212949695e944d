"""`aligngemini scan retry`: another try for what failed."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser

DESCRIPTION = """Try again what failed in a store's scans, as they were asked for.

Sources and detector are those of the scans that left the errors. A verdict is never
replaced; an error is, by whatever comes of this try.
"""

EPILOG = """errors:
  Without codes, those that another try may not meet: timeout, crashed, unavailable,
  internal, unreadable and not-found; also where a branch failed beside a verdict. With
  codes, those alone: --errors timeout --errors corrupt

examples:
  aligngemini scan retry --errors --store photos.sqlite
  aligngemini scan retry --errors timeout --timeout 300 --store photos.sqlite
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini scan retry",
        usage="aligngemini scan retry --errors [CODE] --store FILE [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--store", type=Path, required=True, metavar="FILE", help="the scan's")
    add(
        "--errors",
        nargs="?",
        const="",
        action="append",
        required=True,
        metavar="CODE",
        help="which errors; see below",
    )
    detector_options.add_running(parser)
    add("--metrics", type=Path, metavar="FILE.prom", help="as of scan")
    given = parser.parse_args(arguments)

    from aligngemini.cli.scan_run import Running, run
    from aligngemini.scan.run import PASSING
    from aligngemini.scan.status import failed_requests
    from aligngemini.scan.store import Store, StoreError

    codes = tuple(code for code in given.errors if code) or PASSING
    try:
        with Store(given.store) as store:
            requests = failed_requests(store, codes)
    except StoreError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return checks.WRONG_USE
    if not requests:
        print("nothing to try again", file=sys.stderr)
        return checks.ALL_JUDGED
    running = Running(
        store=given.store.resolve(),
        workers=given.workers,
        timeout=given.timeout,
        metrics=given.metrics and given.metrics.resolve(),
        retry=codes,
    )
    code = checks.ALL_JUDGED
    for request in requests:
        try:
            os.chdir(request.folder)  # relative paths of models count from there
        except OSError as error:
            print(f"{parser.prog}: {request.folder}: {error.strerror}", file=sys.stderr)
            return checks.WRONG_USE
        detector = replace(request.detector, device=given.device)
        code = max(code, run(replace(request, detector=detector), running, prog=parser.prog))
    return code
