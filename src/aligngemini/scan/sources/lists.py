"""Lists of images: manifests in CSV, and JSON lines with a path or a URL each."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.scan.items import ScanItem
from aligngemini.scan.sources.bombs import Tap
from aligngemini.scan.sources.locations import Location

PATH_COLUMNS = (
    *("path", "file", "filename", "file_name", "filepath", "image_path"),
    *("url", "uri", "image_url", "URL", "image"),
)
"""Looked for in this order where nobody says which column it is."""

_LONGEST_LINE = 1 << 20

Follow = Callable[[str, str], ScanItem]
"""Gives the item for a path or a URL that a row holds, and for the row's own address."""


def list_items(file: Location, column: str | None, follow: Follow) -> Iterator[ScanItem]:
    """One item for each row of a list.

    Args:
        file: A `.csv` with a header, or one JSON object (or text) a line.
        column: Of the path or the URL; None finds it by its name.
        follow: See `Follow`.

    Raises:
        ImageError: While iterating: it cannot be read, or not beyond what came before.
    """
    with file.open(seek=False) as (raw, _):
        lines = _lines(raw)
        values = _of_csv(lines, column) if _is_csv(file) else _of_json(lines, column)
        for number, value in enumerate(values):
            address = f"{file.name}#{number}"
            if isinstance(value, Problem):
                yield ScanItem(address, problem=value)
            else:
                yield follow(value, address)


def _is_csv(file: Location) -> bool:
    return file.name.lower().partition("?")[0].endswith(".csv")


def _lines(raw: BinaryIO) -> Iterator[str]:
    """Lines of text; bytes that are not UTF-8 as the system spells them in names."""
    reader = io.BufferedReader(Tap(raw))
    number = 0
    while line := reader.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise ImageError("corrupt", f"line {number} has more than {_LONGEST_LINE} bytes")
        text = line.decode("utf-8", "surrogateescape")
        yield text.removeprefix("\ufeff") if number == 1 else text  # spreadsheets write that mark


def _of_csv(lines: Iterable[str], column: str | None) -> Iterator[str | Problem]:
    rows = csv.reader(lines)
    header = next(rows, [])
    name = _find(header, column)
    if name is None:
        what = f"has no column {column!r}" if column else "has no column that names images"
        has = ", ".join(map(repr, header[:20]))
        raise ImageError("unsupported", f"it {what} (it has {has}): say which --column does")
    place = header.index(name)
    for row in rows:
        if row:
            value = row[place] if place < len(row) else ""
            yield value or Problem("empty", f"the column {name!r} is empty")


def _of_json(lines: Iterable[str], column: str | None) -> Iterator[str | Problem]:
    for line in lines:
        if line.strip():
            yield _of_json_line(line, column)


def _of_json_line(line: str, column: str | None) -> str | Problem:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Problem("corrupt", "the line is no JSON")
    if isinstance(record, dict):
        record = record.get(_find(record, column))
    if isinstance(record, str) and record:
        return record
    where = repr(column) if column else "any of the usual names"
    return Problem("empty", f"the line has no text under {where}: say which --column has")


def _find(names: Iterable[str], column: str | None) -> str | None:
    names = list(names)
    return next((name for name in ([column] if column else PATH_COLUMNS) if name in names), None)
