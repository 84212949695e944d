"""Images inside tar archives, read as a stream and by their number; names are for people only."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aligngemini.images.limits import Limits
from aligngemini.images.sources import SUFFIXES

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")

_DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Member:
    """An image of an archive: its number among all members, and the name it has there."""

    number: int
    name: str


def is_archive(path: str | Path) -> bool:
    """Whether a name ends as an archive's does."""
    return str(path).lower().endswith(ARCHIVE_SUFFIXES)


def list_members(
    archive: Path, *, step: Callable[[], None] = lambda: None
) -> tuple[list[Member], str | None]:
    """What images an archive holds.

    Regular files count by their suffix; links, devices and hidden files do not.

    Args:
        archive: The file.
        step: Called after each image.

    Returns:
        The images up to the first damage, and what is wrong from there on, or None.
    """
    found: list[Member] = []
    try:
        with _opened(archive) as tar:
            for number, info in enumerate(tar):
                name = PurePosixPath(info.name)
                if info.isreg() and name.suffix.lower() in SUFFIXES and name.name[0] != ".":
                    found.append(Member(number, info.name))
                    step()
    except _DAMAGE as error:
        return found, f"the archive cannot be read beyond {len(found)} images: {_reason(error)}"
    return found, None


def read_members(archive: Path, wanted: Mapping[int, str]) -> Iterator[tuple[str, bytes | str]]:
    """Read images in the archive's order, one at a time.

    Args:
        archive: The file.
        wanted: Keys of the caller's own choice, by number of the member.

    Yields:
        The key with the image's bytes, or with the reason there are none; every key once.
    """
    left = dict(wanted)
    limit = Limits().max_bytes
    trouble = "it is not in the archive"
    try:
        with _opened(archive) as tar:
            for number, info in enumerate(tar):
                if number not in left:
                    continue
                if info.size > limit:
                    yield left.pop(number), f"the file has more than {limit / 1e6:.0f} MB"
                    continue
                file = tar.extractfile(info) if info.isreg() else None
                data = file.read() if file is not None else b""
                yield left.pop(number), data
                if not left:
                    return
    except _DAMAGE as error:
        trouble = f"the archive is damaged: {_reason(error)}"
    for key in left.values():
        yield key, trouble


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """The archive as a stream.

    `tarfile`'s own gzip stream takes a truncated file for a finished one, `gzip` does not.
    """
    with archive.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    open_stream = gzip.open if compressed else open
    with open_stream(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        yield tar


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
