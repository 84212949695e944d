"""What a process of its own does with a Parquet file: unpack it, a few rows at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.scan.sources.bombs import check_growth
from aligngemini.scan.sources.lists import PATH_COLUMNS
from aligngemini.scan.sources.locations import Location

if TYPE_CHECKING:
    import pyarrow.parquet as pq

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "picture")
"""Looked for in this order where nobody says which column it is; then those of paths."""

TOGETHER = 4 << 20  # bytes that go from one process to the other at once
_ROWS = 1  # taken at once: what a row holds is bounded by nothing but the file
_BUFFER = 1 << 20

Cell: TypeAlias = "bytes | str | Problem"
"""An image, where it is, or why there is none."""

Row: TypeAlias = tuple[str, Cell]
"""Stamp and content."""


class Rows:
    """The rows of a file: called again and again, gives the next ones."""

    def __init__(self, file: Location, column: str | None) -> None:
        """Name the file; it is opened with the first call.

        Args:
            file: The table.
            column: See `parquet.parquet_items`.
        """
        self._parts = _in_parts(_rows(file, column))

    def __call__(self, _: object) -> list[Row] | Problem | None:
        """Rows, or why there are no more that can be read; None after the last."""
        return next(self._parts, None)


def _in_parts(rows: Iterator[Row]) -> Iterator[list[Row] | Problem]:
    """Rows as far as they come, and then the reason if there should be more."""
    part: list[Row] = []
    size = 0
    problem = None
    try:
        for stamp, cell in rows:
            part.append((stamp, cell))
            size += len(cell) if isinstance(cell, bytes | str) else 0
            if size >= TOGETHER:
                yield part
                part, size = [], 0
    except ImageError as error:
        problem = error.problem
    if part:
        yield part
    if problem is not None:
        yield problem


def _rows(file: Location, column: str | None) -> Iterator[Row]:
    """All rows.

    Raises:
        ImageError: While iterating: it cannot be read, or not beyond what came before.
    """
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - of the scan extra
    except ImportError:
        message = "to read Parquet, install: pip install 'aligngemini[scan]'"
        raise ImageError("unsupported", message) from None
    with file.open(seek=True) as (source, size):
        if size is None:
            message = "the server gives no parts of files, which takes a download first"
            raise ImageError("unsupported", message)
        table = pq.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)
        name = _column(table, column)
        for group in range(table.num_row_groups):
            stamp = f"{file.stamp}@{group}" if file.stamp else ""
            _check_group(table.metadata.row_group(group), name)
            for batch in table.iter_batches(
                _ROWS, row_groups=[group], columns=[name], use_threads=False
            ):
                for cell in batch.column(0):
                    yield stamp, _content(cell.as_py())


def _content(value: Any) -> Cell:
    if isinstance(value, dict):  # of Hugging Face
        value = value.get("bytes") or value.get("path")
    if not value:
        return Problem("empty", "the cell is empty")
    if isinstance(value, str):
        return value
    try:
        Limits().check_bytes(len(value))
    except ImageError as error:
        return error.problem
    return bytes(value)


def _column(table: "pq.ParquetFile", wanted: str | None) -> str:
    """The column with the images.

    Raises:
        ImageError: `unsupported`: there is none of that name, or none that could be it.
    """
    import pyarrow as pa  # noqa: PLC0415 - of the scan extra

    schema = table.schema_arrow
    usable = [field.name for field in schema if _holds_images(pa, field.type)]
    known = [name for name in (*IMAGE_COLUMNS, *PATH_COLUMNS) if name in usable]
    named = f"it has {', '.join(map(repr, schema.names[:20]))}"
    if wanted is not None:
        if wanted not in usable:
            what = "is not of bytes or text" if wanted in schema.names else "is not there"
            raise ImageError("unsupported", f"the column {wanted!r} {what}; {named}")
        return wanted
    if not known:
        raise ImageError("unsupported", f"say which --column holds the images; {named}")
    return known[0]


def _holds_images(pa: Any, kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in (*binary, *text))


def _check_group(group: Any, column: str) -> None:
    """Refuse a row group that says of itself that it is a bomb."""
    for k in range(group.num_columns):
        chunk = group.column(k)
        if chunk.path_in_schema.split(".")[0] == column:
            check_growth(chunk.total_uncompressed_size, chunk.total_compressed_size)
