"""What the user named, one image path after the other."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from aligngemini.evidence import ErrorCode, Problem
from aligngemini.images.formats import sniff
from aligngemini.images.item import ImageError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif"),
    *(".heic", ".heif", ".hif", ".tif", ".tiff", ".gif", ".bmp"),
)
"""Files in folders that are judged by their name alone, whatever turns out to be in them."""

_SNIFFED_BYTES = 4096
_NAMES_KEPT = 5


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        path: As the user named it, or the folder's name joined with the file's. Bytes of a name
            that are not UTF-8 are surrogates, as everywhere in Python.
        problem: Why there is nothing to read there, or None.
        delivery: What happens to the image before it is judged, as `images.deliveries` reads it;
            None leaves it as it is.
    """

    path: str
    problem: Problem | None = None
    delivery: str | None = None


@dataclass
class Skipped:
    """Files in folders that are no images, counted because nothing is dropped in silence.

    Attributes:
        count: How many.
        names: The first few, as paths.
    """

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.names) < _NAMES_KEPT:
            self.names.append(path)


def expand(
    inputs: Sequence[str],
    *,
    stdin: TextIO | None = None,
    skipped: Skipped | None = None,
    also: tuple[str, ...] = (),
) -> Iterator[Item]:
    """Turn what the user named into image paths, in the order given.

    A name that exists is that file or folder, even if it contains `[` or `*`; one that does not is
    read as a pattern. Folders are walked recursively in sorted order, hidden entries left out, each
    real folder once (so links cannot loop). In folders, files count as images by their suffix or,
    lacking one of those, by their first bytes. Files named directly, by a pattern or on standard
    input are never left out.

    Args:
        inputs: Files, folders, patterns (`**` for any depth), and `-` for one path per line on
            `stdin`.
        stdin: Where `-` reads; never read ahead of the items taken.
        skipped: Takes the count of files in folders that are no images.
        also: Suffixes, in small letters, of other files in folders that are given too.

    Yields:
        One item for each image, and one with a problem for each input that leads nowhere:
        `not-found` or `unreadable`.
    """
    skipped = skipped if skipped is not None else Skipped()
    for name in inputs:
        if name == "-" and stdin is not None:
            for line in _lines(stdin):
                yield from _expand_path(line, skipped, also, patterns=False)
        else:
            yield from _expand_path(name, skipped, also, patterns=True)


def _lines(stdin: TextIO) -> Iterator[str]:
    """Paths as the system spells them: names need not be valid in the stream's own encoding."""
    raw: Iterable[bytes] | None = getattr(stdin, "buffer", None)
    lines = stdin if raw is None else (os.fsdecode(line) for line in raw)
    for line in lines:
        path = line.removesuffix("\n").removesuffix("\r")
        if path.strip():
            yield path


def _expand_path(
    name: str, skipped: Skipped, also: tuple[str, ...], *, patterns: bool
) -> Iterator[Item]:
    try:
        mode = os.stat(name).st_mode  # noqa: PTH116 - Path("") is the current folder
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if os.path.lexists(name):
            yield Item(name)  # a link to nowhere; reading it will say so
        elif patterns and glob.has_magic(name):
            yield from _expand_pattern(name, skipped, also)
        else:
            yield _problem(name, "not-found", "there is no such file or folder")
    except OSError as error:
        yield _problem(name, "unreadable", f"cannot be read: {error.strerror}")
    else:
        if stat.S_ISDIR(mode):
            yield from _walk(name, skipped, also)
        else:
            yield Item(name)


def _expand_pattern(pattern: str, skipped: Skipped, also: tuple[str, ...]) -> Iterator[Item]:
    found = False
    folders: set[Path] = set()
    for name in sorted(glob.iglob(pattern, recursive=True)):  # noqa: PTH207 - has no absolute ones
        found = True
        if folders.isdisjoint(Path(name).parents):  # `**` finds a folder and then what is in it
            yield from _expand_path(name, skipped, also, patterns=False)
        if Path(name).is_dir():
            folders.add(Path(name))
    if not found:
        yield _problem(pattern, "not-found", "no file matches this pattern")


def _walk(folder: str, skipped: Skipped, also: tuple[str, ...]) -> Iterator[Item]:
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if os.path.isdir(path):  # noqa: PTH112 - unlike Path's, never raises
            try:
                waiting += _contents(path, seen)
            except OSError as error:
                reason = f"the folder cannot be read: {error.strerror}"
                yield _problem(path, "unreadable", reason)
        elif path.lower().endswith((*SUFFIXES, *also)) or _looks_like_image(path):
            yield Item(path)
        else:
            skipped.add(path)


def _contents(folder: str, seen: set[tuple[int, int]]) -> list[str]:
    """What is in a folder, last name first; nothing where it was seen before."""
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return []
    seen.add(identity)
    names = sorted((name for name in os.listdir(folder) if name[0] != "."), reverse=True)  # noqa: PTH208
    return [os.path.join(folder, name) for name in names]  # noqa: PTH118 - keeps a leading "./"


def _looks_like_image(path: str) -> bool:
    try:
        if not Path(path).is_file():  # a pipe would wait for a writer
            return False
        with Path(path).open("rb") as file:
            sniff(file.read(_SNIFFED_BYTES))
    except (OSError, ImageError):
        return False
    return True


def _problem(path: str, code: ErrorCode, message: str) -> Item:
    return Item(path, Problem(code, message))
