"""Images in tar archives and webdataset shards, plain or compressed, in one pass.

Nothing is written anywhere: members' names become part of an address and of nothing else. Images of
a plain local archive are read in the workers, by their place in it; those of other archives are
taken along, for only the one who reads the stream can have them.
"""

import bz2
import contextlib
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, cast

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.images.sources import Skipped
from aligngemini.scan.items import Reader, ScanItem
from aligngemini.scan.sources import kinds
from aligngemini.scan.sources.bombs import Meter, Tap
from aligngemini.scan.sources.locations import LocalFile, Location
from aligngemini.scan.sources.names import Names
from aligngemini.scan.sources.readers import BytesReader, SliceReader

NESTED = Problem("unsupported", "an archive inside an archive is not opened: unpack it first")

_PADDING = 1 << 14  # blocks of zeros behind which nothing more is looked for


def tar_items(file: Location, skipped: Skipped) -> Iterator[ScanItem]:
    """The images of a tar archive, in its order.

    Args:
        file: The archive; what it is compressed with is told from its bytes.
        skipped: Takes the count of members that are no images, links among them.

    Raises:
        ImageError: While iterating: it cannot be read, or not beyond what came before.
    """
    with file.open(seek=False) as (raw, _), Names() as names:
        tap = Tap(raw)
        unpacked = _unpacked(tap)
        if unpacked is None and isinstance(file, LocalFile):
            raw.seek(0)
            plain, meter = file, Meter(raw)
        else:
            plain, meter = None, Meter(unpacked or cast("BinaryIO", tap), tap)
        for info, tar in _members(meter, seekable=plain is not None):
            place = f"{file.name}!{info.name}"
            member = _Member(info, tar, plain)
            if kinds.is_hidden(info.name) or not info.isreg():
                skipped.add(place)
                continue
            if kinds.is_nested(info.name):
                problem: Problem | None = NESTED
            elif kinds.is_image(info.name) or kinds.looks_like_image(member.head):
                problem = member.problem
            else:
                skipped.add(place)
                continue
            yield ScanItem(
                f"{file.name}!{names.unique(info.name)}",
                None if problem else member.reader(),
                f"{file.stamp}@{info.offset_data}" if file.stamp else "",
                problem,
            )


def _members(meter: Meter, *, seekable: bool) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Everything in an archive but folders; of archives joined by `cat` too."""
    end = -1
    with contextlib.suppress(_End), _open_tar(meter, seekable=seekable) as tar:
        while (info := tar.next()) is not None:
            if info.size < 0 or info.offset <= end:  # which `tarfile` would follow for ever
                raise ImageError("corrupt", "a member has a size that cannot be")
            end = info.offset
            meter.allow(info.size)
            if not info.isdir():
                yield info, tar
            tar.members.clear()  # type: ignore[attr-defined] # it would grow with the archive
            tar.pax_headers = {}  # likewise


def _open_tar(meter: Meter, *, seekable: bool) -> tarfile.TarFile:
    source = cast("BinaryIO", meter)
    header = type("_Header", (_Header,), {})  # which keeps count for this archive alone
    if seekable:
        return tarfile.open(fileobj=source, mode="r:", tarinfo=header, ignore_zeros=True)
    return tarfile.open(fileobj=source, mode="r|", tarinfo=header, ignore_zeros=True)


@dataclass
class _Member:
    """What is not a folder in an archive: in `plain`, where that is an uncompressed local file."""

    info: tarfile.TarInfo
    tar: tarfile.TarFile
    plain: LocalFile | None

    @cached_property
    def head(self) -> bytes:
        return self._content.read(kinds.HEAD)

    @property
    def problem(self) -> Problem | None:
        if self.info.issparse():
            return Problem("unsupported", "it is stored with holes, which is not read")
        try:
            Limits().check_bytes(self.info.size)
        except ImageError as error:
            return error.problem
        return None

    def reader(self) -> Reader:
        if self.plain is not None:
            return SliceReader(self.plain, self.info.offset_data, self.info.size)
        return BytesReader(self.head + self._content.read())

    @cached_property
    def _content(self) -> BinaryIO:
        return cast("BinaryIO", self.tar.extractfile(self.info))


class _End(Exception):  # noqa: N818 - it is none
    """The archive is over."""


class _Header(tarfile.TarInfo):
    """A header that stops the archive where `tarfile` would take damage for the end."""

    zeros = 0

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        if len(buf) < tarfile.BLOCKSIZE:
            if cls.zeros:
                raise _End
            raise ImageError("truncated", "it ends without the mark that closes a tar archive")
        cls.zeros = 0 if any(buf) else cls.zeros + 1
        if cls.zeros > _PADDING:
            raise _End
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if cls.zeros:
                raise  # `tarfile` goes on to the next block
            raise ImageError("corrupt", f"the header of a member is damaged ({error})") from error


def _unpacked(tap: Tap) -> BinaryIO | None:
    """The archive itself, by the first bytes of the file; None where it is not compressed."""
    head = tap.peek(6)
    if head.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=tap))
    if head.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(cast("BinaryIO", tap)))
    if head.startswith(b"\xfd7zXZ\x00"):
        return cast("BinaryIO", lzma.LZMAFile(cast("BinaryIO", tap)))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard(tap)
    return None


def _zstandard(tap: Tap) -> BinaryIO:
    try:
        import pyarrow as pa  # noqa: PLC0415 - of the scan extra
    except ImportError:
        message = "to read Zstandard, install: pip install 'aligngemini[scan]'"
        raise ImageError("unsupported", message) from None
    return cast("BinaryIO", pa.CompressedInputStream(pa.PythonFile(tap, mode="r"), "zstd"))
