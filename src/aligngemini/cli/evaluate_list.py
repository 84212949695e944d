"""`aligngemini evaluate list`: the benchmarks, how to get them, licence, counts."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aligngemini.cli.checks import ALL_JUDGED, WRONG_USE
from aligngemini.cli.parser import Parser

if TYPE_CHECKING:
    from aligngemini.benchmarks import Benchmark, Expected

DESCRIPTION = """List the benchmarks that evaluate knows, or all that is known of one.

Nothing is downloaded: most ask for a form, a mail or a licence first. Get the images
as described, then see what arrived with aligngemini evaluate verify.
"""

EPILOG = """examples:
  aligngemini evaluate list
  aligngemini evaluate list drct-2m
  aligngemini evaluate list --json
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(prog="aligngemini evaluate list", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a benchmark (default: all)")
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    from aligngemini.benchmarks import BENCHMARKS, BenchmarkError, open_benchmark

    try:
        one = open_benchmark(given.name) if given.name else None
    except BenchmarkError as error:
        print(f"aligngemini evaluate list: {error}", file=sys.stderr)
        return WRONG_USE
    if given.json:
        facts = _facts(one) if one else [_facts(each) for each in BENCHMARKS.values()]
        print(json.dumps(facts, indent=2))
    elif one:
        _print_one(one)
    else:
        _print_all(list(BENCHMARKS.values()))
    return ALL_JUDGED


def _facts(benchmark: "Benchmark") -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "paper": benchmark.paper,
        "licence": benchmark.licence,
        "how_to_get": benchmark.how_to_get,
        "layout": benchmark.layout,
        "protocol": benchmark.protocol,
        "fake_only": benchmark.fake_only,
        "jpeg96": benchmark.jpeg96,
        "expected": {
            subset: {"real": counts.real, "fake": counts.fake}
            for subset, counts in benchmark.expected.items()
        },
    }


def _print_all(benchmarks: "Sequence[Benchmark]") -> None:
    for benchmark in benchmarks:
        print(f"{benchmark.name}: {benchmark.title}, {summary(benchmark)}")
        if benchmark.licence:
            print(f"    get it:  {benchmark.how_to_get}\n    licence: {benchmark.licence}")
    print("\nThe layout and the counts of one: aligngemini evaluate list NAME")


def _print_one(benchmark: "Benchmark") -> None:
    for name, text in (
        ("title", benchmark.title),
        ("paper", benchmark.paper),
        ("licence", benchmark.licence),
        ("get it", benchmark.how_to_get),
        ("layout", benchmark.layout),
        ("protocol", benchmark.protocol),
        ("images", summary(benchmark)),
    ):
        if text:
            print(f"{name:9} {text}")
    width = max((len(subset) for subset in benchmark.expected), default=0)
    for subset, counts in benchmark.expected.items():
        name = "shared" if subset == "*" else subset
        print(f"  {name:{width}}  {_counts(counts)}")


def summary(benchmark: "Benchmark") -> str:
    """Subsets and published numbers of images in a line."""
    from aligngemini.benchmarks import SHARED

    if not benchmark.expected:
        return benchmark.layout
    subsets = sum(name != SHARED for name in benchmark.expected)
    parts = [f"{subsets} subset{'s' * (subsets != 1)}"]
    for label, kind in (("real", "photos"), ("fake", "fakes")):
        counts = [getattr(expected, label) for expected in benchmark.expected.values()]
        known = [count for count in counts if count]
        if known:
            where = f" in {len(known)} of them" if None in counts else ""
            parts.append(f"{sum(known):,} {kind}{where}")
        elif None in counts:
            parts.append(f"number of {kind} not published")
    if benchmark.fake_only:
        parts.append("no photos of its own")
    return ", ".join(parts)


def _counts(expected: "Expected") -> str:
    parts = []
    for count, kind in ((expected.real, "photos"), (expected.fake, "fakes")):
        if count is None:
            parts.append(f"{kind} (number not published)")
        elif count:
            parts.append(f"{count:,} {kind}")
    return ", ".join(parts)
