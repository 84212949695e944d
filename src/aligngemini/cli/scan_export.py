"""`aligngemini scan export`: a store's records as files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli import checks
from aligngemini.cli.parser import Parser, positive_int

if TYPE_CHECKING:
    from aligngemini.scan.status import KnownDetector
    from aligngemini.scan.store import Store

DESCRIPTION = """Write what a store holds into a file.

jsonl and csv are those of aligngemini detect; parquet has the most asked for in columns,
and the whole record as JSON. html is a page with the images that say fake and then those
with the highest scores, and the counts of the rest. groups is JSON Lines: a group of
near-duplicates a line, with all places each was found in; it takes a scan with
--near-duplicates.
"""

EPILOG = """The file appears when it is whole. A store that is being scanned into can be
exported: the file has what was there at the beginning.

examples:
  aligngemini scan export jsonl --store photos.sqlite --out photos.jsonl
  aligngemini scan export html --store photos.sqlite --out highest.html --most 500
"""

FORMATS = ("parquet", "csv", "jsonl", "html", "groups")
MOST = 200


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini scan export",
        usage="aligngemini scan export FORMAT --store FILE --out FILE [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("format", choices=FORMATS, metavar="FORMAT", help="parquet, csv, jsonl, html or groups")
    add("--store", type=Path, required=True, metavar="FILE", help="the scan's")
    add("--out", type=Path, required=True, metavar="FILE", help="replaced if it is there")
    add(
        "--detector",
        metavar="FINGERPRINT",
        help="whose verdicts, where several judged (default: the latest)",
    )
    add(
        "--most",
        type=positive_int,
        default=MOST,
        metavar="N",
        help=f"images on the page of html (default: {MOST})",
    )
    given = parser.parse_args(arguments)
    try:
        checks.outputs([str(given.store)], out=given.out, report=None, heatmaps=None)
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.scan.status import find_detector
    from aligngemini.scan.store import Store, StoreError

    try:
        with Store(given.store) as store:
            detector = find_detector(store, given.detector)
            if given.format == "html":
                done = _page(store, detector, given.out, given.most)
            elif given.format == "groups":
                done = _groups(store, given.out)
            else:
                done = _table(store, detector, given.out, given.format)
    except (StoreError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return checks.WRONG_USE
    except ImportError as error:
        print(f"{parser.prog}: {error}: pip install 'aligngemini[scan]'", file=sys.stderr)
        return checks.WRONG_USE
    print(f"{done} Written to {given.out}.", file=sys.stderr)
    return checks.ALL_JUDGED


def _table(store: "Store", detector: "KnownDetector", out: Path, kind: str) -> str:
    """Write all rows; says how many."""
    from collections.abc import Iterator

    from aligngemini.cli.progress import progress
    from aligngemini.cli.records import Csv
    from aligngemini.report.files import replacing
    from aligngemini.scan.export import Row, rows, write_jsonl, write_parquet

    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows(store, detector):
            yield row
            count += 1
            step()

    with replacing(out) as file, progress(None, text="Writing") as step:
        if kind == "jsonl":
            write_jsonl(counted(), file)
        elif kind == "parquet":
            write_parquet(counted(), file, detector)
        else:
            models = detector.about["models"]
            experts = sum(name.partition("-")[0] == "pixel" for name in models)
            table = Csv(file, max(1, experts), gamma="gamma" in models)
            for row in counted():
                table.add(row.verdict)
    return f"{count:,} inputs."


def _groups(store: "Store", out: Path) -> str:
    """Write the groups of near-duplicates; says how many."""
    from aligngemini.report.files import replacing
    from aligngemini.scan.export import write_groups

    with replacing(out) as file:
        count = write_groups(store, file)
    return f"{count:,} groups."


def _page(store: "Store", detector: "KnownDetector", out: Path, most: int) -> str:
    """Write the page; says what is on it."""
    from datetime import datetime, timezone

    from aligngemini.cli.scan_words import counted_verdicts
    from aligngemini.scan.page import highest, write_page
    from aligngemini.scan.status import read_status

    today = datetime.now(timezone.utc).date().isoformat()
    status = read_status(store, detector, today=today)
    verdicts = highest(store, detector, most)
    parts = [f"{count:,} {text}" for count, text in counted_verdicts(status.verdicts)]
    models = detector.about["models"].items()
    about = {
        "Store": str(store.path),
        "In it": f"{status.total:,} inputs: {', '.join(parts)}",
        "Shown": f"{len(verdicts):,} of {status.contents:,} different images: those with signs of "
        "AI generation first, then by score",
        "Detector": ", ".join(f"{name} {model}" for name, model in models),
        "Fusion": str(detector.about["fusion"]),
        "Calibration": str(detector.about["calibration"] or "none"),
    }
    write_page(verdicts, out, about)
    return f"{len(verdicts):,} of {status.contents:,} different images."
