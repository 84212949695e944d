"""The directory of a zip archive as a stream, and one member's bytes.

`zipfile` takes the whole directory into memory, about 0.7 KB a member, and so would every worker.
The format: PKWARE's APPNOTE 6.3, sections 4.3 (records) and 4.5.3 (the extra field of zip64).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.scan.sources.locations import read_up_to

STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_LONGEST_COMMENT = 0xFFFF
_DEFLATE_OVERHEAD = 1 << 20  # far above what deflating adds to bytes that do not shrink
_IN_EXTRA = 0xFFFFFFFF
_ZIP64 = 1
_ENCRYPTED, _UTF8 = 0x1, 0x800


@dataclass(frozen=True)
class ZipMember:
    """A file in a zip archive.

    Attributes:
        name: As it is there.
        flags: Bits of the format.
        method: How it is compressed.
        checksum: CRC-32 of the file.
        packed: Bytes it takes in the archive.
        size: Bytes it says it has.
        offset: Of its local header in the file.
    """

    name: str
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int

    @property
    def encrypted(self) -> bool:
        """Whether it takes a password."""
        return bool(self.flags & _ENCRYPTED)


def read_directory(file: BinaryIO, size: int) -> Iterator[ZipMember]:
    """The members in the order of the directory, one at a time.

    Args:
        file: The archive; its place is moved between the members.
        size: Bytes it has.

    Raises:
        ImageError: `truncated`, `corrupt` or `unsupported`.
    """
    position, length, offset = _find_directory(file, size)
    before = position - length - offset  # bytes put in front, as in self-extracting archives
    if before < 0:
        raise ImageError("corrupt", "its directory lies outside the file")
    place, end = before + offset, before + offset + length
    while place < end:
        file.seek(place)
        fixed = _read(file, _ENTRY.size)
        signature, _, _, flags, method, _, _, checksum, *rest = _ENTRY.unpack(fixed)
        packed, unpacked, name_size, extra_size, comment_size, _, _, _, start = rest
        if signature != b"PK\x01\x02":
            raise ImageError("corrupt", "its directory is damaged")
        name = _read(file, name_size).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        large = _from_extra(_read(file, extra_size), [unpacked, packed, start])
        yield ZipMember(name, flags, method, checksum, large[1], large[0], before + large[2])
        place += _ENTRY.size + name_size + extra_size + comment_size


def read_member(file: BinaryIO, member: ZipMember) -> bytes:
    """A member's bytes, checked.

    Raises:
        ImageError: They are not what the directory says, or more than is read.
    """
    Limits().check_bytes(member.size)
    data = read_start(file, member, member.size + 1)
    if len(data) != member.size or zlib.crc32(data) != member.checksum:
        raise ImageError("corrupt", "size or checksum are not those in the archive's directory")
    return data


def read_start(file: BinaryIO, member: ZipMember, size: int) -> bytes:
    """The first bytes of a member, unchecked.

    Raises:
        ImageError: `corrupt` or `truncated`.
    """
    file.seek(member.offset)
    signature, *_, name_size, extra_size = _LOCAL.unpack(_read(file, _LOCAL.size))
    if signature != b"PK\x03\x04":
        raise ImageError("corrupt", "the archive has something else at its place")
    file.seek(member.offset + _LOCAL.size + name_size + extra_size)
    packed = read_up_to(file, min(member.packed, size + _DEFLATE_OVERHEAD))
    if member.method == STORED:
        return packed[:size]
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size)


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Where the directory's end is, its length, and the offset that the archive says it has."""
    tail_size = min(size, _END.size + _LONGEST_COMMENT)
    file.seek(size - tail_size)
    tail = _read(file, tail_size)
    found = tail.rfind(b"PK\x05\x06", 0, max(0, tail_size - _END.size + 4))
    if found < 0:
        raise ImageError("truncated", "it has no directory: it was cut off, or is no zip archive")
    position = size - tail_size + found
    _, disk, _, _, _, length, offset, _ = _END.unpack_from(tail, found)
    if position >= _LOCATOR.size:
        file.seek(position - _LOCATOR.size)
        signature, _, end64, _ = _LOCATOR.unpack(_read(file, _LOCATOR.size))
        if signature == b"PK\x06\x07":
            position, disk, length, offset = _read_end64(file, position, end64)
    if disk not in (0, 0xFFFF):
        raise ImageError("unsupported", "it is one part of several")
    return position, length, offset


def _read_end64(file: BinaryIO, position: int, said: int) -> tuple[int, int, int, int]:
    """Place of the zip64 record, number of the disk, length and offset of the directory."""
    # Just before the locator, unless something was put behind it; where it is said to be, unless
    # something was put in front of the archive.
    for place in (position - _LOCATOR.size - _END64.size, said):
        file.seek(max(0, place))
        record = read_up_to(file, _END64.size)
        if len(record) == _END64.size and record.startswith(b"PK\x06\x06"):
            *_, disk, _, _, _, length, offset = _END64.unpack(record)
            return place, disk, length, offset
    raise ImageError("corrupt", "its directory is damaged")


def _from_extra(extra: bytes, values: list[int]) -> list[int]:
    """Sizes and offset, where they are too large for the entry taken from its extra field."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == _ZIP64:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, place + 4))
            return [next(wide, value) if value == _IN_EXTRA else value for value in values]
        place += 4 + length
    return values


def _read(file: BinaryIO, size: int) -> bytes:
    data = read_up_to(file, size)
    if len(data) < size:
        raise ImageError("truncated", "it ends in the middle of its directory")
    return data
