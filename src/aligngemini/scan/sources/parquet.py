"""Images in Parquet files: their bytes, or paths and URLs of them, row by row."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.scan.items import ScanItem
from aligngemini.scan.sources.bombs import check_growth
from aligngemini.scan.sources.lists import PATH_COLUMNS, Follow
from aligngemini.scan.sources.locations import Location
from aligngemini.scan.sources.readers import BytesReader

if TYPE_CHECKING:
    import pyarrow.parquet as pq

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes", "picture")
"""Looked for in this order where nobody says which column it is; then those of paths."""

_ROWS = 1  # taken at once: what a row holds is bounded by nothing but the file
_BUFFER = 1 << 20


def parquet_items(file: Location, column: str | None, follow: Follow) -> Iterator[ScanItem]:
    """One item for each row of a Parquet file, named by its number from 0.

    Args:
        file: The table.
        column: With the images: bytes, or as Hugging Face `datasets` writes them, or paths and
            URLs; None finds it by its name.
        follow: See `lists.Follow`.

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
        row = 0
        for group in range(table.num_row_groups):
            stamp = f"{file.stamp}@{group}" if file.stamp else ""
            _check_group(table.metadata.row_group(group), name)
            for batch in table.iter_batches(
                _ROWS, row_groups=[group], columns=[name], use_threads=False
            ):
                for cell in batch.column(0):
                    address = f"{file.name}#{row}"
                    yield _item(address, stamp, cell.as_py(), follow)
                    row += 1


def _item(address: str, stamp: str, value: Any, follow: Follow) -> ScanItem:
    if isinstance(value, dict):  # of Hugging Face
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str) and value:
        return follow(value, address)
    if not value:
        return ScanItem(address, None, stamp, Problem("empty", "the cell is empty"))
    try:
        Limits().check_bytes(len(value))
    except ImageError as error:
        return ScanItem(address, None, stamp, error.problem)
    return ScanItem(address, BytesReader(value), stamp)


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
