"""What a benchmark is, and what of it was found on a disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aligngemini.datasets.manifest import Row

SHARED = "*"
"""Subset of photos that all subsets of fakes are measured against."""


class BenchmarkError(ValueError):
    """A benchmark that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Expected:
    """Published counts of a subset.

    Attributes:
        real: Photos. 0 where the subset has none of its own, None where no count is published.
        fake: Generated images, likewise.
    """

    real: int | None = None
    fake: int | None = None


@dataclass(frozen=True)
class Hole:
    """Images that should be there and are not.

    Attributes:
        subset: Where they belong.
        label: `real` or `fake`.
        expected: The published count, or None where only the absence of all is known.
        found: How many are there.
        message: The same in words.
    """

    subset: str
    label: str
    expected: int | None
    found: int
    message: str


@dataclass(frozen=True)
class Places:
    """Where to look.

    Attributes:
        root: Folder of the benchmark; for `manifest` the file.
        real_root: Folder of photos that are kept apart, or None.
        work: Folder to unpack archives into, or None for no unpacking.
        step: Called after each folder and each unpacked image.
    """

    root: Path
    real_root: Path | None = None
    work: Path | None = None
    step: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Listing:
    """What a benchmark's finder saw.

    Attributes:
        rows: The images, each with `extra["subset"]`.
        extra: Folders and files that were not understood, in words.
        notes: What else a reader of the numbers must know.
        expected: Counts that the place itself states and that replace the published ones, or None.
    """

    rows: list[Row]
    extra: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    expected: Mapping[str, Expected] | None = None


@dataclass(frozen=True)
class Benchmark:
    """A public benchmark.

    Attributes:
        name: For the command line.
        title: As its authors spell it.
        paper: Where it was published.
        licence: Of the images, as far as known.
        how_to_get: Where it is downloaded.
        layout: The folders as published.
        protocol: How published numbers came about.
        expected: Published counts by subset, all subsets in the order of tables. The subset `*`
            stands for photos that all others share.
        find: Lists the images.
        fake_only: It was published without photos: the figure is the detection rate.
        jpeg96: The published numbers have the fakes saved as JPEG of quality 96.
        folders: Further names that the benchmark's own folder goes by.
        archives: MD5 of archives whose hash is published, by file name.
        checksums: Reads MD5 of images from a published table in the root, by file name.
    """

    name: str
    title: str
    paper: str
    licence: str
    how_to_get: str
    layout: str
    protocol: str
    expected: Mapping[str, Expected]
    find: Callable[[Places], Listing]
    fake_only: bool = False
    jpeg96: bool = False
    folders: tuple[str, ...] = ()
    archives: Mapping[str, str] = field(default_factory=dict)
    checksums: Callable[[Path], Mapping[str, str]] | None = None


@dataclass(frozen=True)
class Found:
    """What of a benchmark is there.

    Attributes:
        rows: The images; `extra["subset"]` is the canonical name, `generator` that of the fakes.
        holes: What is missing.
        extra: Folders and files that were not understood, and images left out of the protocol.
        notes: What else a reader of the numbers must know.
    """

    rows: list[Row]
    holes: list[Hole]
    extra: list[str]
    notes: list[str]
