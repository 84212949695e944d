"""TIFF's tags, as far as decoding has to know them before Pillow reads them all."""

import struct
from collections.abc import Iterator

from aligngemini.images.item import ImageError

COMPRESSION = 259
SUBFILE_TYPE = 254
BITS_PER_SAMPLE = 258
_OFFSETS = {273: 279, 324: 325}  # strips and tiles: where they are -> how long they are

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_BYTES_LIKE = (1, 2, 6, 7)

_MAX_TAGS = 4096
_MAX_VALUES = 2_000_000  # one strip a row is 65,535; Pillow makes a Python number of each
MAX_PAGES = 10_000


class Tiff:
    """The first page's tags, and how many pages there are.

    Damage ends the reading early and is not reported here: Pillow will meet it too.
    """

    def __init__(self, data: bytes) -> None:
        """Read the first page's tags.

        Args:
            data: The whole file.

        Raises:
            ImageError: `corrupt`, when there are more tags, or more values in one, than in any
                real file.
        """
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self._big = 43 in data[2:4]
        self._ends_early = False
        self._where: dict[int, tuple[int, int, int]] = {}
        for tag, kind, count, position in self._entries(self._first()):
            if count > _MAX_VALUES and kind not in _BYTES_LIKE:
                raise ImageError("corrupt", f"TIFF tag {tag} claims {count} values")
            self._where.setdefault(tag, (kind, count, position))

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are compressed."""
        return self.values(COMPRESSION)[:1] not in ((), (1,))

    @property
    def is_preview(self) -> bool:
        """Whether the first page calls itself a reduced copy, as in DNG and other raw files."""
        return any(value & 1 for value in self.values(SUBFILE_TYPE)[:1])

    @property
    def is_cut_short(self) -> bool:
        """Whether tags or pixels lie beyond the end of the file."""
        size = len(self._data)
        if self._ends_early:
            return True
        for offsets, lengths in _OFFSETS.items():
            pieces = zip(self.values(offsets), self.values(lengths), strict=False)
            if any(offset + length > size for offset, length in pieces):
                return True
            if offsets in self._where and not self.values(offsets):
                return True
        return False

    def values(self, tag: int) -> tuple[int, ...]:
        """The first page's integers under a tag; empty when absent, damaged or not integers."""
        kind, count, position = self._where.get(tag, (0, 0, 0))
        if kind not in _INTEGERS:
            return ()
        try:
            if count * _SIZES[kind] > (8 if self._big else 4):
                position = self._unpack("Q" if self._big else "I", position)[0]
            return self._unpack(f"{count}{_INTEGERS[kind]}", position)
        except struct.error:
            return ()

    def count_pages(self) -> int:
        """How many pages there are, counting no further than `MAX_PAGES`."""
        seen: set[int] = set()
        page = self._first()
        while page and page not in seen and len(seen) < MAX_PAGES:
            seen.add(page)
            try:
                count = self._unpack("Q" if self._big else "H", page)[0]
                after = page + (8 + 20 * count if self._big else 2 + 12 * count)
                page = self._unpack("Q" if self._big else "I", after)[0]
            except struct.error:
                break
        return max(1, len(seen))

    def _first(self) -> int:
        try:
            return self._unpack("Q", 8)[0] if self._big else self._unpack("I", 4)[0]
        except struct.error:
            return len(self._data)

    def _entries(self, page: int) -> Iterator[tuple[int, int, int, int]]:
        """Tag, type, number of values and position of the value or of its offset."""
        head, entry, step = ("Q", "HHQ", 20) if self._big else ("H", "HHI", 12)
        try:
            (count,) = self._unpack(head, page)
            if count > _MAX_TAGS:
                raise ImageError("corrupt", f"a TIFF page with {count} tags")
            start = page + struct.calcsize(head)
            for position in range(start, start + count * step, step):
                tag, kind, number = self._unpack(entry, position)
                yield tag, kind, number, position + (12 if self._big else 8)
        except struct.error:
            self._ends_early = True

    def _unpack(self, form: str, position: int) -> tuple[int, ...]:
        if position > len(self._data):  # an offset may not fit the C type that struct wants
            raise struct.error("beyond the end of the file")
        return struct.unpack_from(self._order + form, self._data, position)
