"""Finding what of a benchmark is on a disk, and what is missing."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from aligngemini.benchmarks.base import (
    SHARED,
    Benchmark,
    BenchmarkError,
    Expected,
    Found,
    Hole,
    Places,
)
from aligngemini.datasets.manifest import LABELS, Row


def discover(
    benchmark: Benchmark,
    root: Path,
    *,
    real_root: Path | None = None,
    work: Path | None = None,
    step: Callable[[], None] = lambda: None,
) -> Found:
    """List the images of a benchmark and compare their number with the published one.

    No image is opened. Hidden files and `__MACOSX` are passed over; links are followed and cannot
    loop.

    Args:
        benchmark: From `open_benchmark`.
        root: Its folder, or one that holds it; for `manifest` a file.
        real_root: Folder of photos, all of them, for benchmarks that publish fakes only.
        work: Folder to unpack webdataset shards into, once; without it they are left packed.
        step: Called after each folder and each unpacked image.

    Raises:
        BenchmarkError: A root is no folder, cannot be read, or lies among the photos.
    """
    if real_root is not None and root.resolve().is_relative_to(real_root.resolve()):
        raise BenchmarkError(f"{root} lies in the folder of photos, {real_root}: keep them apart")
    listing = benchmark.find(Places(root, real_root, work, step))
    counts = Counter((str(row.extra["subset"]), row.label) for row in listing.rows)
    expected = benchmark.expected if listing.expected is None else listing.expected
    return Found(
        rows=listing.rows,
        holes=list(_holes(expected, counts)),
        extra=listing.extra,
        notes=[*listing.notes, *_surplus(expected, counts), *_both_classes(listing.rows)],
    )


def only(found: Found, subsets: Collection[str]) -> Found:
    """A part of what was found: some subsets, and the photos that all share.

    Raises:
        BenchmarkError: None of these subsets is there or missing: a typing error.
    """
    kept = {*subsets, SHARED}
    rows = [row for row in found.rows if row.extra["subset"] in kept]
    holes = [hole for hole in found.holes if hole.subset in kept]
    seen = {str(row.extra["subset"]) for row in found.rows} | {hole.subset for hole in found.holes}
    if unknown := sorted(set(subsets) - seen):
        raise BenchmarkError(f"no subset {', '.join(unknown)}; there are {', '.join(sorted(seen))}")
    return replace(found, rows=rows, holes=holes)


def _holes(
    expected: Mapping[str, Expected], counts: Mapping[tuple[str, str], int]
) -> Iterator[Hole]:
    own_photos = any(label == "real" and name != SHARED for name, label in counts)
    for subset, wanted in expected.items():
        if subset == SHARED and own_photos:
            continue  # a copy that has the photos beside each subset's fakes
        for label in LABELS:
            want, found = getattr(wanted, label), counts.get((subset, label), 0)
            if want == 0 or (found and (want is None or found >= want)):
                continue
            where = f"{subset}: " if subset != SHARED else ""
            kind = "photos" if label == "real" else "fakes"
            if found:
                message = f"{where}{want - found:,} of {want:,} {kind} are missing"
            else:
                message = f"{where}no {kind}" + (f", {want:,} expected" if want else "")
            yield Hole(subset, label, want, found, message)


def _surplus(
    expected: Mapping[str, Expected], counts: Mapping[tuple[str, str], int]
) -> Iterator[str]:
    for (subset, label), found in counts.items():
        want = getattr(expected.get(subset, Expected()), label)
        kind = "photos" if label == "real" else "fakes"
        if want and found > want:
            yield f"{subset}: {found:,} {kind}, though {want:,} are published"


def _both_classes(rows: list[Row]) -> Iterator[str]:
    """Files listed as photo and as fake: by links, or because the layout is ambiguous."""
    identity: dict[str, tuple[int, int]] = {}
    labels: dict[tuple[int, int], set[str]] = {}
    for folder, label in {(_folder(row), row.label) for row in rows}:
        status = os.stat(folder)  # noqa: PTH116 - texts are faster than paths here
        identity[folder] = status.st_dev, status.st_ino
        labels.setdefault(identity[folder], set()).add(label)
    suspects = {folder for folder, key in identity.items() if len(labels[key]) > 1}
    files: dict[str, set[tuple[int, int, str]]] = {"real": set(), "fake": set()}
    for row in rows:
        if _folder(row) in suspects:
            files[row.label].add((*identity[_folder(row)], _name(row)))
    if both := len(files["real"] & files["fake"]):
        yield f"{both:,} files are in both classes"


def _folder(row: Row) -> str:
    return row.path.rpartition(os.sep)[0] or os.curdir


def _name(row: Row) -> str:
    return row.path.rpartition(os.sep)[2]
