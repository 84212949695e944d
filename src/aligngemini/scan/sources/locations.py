"""Where a source lies: how it is opened, and what tells that it changed."""

import csv
import lzma
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from aligngemini.evidence import ErrorCode
from aligngemini.images.files import opened
from aligngemini.images.item import ImageError

Opened = tuple[BinaryIO, int | None]
"""A file, and its size in bytes where somebody says."""

AHEAD = 5 << 20

_LONGEST_REASON = 200


class Location(Protocol):
    """A file somewhere. Small and picklable."""

    @property
    def name(self) -> str:
        """As the user named it, or as it was found; addresses begin with it."""
        ...

    @property
    def stamp(self) -> str:
        """What changes when the file does, as it was when the location was made."""
        ...

    def open(self, *, seek: bool, ahead: int = AHEAD) -> AbstractContextManager[Opened]:
        """Open it for the length of a `with` statement.

        Args:
            seek: Whether parts are read out of order.
            ahead: Then, bytes that are fetched at once from elsewhere.

        Raises:
            ImageError: It cannot be opened; or anything else is raised in the block, by whatever
                reads it.
        """
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: str
    stamp: str = ""

    @classmethod
    def at(cls, path: str) -> "LocalFile":
        """The file as it is now; one that cannot be looked at has no stamp."""
        try:
            return cls(path, _stamp_of(os.stat(path)))  # noqa: PTH116 - as in `images.files`
        except (OSError, ValueError):
            return cls(path)

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    @contextmanager
    def open(self, *, seek: bool, ahead: int = AHEAD) -> Iterator[Opened]:
        """See `Location`."""
        with opened(self.path) as (file, size), explained():
            if self.stamp and _stamp_of(os.fstat(file.fileno())) != self.stamp:
                raise ImageError("unreadable", "it changed while it was being read: scan again")
            yield file, size


@contextmanager
def explained(otherwise: ErrorCode = "internal") -> Iterator[None]:
    """Turn whatever a library raises for foreign bytes into an `ImageError`.

    Args:
        otherwise: Code for errors of kinds that nobody foresaw.
    """
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(_code_of(error) or otherwise, _reason_of(error)) from error


def _reason_of(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return " ".join(text.split())[:_LONGEST_REASON]


def read_up_to(file: BinaryIO, size: int) -> bytes:
    """Read so many bytes, or as many as there are; streams give less at a time than is asked."""
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _stamp_of(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _code_of(error: Exception) -> ErrorCode | None:
    kinds: dict[ErrorCode, tuple[type[Exception], ...]] = {
        "not-found": (FileNotFoundError,),
        "truncated": (EOFError, tarfile.ReadError),
        "too-large": (MemoryError,),
        "unsupported": (NotImplementedError,),
        "unreadable": (TimeoutError, ConnectionError, ImportError),
        "corrupt": (
            *(ValueError, RecursionError, struct.error, csv.Error),
            *(zlib.error, lzma.LZMAError, tarfile.TarError),
        ),
    }
    if isinstance(error, OSError) and error.errno is not None:
        return "not-found" if isinstance(error, FileNotFoundError) else "unreadable"
    found = (code for code, types in kinds.items() if isinstance(error, types))
    # Decompressors and Arrow raise OSErrors without a number for damage.
    return next(found, "corrupt" if isinstance(error, OSError) else None)
