"""Readers of images inside other files, called in the workers."""

from dataclasses import dataclass, field

from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.scan.sources.locations import LocalFile, Location, read_up_to


@dataclass(frozen=True)
class BytesReader:
    """Has the bytes with it, of an image that no one else can get at cheaply."""

    data: bytes = field(repr=False)

    def __call__(self) -> bytes:
        """See `Reader`."""
        Limits().check_bytes(len(self.data))
        return self.data


@dataclass(frozen=True)
class SliceReader:
    """Reads a part of a local file.

    Attributes:
        file: The archive.
        offset: Of the part's first byte.
        size: Of the part, in bytes.
    """

    file: LocalFile
    offset: int
    size: int

    def __call__(self) -> bytes:
        """See `Reader`."""
        Limits().check_bytes(self.size)
        with self.file.open(seek=True) as (file, _):
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise ImageError("truncated", "the archive ends before the image does")
        return data


@dataclass(frozen=True)
class WholeReader:
    """Reads a file that is no local one, as far as the limit of bytes."""

    file: Location

    def __call__(self) -> bytes:
        """See `Reader`."""
        limits = Limits()
        with self.file.open(seek=False) as (file, size):
            if size is not None:
                limits.check_bytes(size)
            data = read_up_to(file, limits.max_bytes + 1)
        limits.check_bytes(len(data))
        return data
