"""Near-duplicates: one picture in many files, told by a perceptual hash.

The hash is ImageHash's `phash` of 64 bits: the signs of an image's coarse structure, which
re-encoding and resizing leave nearly alone. Two images count as copies where no more than
`DISTANCE` bits differ.

Images are found by multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space
with Multi-Index Hashing", CVPR 2012): with the bits in `BANDS` bands, hashes that differ in no more
than d bits agree in one band up to d // BANDS bits, so that looking up a few values of each band
finds all of them, and nothing else of a table has to be read.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

BITS = 64
BANDS = 3
DISTANCE = 4
"""Bits in which copies may differ; chosen on the development data, see `docs/scan-sources.md`."""
MAX_DISTANCE = 8
"""Beyond it, different pictures are found too, and there are too many values to look up."""

_SIDE = 32  # of the grey picture that is hashed, as `phash` has it
_FLATTEST = 4.0  # standard deviation of its grey levels; below it there is nothing to compare

_WIDTHS = [BITS // BANDS + (band < BITS % BANDS) for band in range(BANDS)]
_SHIFTS = [sum(_WIDTHS[:band]) for band in range(BANDS)]

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS near_groups (
    hash INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    {", ".join(f"band{band} INTEGER NOT NULL" for band in range(BANDS))}
);
CREATE TABLE IF NOT EXISTS near_images (
    sha256 TEXT PRIMARY KEY,
    hash INTEGER NOT NULL,
    leader INTEGER NOT NULL REFERENCES near_groups (hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS near_images_leader ON near_images (leader);
""" + "".join(
    f"CREATE INDEX IF NOT EXISTS near_groups_band{band} ON near_groups (band{band});\n"
    for band in range(BANDS)
)


def perceptual_hash(pixels: npt.NDArray[np.uint8]) -> int | None:
    """The hash of an image, or None where it is too plain to be told from another.

    Args:
        pixels: (height, width, 3) uint8 RGB.

    Returns:
        64 bits as an unsigned number.
    """
    import imagehash  # noqa: PLC0415 - of the scan extra, and it loads SciPy

    grey = PILImage.fromarray(pixels).convert("L")
    grey = grey.resize((_SIDE, _SIDE), PILImage.Resampling.LANCZOS)
    if float(np.asarray(grey).std()) < _FLATTEST:
        return None
    return int(str(imagehash.phash(grey)), 16)


@dataclass(frozen=True)
class Copy:
    """An image among others like it.

    Attributes:
        sha256: Of its file.
        leader: SHA-256 of the first of its group, the image itself included.
        distance: Bits in which its hash differs from the leader's.
    """

    sha256: str
    leader: str
    distance: int


class NearIndex:
    """Groups of near-duplicates in SQLite tables.

    The first image of a group leads it; another joins the group whose leader is nearest to it, if
    that differs in no more than `distance` bits, and leads a group of its own otherwise. So every
    member is that near to its leader; two members may differ in twice as many bits. Which image
    leads depends on the order.

    Nothing is committed here: what is added belongs to the transaction that the caller has open.
    """

    def __init__(self, connection: sqlite3.Connection, *, distance: int = DISTANCE) -> None:
        """Open the tables, and make them if they are not there.

        Args:
            connection: Where they are.
            distance: Bits in which copies may differ, 0 to `MAX_DISTANCE`; the same for the life of
                the tables.

        Raises:
            ValueError: A distance beyond these.
        """
        if not 0 <= distance <= MAX_DISTANCE:
            raise ValueError(f"distance is {distance}; it can be 0 to {MAX_DISTANCE} bits")
        self._connection = connection
        self._distance = distance
        for statement in _SCHEMA.split(";"):  # `executescript` would commit
            connection.execute(statement)

    def add(self, sha256: str, value: int) -> Copy:
        """Put an image into its group; one that is in a group stays there.

        Args:
            sha256: Of its file.
            value: Its hash, from `perceptual_hash`.
        """
        known = self.find(sha256)
        if known is not None:
            return known
        leader, first = self._nearest(value) or (value, sha256)
        if first == sha256:
            bands = [_band(value, band) for band in range(BANDS)]
            self._connection.execute(
                f"INSERT INTO near_groups VALUES ({_marks(2 + BANDS)})",  # noqa: S608 - only marks
                (_signed(value), sha256, *bands),
            )
        self._connection.execute(
            "INSERT INTO near_images VALUES (?, ?, ?)", (sha256, _signed(value), _signed(leader))
        )
        return Copy(sha256, first, _apart(value, leader))

    def find(self, sha256: str) -> Copy | None:
        """The place of an image that was added, or None."""
        row = self._connection.execute(
            "SELECT i.hash, g.hash, g.sha256 FROM near_images i "
            "JOIN near_groups g ON g.hash = i.leader WHERE i.sha256 = ?",
            (sha256,),
        ).fetchone()
        return None if row is None else Copy(sha256, row[2], _apart(row[0], row[1]))

    def leader_of(self, value: int) -> str | None:
        """SHA-256 of the image whose group one with this hash would join, or None."""
        nearest = self._nearest(value)
        return None if nearest is None else nearest[1]

    def groups(self, *, smallest: int = 2) -> Iterator[list[Copy]]:
        """Groups of at least so many images, the largest first; the leader first in each."""
        groups = self._connection.execute(
            "SELECT g.hash, g.sha256 FROM near_images i JOIN near_groups g ON g.hash = i.leader "
            "GROUP BY g.hash HAVING COUNT(*) >= ? ORDER BY COUNT(*) DESC, g.hash",
            (smallest,),
        )
        for leader, first in groups:
            members = self._connection.execute(
                "SELECT sha256, hash FROM near_images WHERE leader = ? "
                "ORDER BY sha256 <> ?, sha256",
                (leader, first),
            )
            yield [Copy(sha256, first, _apart(value, leader)) for sha256, value in members]

    def _nearest(self, value: int) -> tuple[int, str] | None:
        """Hash and SHA-256 of the nearest leader; of several, the one whose hash is smallest."""
        radius = self._distance // BANDS
        nearest: tuple[int, int] | None = None
        for band in range(BANDS):
            values = list(_around(_band(value, band), _WIDTHS[band], radius))
            rows = self._connection.execute(  # of the index alone: the hash is the row's number
                f"SELECT hash FROM near_groups WHERE band{band} IN ({_marks(len(values))})",  # noqa: S608
                values,
            )
            for (other,) in rows:
                found = (_apart(value, other), other)
                if found[0] <= self._distance and (nearest is None or found < nearest):
                    nearest = found
        if nearest is None:
            return None
        row = self._connection.execute(
            "SELECT sha256 FROM near_groups WHERE hash = ?", (nearest[1],)
        ).fetchone()
        return _unsigned(nearest[1]), row[0]


def _around(value: int, width: int, radius: int) -> Iterator[int]:
    """All numbers of `width` bits that differ from one in no more than `radius` of them."""
    for count in range(radius + 1):
        for places in combinations(range(width), count):
            yield value ^ sum(1 << place for place in places)


def _band(value: int, band: int) -> int:
    return value >> _SHIFTS[band] & ((1 << _WIDTHS[band]) - 1)


def _apart(one: int, other: int) -> int:
    """Bits in which two hashes differ, signed or not."""
    return (_unsigned(one) ^ _unsigned(other)).bit_count()


def _unsigned(value: int) -> int:
    return value % (1 << BITS)


def _signed(value: int) -> int:
    """As SQLite keeps 64 bits."""
    return value - (1 << BITS) if value >> (BITS - 1) else value


def _marks(count: int) -> str:
    return ", ".join("?" * count)
