"""Bytes from a path, without waiting on what is not a file."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits


def read_bytes(path: str | Path, *, limits: Limits | None = None) -> bytes:
    """Read a file whole, its size checked first.

    Pipes, sockets and devices are refused before they are opened, for a read from one may never
    return.

    Args:
        path: A file; links are followed.
        limits: `max_bytes` is the one that counts here.

    Raises:
        ImageError: `not-found`, `unreadable`, `empty` or `too-large`.
    """
    limits = limits or Limits()
    with opened(path) as (file, size):
        limits.check_bytes(size)
        data = file.read(limits.max_bytes + 1)
    limits.check_bytes(len(data))
    return data


def read_head(path: str | Path, count: int) -> tuple[bytes, int]:
    """Read a file's first bytes.

    Args:
        path: A file; links are followed.
        count: How many bytes; fewer come back where the file has fewer.

    Returns:
        The bytes, and how many the whole file has.

    Raises:
        ImageError: `not-found`, `unreadable` or `empty`.
    """
    with opened(path) as (file, size):
        head = file.read(count)
    if not head:
        raise ImageError("empty", "the file is empty")
    return head, size


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size; what fails in the block is an `ImageError` too."""
    try:
        _check_kind(os.stat(path).st_mode)  # noqa: PTH116 - Path("") is the current folder
        # Not to block, should the file have become a pipe in the meantime.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_kind(status.st_mode)
            yield file, status.st_size
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("not-found", "there is no such file") from None
    except OSError as error:
        raise ImageError("unreadable", f"cannot be read: {error.strerror}") from None
    except ValueError:  # a name with a NUL, or one the file system has no bytes for
        raise ImageError("not-found", "there can be no file of that name") from None


def _check_kind(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError("unreadable", "is a folder")
    if not stat.S_ISREG(mode):
        raise ImageError("unreadable", "is a pipe, a socket or a device, not a file")
