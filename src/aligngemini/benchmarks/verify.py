"""What counting files does not tell: published hashes, and the same image twice."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aligngemini.benchmarks.base import Benchmark
from aligngemini.datasets.manifest import Row

_HEAD = 4096
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Hashes:
    """How published hashes compare.

    Attributes:
        published: How many files there are a hash for.
        right: Files whose hash is the published one.
        wrong: Files whose is not, or that cannot be read, in words.
    """

    published: int
    right: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Duplicates:
    """Files of equal content.

    Attributes:
        groups: Paths of equal files, two or more each.
        both_classes: Those of them with a photo and a fake.
        unreadable: Files that could not be compared.
    """

    groups: list[list[str]]
    both_classes: list[list[str]]
    unreadable: list[str]


def check_hashes(
    benchmark: Benchmark,
    root: Path,
    rows: Iterable[Row],
    *,
    step: Callable[[], None] = lambda: None,
) -> Hashes:
    """Compare images and archives with the MD5 that the benchmark's authors publish.

    Args:
        benchmark: Of which `archives` and `checksums` count.
        root: Its folder; archives are looked for there, one above and one below.
        rows: Its images.
        step: Called after each file.

    Raises:
        BenchmarkError: A published table cannot be read.
    """
    published = benchmark.checksums(root) if benchmark.checksums is not None else {}
    files = [(row.path, published.get(os.path.basename(row.path))) for row in rows]  # noqa: PTH119
    for name, md5 in benchmark.archives.items():
        places = (root.parent / name, root / name, *root.glob(f"*/{name}"))
        files += [(str(path), md5) for path in places if path.is_file()]
    hashes = Hashes(len(published) + len(benchmark.archives))
    right = 0
    for path, expected in files:
        if expected is None:
            continue
        found = _hash(path, hashlib.md5(usedforsecurity=False))
        step()
        if found == expected:
            right += 1
        else:
            why = "cannot be read" if found is None else "differs from the published file"
            hashes.wrong.append(f"{path} {why}")
    return Hashes(hashes.published, right, hashes.wrong)


def find_duplicates(rows: Iterable[Row], *, step: Callable[[], None] = lambda: None) -> Duplicates:
    """Find files of equal content.

    Only files of equal length are opened, and only those of equal beginning are read whole.

    Args:
        rows: Images; a path listed twice counts once.
        step: Called for each file that is opened.
    """
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(row.path, set()).add(row.label)
    unreadable: list[str] = []

    def split(paths: Iterable[str], key: Callable[[str], object]) -> list[list[str]]:
        groups: dict[object, list[str]] = {}
        for path in paths:
            value = key(path)
            if value is None:
                unreadable.append(path)
            else:
                groups.setdefault(value, []).append(path)
        return [group for group in groups.values() if len(group) > 1]

    def head(path: str) -> str | None:
        step()
        return _hash(path, hashlib.sha256(), limit=_HEAD)

    groups = [
        equal
        for same_size in split(labels, _size)
        for alike in split(same_size, head)
        for equal in split(alike, lambda path: _hash(path, hashlib.sha256()))
    ]
    both = [group for group in groups if len(set().union(*(labels[path] for path in group))) > 1]
    both += [[path] for path, names in labels.items() if len(names) > 1]
    return Duplicates(groups, both, unreadable)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - texts are faster than paths here
    except OSError:
        return None


def _hash(path: str, digest: "hashlib._Hash", *, limit: int | None = None) -> str | None:
    """Hash of a regular file's content or of its first bytes; None where it cannot be read."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - a pipe would wait for a writer
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            if limit is not None:
                digest.update(file.read(limit))
            else:
                while block := file.read(_BLOCK):
                    digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
