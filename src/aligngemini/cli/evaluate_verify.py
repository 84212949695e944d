"""`aligngemini evaluate verify`: what of a benchmark is on a disk, and what is missing."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.parser import Parser
from aligngemini.cli.progress import progress

if TYPE_CHECKING:
    from aligngemini.benchmarks import Benchmark, Found
    from aligngemini.benchmarks.verify import Duplicates, Hashes

SHOWN = 20

DESCRIPTION = """Say what of a benchmark is on this disk, and what is missing.

The folders may have other cases, separators and folders in between than published.
Photos and fakes of each subset are counted and compared with the published numbers;
folders that belong to nothing are named. No image is opened unless --hashes or
--duplicates ask for it.
"""

EPILOG = """exit codes:
  0    all that is published is there
  1    something is missing, or a file is not the published one
  2    wrong usage, or the folder cannot be read

examples:
  aligngemini evaluate verify --benchmark genimage --root data/GenImage
  aligngemini evaluate verify --benchmark synthbuster --root sb --real-root RAISE-1k
  aligngemini evaluate verify --benchmark bfree-online --root B-Free --hashes
  aligngemini evaluate verify --benchmark aigi-now --root AIGI-Now --work unpacked
  aligngemini evaluate verify --benchmark folder --root mine --duplicates
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    from aligngemini.benchmarks import BenchmarkError, discover, open_benchmark
    from aligngemini.benchmarks.verify import check_hashes, find_duplicates

    hashes, duplicates = None, None
    try:
        benchmark = open_benchmark(given.benchmark)
        with progress(None, text="Listing folders") as step:
            found = discover(
                benchmark, given.root, real_root=given.real_root, work=given.work, step=step
            )
        if given.hashes:
            with progress(None, text="Hashing") as step:
                hashes = check_hashes(benchmark, given.root, found.rows, step=step)
        if given.duplicates:
            with progress(None, text="Comparing") as step:
                duplicates = find_duplicates(found.rows, step=step)
    except BenchmarkError as error:
        print(f"aligngemini evaluate verify: {error}", file=sys.stderr)
        return WRONG_USE
    if given.json:
        print(json.dumps(_facts(benchmark, found, hashes, duplicates), indent=2))
    else:
        _print(benchmark, found, hashes, duplicates)
    whole = not found.holes and bool(found.rows) and not (hashes and hashes.wrong)
    return ALL_JUDGED if whole else SOME_NOT_JUDGED


def _facts(
    benchmark: "Benchmark",
    found: "Found",
    hashes: "Hashes | None",
    duplicates: "Duplicates | None",
) -> dict[str, Any]:
    counts = Counter((str(row.extra["subset"]), row.label) for row in found.rows)
    subsets = dict.fromkeys([*benchmark.expected, *(subset for subset, _ in counts)])
    return {
        "benchmark": benchmark.name,
        "found": {
            subset: {"real": counts[subset, "real"], "fake": counts[subset, "fake"]}
            for subset in subsets
        },
        "holes": [asdict(hole) for hole in found.holes],
        "extra": found.extra,
        "notes": found.notes,
        "hashes": asdict(hashes) if hashes else None,
        "duplicates": asdict(duplicates) if duplicates else None,
    }


def _print(
    benchmark: "Benchmark",
    found: "Found",
    hashes: "Hashes | None",
    duplicates: "Duplicates | None",
) -> None:
    from aligngemini.report.words import printable

    counts = Counter((str(row.extra["subset"]), row.label) for row in found.rows)
    subsets = dict.fromkeys([*benchmark.expected, *(subset for subset, _ in counts)])
    width = max((len(subset) for subset in subsets), default=0)
    print(f"{benchmark.title}: {len(found.rows):,} images")
    for subset in subsets:
        name = "shared" if subset == "*" else printable(subset)
        real, fake = counts[subset, "real"], counts[subset, "fake"]
        print(f"  {name:{max(width, 6)}}  {real:>9,} photos  {fake:>9,} fakes")
    _print_list("missing", [hole.message for hole in found.holes])
    _print_list("set aside", found.extra)
    _print_list("note", found.notes)
    if hashes is not None:
        if hashes.published:
            print(f"hashes: {hashes.right:,} right of {hashes.published:,} published")
        else:
            print("hashes: none are published")
        _print_list("not the published file", hashes.wrong)
    if duplicates is not None:
        print(f"equal files: {len(duplicates.groups):,} groups")
        _print_list("equal", [", ".join(group) for group in duplicates.groups])
        _print_list("in both classes", [", ".join(group) for group in duplicates.both_classes])
        _print_list("cannot be read", duplicates.unreadable)
    if not found.rows:
        print(f"layout: {benchmark.layout}\nget it: {benchmark.how_to_get}")


def _print_list(title: str, lines: Sequence[str]) -> None:
    from aligngemini.report.words import printable

    for line in lines[:SHOWN]:
        print(f"{title}: {printable(line)}")
    if len(lines) > SHOWN:
        print(f"{title}: and {len(lines) - SHOWN:,} more, see --json")


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini evaluate verify",
        usage="aligngemini evaluate verify --benchmark NAME --root DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add(
        "--benchmark",
        required=True,
        metavar="NAME",
        help="see aligngemini evaluate list; folder and manifest are for sets of your own",
    )
    add("--root", type=Path, required=True, metavar="DIR", help="where it is")
    add("--real-root", type=Path, metavar="DIR", help="folder of photos that are kept apart")
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="unpack webdataset shards into this folder, once",
    )
    add("--hashes", action="store_true", help="compare MD5 where the authors publish it; reads all")
    add("--duplicates", action="store_true", help="find equal files, and files in both classes")
    add("--json", action="store_true", help="for programs; lists are whole")
    return parser
