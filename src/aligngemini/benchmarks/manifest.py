"""A manifest as a benchmark: the table says what should be there."""

import os
from collections import Counter
from dataclasses import replace

from aligngemini.benchmarks.base import (
    SHARED,
    Benchmark,
    BenchmarkError,
    Expected,
    Listing,
    Places,
)
from aligngemini.benchmarks.folder import ALL
from aligngemini.benchmarks.layout import find_photos
from aligngemini.datasets.manifest import ManifestError, Row, read_manifest

NAMES = ("manifest.parquet", "manifest.csv")


def find(places: Places) -> Listing:
    """List the rows whose file is there; the others are what is missing.

    The subset is the column `subset`, else the generator; photos without either are shared.

    Raises:
        BenchmarkError: There is no manifest, or it cannot be used.
    """
    path = places.root
    if path.is_dir():
        path = next((path / name for name in NAMES if (path / name).is_file()), path / NAMES[0])
    try:
        rows = [_with_subset(row) for row in read_manifest(path)]
    except ManifestError as error:
        raise BenchmarkError(str(error)) from error
    counts = Counter((str(row.extra["subset"]), row.label) for row in rows)
    expected = {
        subset: Expected(counts[subset, "real"], counts[subset, "fake"])
        for subset in dict.fromkeys(subset for subset, _ in counts)
    }
    there = [row for row in rows if os.path.isfile(row.path)]  # noqa: PTH113 - never raises
    photos = find_photos(places, "manifest")
    return Listing([*there, *photos], expected=expected)


def _with_subset(row: Row) -> Row:
    subset = str(row.extra.get("subset") or row.generator or (ALL if row.label == "fake" else ""))
    return replace(row, extra={**row.extra, "subset": subset or SHARED})


BENCHMARK = Benchmark(
    name="manifest",
    title="A manifest of your own",
    paper="",
    licence="",
    how_to_get="yours",
    layout="a .csv or .parquet with the columns path and label",
    protocol="",
    expected={},
    find=find,
)
