"""A part of a benchmark, the same one on every machine."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.evaluate import subset_of


def limited(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many photos and so many fakes of each subset, in their old order.

    Which ones depends on the file's name and the names of its two folders, and on nothing else:
    the first ones in order would be those of the first classes.
    """
    parts: dict[tuple[str, str], list[int]] = {}
    for place, row in enumerate(rows):
        parts.setdefault((subset_of(row), row.label), []).append(place)
    kept = [
        place
        for part in parts.values()
        for place in sorted(part, key=lambda k: _lot(rows[k]))[:most]
    ]
    return [rows[place] for place in sorted(kept)]


def _lot(row: Row) -> bytes:
    name = "/".join(PurePath(row.path).parts[-3:])
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
