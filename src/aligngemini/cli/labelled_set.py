"""A labelled set as several commands take one: SET, or photos and fakes by themselves."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli.parser import Parser

if TYPE_CHECKING:
    from aligngemini.datasets.manifest import Row


def add_arguments(parser: Any) -> None:
    """Add SET and the options that say how to read it.

    Args:
        parser: A parser, or a group of one.
    """
    add = parser.add_argument
    add(
        "set",
        nargs="?",
        metavar="SET",
        help="a manifest (.csv or .parquet), or a folder whose subfolders name the classes, such "
        "as 0_real and 1_fake",
    )
    add(
        "--benchmark",
        metavar="NAME",
        help="read SET as a public benchmark; aligngemini evaluate list names them",
    )
    add(
        "--real-root",
        type=Path,
        metavar="DIR",
        help="photos of a benchmark that publishes fakes only",
    )
    add("--real", action="append", metavar="PHOTOS", help="file or folder; may be given again")
    add("--fake", action="append", metavar="FAKES", help="file or folder; may be given again")


def check(parser: Parser, given: Any, what: str) -> None:
    """End with a usage error unless either a set or both classes are given.

    Args:
        parser: Whose error it would be.
        given: Parsed arguments.
        what: The command's verb.
    """
    classes = bool(given.real), bool(given.fake)
    if any(classes) if given.set else not all(classes):
        parser.error(f"say what to {what}: either SET, or both --real and --fake")
    if given.set is None and (given.benchmark or given.real_root):
        parser.error("--benchmark and --real-root say how to read SET; leave them out")


def name_of(given: Any) -> str:
    """What to call the set."""
    return given.set or f"{', '.join(given.real)} and {', '.join(given.fake)}"


def read_set(given: Any) -> "list[Row]":
    """The images with their labels; what is missing or odd is said on standard error.

    Raises:
        BenchmarkError: (a ValueError) The set cannot be read as it should be.
        ManifestError: (a ValueError) Its manifest cannot be used.
    """
    if given.set is None:
        return [*_listed(given.real, "real"), *_listed(given.fake, "fake")]
    from aligngemini.benchmarks import discover, open_benchmark
    from aligngemini.datasets.manifest import read_manifest

    place = Path(given.set)
    if given.benchmark is None and not place.is_dir():
        return read_manifest(place)
    benchmark = open_benchmark(given.benchmark or "folder")
    found = discover(benchmark, place, real_root=given.real_root)
    for what in (*found.notes, *(hole.message for hole in found.holes)):
        print(what, file=sys.stderr)
    return found.rows


def _listed(inputs: Sequence[str], label: str) -> "list[Row]":
    from aligngemini.datasets.manifest import Row
    from aligngemini.images.sources import Skipped, expand

    skipped = Skipped()
    rows = [Row(item.path, label) for item in expand(inputs, skipped=skipped)]
    if skipped.count:
        print(f"Left out, no images: {skipped.count} files.", file=sys.stderr)
    return rows
