"""Folders and their images, a million of them: nothing is opened, links cannot loop."""

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from aligngemini.benchmarks.base import BenchmarkError
from aligngemini.images.sources import SUFFIXES

State = TypeVar("State", bound=Hashable)

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".parquet", ".001", ".z01")
_SHOWN = 5
_MOST_VISITS = 1000  # of one folder: links upon links would otherwise multiply without end


@dataclass(frozen=True)
class Contents(Generic[State]):
    """A folder with images in it.

    Attributes:
        folder: Its path, the walk's root included.
        inside: The same without the root, `/` between the names; empty for the root itself.
        state: What the folders on the way to it said.
        images: File names that end as an image's, sorted.
    """

    folder: str
    inside: str
    state: State
    images: list[str]


@dataclass
class Remains:
    """What a walk came across besides images.

    Attributes:
        archives: Packed files, relative to the root.
        broken: Links to nowhere and folders that cannot be read, in words.
        others: Counts of other files, by suffix.
    """

    archives: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def sentences(self) -> list[str]:
        """All of it in words; the first few of each kind by name."""
        said = []
        if self.archives:
            said.append(f"not unpacked: {some(self.archives)}")
        if self.broken:
            said.append(f"cannot be read: {some(self.broken)}")
        if self.others:
            kinds = some([suffix or "no suffix" for suffix, _ in self.others.most_common()])
            said.append(f"files that are no images: {self.others.total():,} ({kinds})")
        return said


def some(names: list[str]) -> str:
    """A list in a sentence, the tail of a long one as a number."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def walk(
    root: Path,
    start: State,
    enter: Callable[[State, str], State | None],
    remains: Remains,
    *,
    step: Callable[[], None] = lambda: None,
    without: tuple[Path | None, ...] = (),
) -> Iterator[Contents[State]]:
    """Go through a tree of folders in sorted order.

    Hidden entries and `__MACOSX` are passed over. Links are followed, but not to a folder that they
    lie in, and a folder reached twice in the same state is entered once: loops end, and photos
    linked into several subsets count in each.

    Args:
        root: Where to start.
        start: State of the root.
        enter: Gives the state of a folder from that of its parent and its name; None keeps out.
        remains: Takes what is no image.
        step: Called after each folder.
        without: Folders to keep out of, however they are reached; None for none.

    Yields:
        Folders with at least one image.

    Raises:
        BenchmarkError: The root is no folder or cannot be read.
    """
    if not root.is_dir():
        raise BenchmarkError(f"there is no folder {root}")
    waiting: list[tuple[str, str, State, frozenset[tuple[int, int]]]] = []
    waiting.append((str(root), "", start, frozenset()))
    seen: set[tuple[int, int, State]] = set()
    visits: Counter[tuple[int, int]] = Counter()
    barred = {_identity(path) for path in without if path is not None and path.is_dir()}
    while waiting:
        folder, inside, state, above = waiting.pop()
        images: list[str] = []
        folders: list[str] = []
        try:
            identity = _identity(folder)
            key = (*identity, state)
            if key in seen or identity in barred | above or visits[identity] == _MOST_VISITS:
                continue
            seen.add(key)
            visits[identity] += 1
            _sort_out(folder, inside, images, folders, remains)
        except OSError as error:
            if not inside:
                raise BenchmarkError(f"{root} cannot be read: {error.strerror}") from error
            remains.broken.append(f"{inside} ({error.strerror})")
            continue
        for name in sorted(folders, reverse=True):
            state_there = enter(state, name)
            if state_there is not None:
                below = f"{inside}/{name}" if inside else name
                there = f"{folder}{os.sep}{name}"
                waiting.append((there, below, state_there, above | {identity}))
        if images:
            yield Contents(folder, inside, state, sorted(images))
        step()


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)  # noqa: PTH116 - paths are texts here, for speed
    return status.st_dev, status.st_ino


def _sort_out(
    folder: str, inside: str, images: list[str], folders: list[str], remains: Remains
) -> None:
    """Put a folder's entries where they belong."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name[0] == "." or name == "__MACOSX":
                continue
            if entry.is_dir():
                folders.append(name)
                continue
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - as above
            if not entry.is_file():
                remains.broken.append(f"{inside}/{name}".lstrip("/"))
            elif suffix in SUFFIXES:
                images.append(name)
            elif suffix in ARCHIVES:
                remains.archives.append(f"{inside}/{name}".lstrip("/"))
            else:
                remains.others[suffix] += 1
