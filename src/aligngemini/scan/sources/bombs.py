"""Limits on archives that unpack to far more than they are."""

import io
from typing import Any, BinaryIO

from aligngemini.images.item import ImageError

FREE = 256 << 20
"""Bytes that any archive may unpack to."""

RATIO = 100
"""Beyond `FREE`, bytes that it may unpack to for each of its own. Images hardly compress."""

_EXTRAS = 2 << 20  # bytes of names and attributes before a member; and what is read ahead
_TRIES = 3  # reads at the end of the stream


def check_growth(unpacked: int, packed: int) -> None:
    """Refuse what grows like a bomb.

    Args:
        unpacked: Bytes that came out so far, or will.
        packed: Bytes that they were made of.

    Raises:
        ImageError: `too-large`.
    """
    if unpacked > FREE + RATIO * packed:
        raise ImageError(
            "too-large",
            f"{packed / 1e6:.3g} MB unpack to {unpacked / 1e6:.3g} MB or more, as in a bomb",
        )


class Tap(io.RawIOBase):
    """A file whose bytes are counted as they are read; its first ones can be looked at."""

    def __init__(self, file: BinaryIO) -> None:
        """Count what is read from `file` from here on."""
        self._file = file
        self._head = b""
        self.count = 0

    def peek(self, size: int) -> bytes:
        """The first bytes, before any is read."""
        while len(self._head) < size and (part := self._file.read(size - len(self._head))):
            self._head += part
        return self._head

    def read(self, size: int = -1) -> bytes:
        """Some of the next bytes; none at the end."""
        if self._head and size >= 0:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data, self._head = self._head + self._file.read(size), b""
        self.count += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """As `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        """That it is."""
        return True


class Meter:
    """An unpacked archive that `tarfile` reads, and may not read more of than it should need."""

    def __init__(self, stream: BinaryIO, packed: Tap | None = None) -> None:
        """Pass reads on to `stream`, which is unpacked from `packed` if that is given."""
        self._stream = stream
        # Of a truncated stream, `read` would lose what it has when it meets the end.
        self._read = stream.read if packed is None else getattr(stream, "read1", stream.read)
        self._packed = packed
        self._left = _EXTRAS
        self._unpacked = 0
        self._empty = 0

    def allow(self, size: int) -> None:
        """Let a member of so many bytes be read, and what stands before the next."""
        self._left = size + _EXTRAS

    def read(self, size: int) -> bytes:
        """Read on.

        Raises:
            ImageError: `too-large`; or `truncated`, when asked again and again at the end, where
                `tarfile` would skip a member of any size block by block.
        """
        data: bytes = self._read(min(size, self._left + 1))
        self._left -= len(data)
        self._unpacked += len(data)
        self._empty += not data
        if self._empty > _TRIES:
            raise ImageError("truncated", "it ends before a member does")
        if self._left < 0:
            raise ImageError("too-large", f"more than {_EXTRAS / 1e6:.0f} MB describe one member")
        if self._packed is not None:
            check_growth(self._unpacked, self._packed.count)
        return data

    def seek(self, offset: int) -> int:
        """Go to a place, in streams that can."""
        return self._stream.seek(offset)

    def tell(self) -> int:
        """Where it is."""
        return self._stream.tell()
