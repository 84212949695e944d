"""Images in zip archives: listed here, unpacked in the workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.images.sources import Skipped
from aligngemini.scan.items import ScanItem
from aligngemini.scan.sources import kinds
from aligngemini.scan.sources.bombs import check_growth
from aligngemini.scan.sources.locations import Location
from aligngemini.scan.sources.names import Names
from aligngemini.scan.sources.tar import NESTED
from aligngemini.scan.sources.zip_directory import (
    DEFLATED,
    STORED,
    ZipMember,
    read_directory,
    read_member,
    read_start,
)

_HEADER = 1 << 16  # bytes before a member that its own header may take


@dataclass(frozen=True)
class ZipReader:
    """Reads a member of a zip archive."""

    file: Location
    member: ZipMember

    def __call__(self) -> bytes:
        """See `Reader`."""
        ahead = min(self.member.packed, Limits().max_bytes) + _HEADER
        with self.file.open(seek=True, ahead=ahead) as (file, _):
            return read_member(file, self.member)


def zip_items(file: Location, skipped: Skipped) -> Iterator[ScanItem]:
    """The images of a zip archive, in the order of its directory.

    Args:
        file: The archive.
        skipped: Takes the count of members that are no images.

    Raises:
        ImageError: While iterating: it cannot be read, or not beyond what came before.
    """
    unpacked = 0
    with file.open(seek=True) as (archive, size), Names() as names:
        if size is None:
            message = "the server gives no parts of files, which takes a download first"
            raise ImageError("unsupported", message)
        for member in read_directory(archive, size):
            if member.name.endswith("/"):
                continue
            if _is_left_out(archive, member):
                skipped.add(f"{file.name}!{member.name}")
                continue
            problem = _problem(member)
            unpacked += 0 if problem else member.size
            check_growth(unpacked, size)
            yield ScanItem(
                f"{file.name}!{names.unique(member.name)}",
                None if problem else ZipReader(file, member),
                f"{file.stamp}@{member.offset}-{member.checksum:08x}" if file.stamp else "",
                problem,
            )


def _is_left_out(archive: BinaryIO, member: ZipMember) -> bool:
    if kinds.is_hidden(member.name):
        return True
    if kinds.is_nested(member.name) or kinds.is_image(member.name):
        return False
    if _unread(member):
        return True
    return not kinds.looks_like_image(read_start(archive, member, kinds.HEAD))


def _problem(member: ZipMember) -> Problem | None:
    if kinds.is_nested(member.name):
        return NESTED
    if reason := _unread(member):
        return Problem("unsupported", reason)
    try:
        Limits().check_bytes(member.size)
    except ImageError as error:
        return error.problem
    return None


def _unread(member: ZipMember) -> str | None:
    if member.encrypted:
        return "it is encrypted: unpack the archive with its password first"
    if member.method not in (STORED, DEFLATED):
        return f"it is compressed by a method that is not read (number {member.method})"
    return None
