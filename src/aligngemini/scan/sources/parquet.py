"""Images in Parquet files: their bytes, or paths and URLs of them, row by row."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.isolation import WorkerStartError, clean_context
from aligngemini.isolation_stream import stream_isolated
from aligngemini.scan.items import ScanItem
from aligngemini.scan.sources.lists import Follow
from aligngemini.scan.sources.locations import Location
from aligngemini.scan.sources.parquet_rows import Cell, Row, Rows
from aligngemini.scan.sources.readers import BytesReader

MEMORY = 4 << 30  # bytes that unpacking may take: pages of Arrow hold up to 1,024 images
PATIENCE = 300.0  # seconds for the next rows, from wherever they come


def parquet_items(file: Location, column: str | None, follow: Follow) -> Iterator[ScanItem]:
    """One item for each row of a Parquet file, named by its number from 0.

    The file is unpacked in a process of its own: what it does to Arrow ends that one alone.

    Args:
        file: The table.
        column: With the images: bytes, or as Hugging Face `datasets` writes them, or paths and
            URLs; None finds it by its name.
        follow: See `lists.Follow`.

    Raises:
        ImageError: While iterating: it cannot be read, or not beyond what came before.
    """
    for number, (stamp, cell) in enumerate(_rows(partial(Rows, file, column))):
        yield _item(f"{file.name}#{number}", stamp, cell, follow)


def _item(address: str, stamp: str, cell: Cell, follow: Follow) -> ScanItem:
    if isinstance(cell, Problem):
        return ScanItem(address, None, stamp, cell)
    if isinstance(cell, str):
        return follow(cell, address)
    return ScanItem(address, BytesReader(cell), stamp)


def _rows(prepare: Callable[[], Rows]) -> Iterator[Row]:
    """All rows, unpacked elsewhere.

    Raises:
        ImageError: While iterating: as `Rows` says, or the process came to harm.
    """
    try:
        parts = stream_isolated(
            prepare,
            count(),
            workers=1,
            timeout=PATIENCE,
            memory=MEMORY,
            context=clean_context(),
        )
        with closing(parts):
            for _, part in parts:
                if part is None:
                    return
                if isinstance(part, Problem):
                    raise ImageError(part.code, part.message)
                yield from part
    except WorkerStartError as error:
        raise ImageError("crashed", str(error)) from error
