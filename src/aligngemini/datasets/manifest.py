"""The manifest: one row an image, the one table that builders write and trainers read.

Columns: `path` (relative to the manifest's folder, or absolute), `label` (`real` or `fake`),
`generator` (for fakes), `source` (where the file came from), `split`, `mask`, `pair`; the last
three may be empty. `mask` and `pair` are paths like `path`. Builders may add columns of their own.
Parquet on disk, CSV accepted.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

LABELS = ("real", "fake")


class ManifestError(ValueError):
    """A manifest that cannot be used; the message says which row and what to do."""


@dataclass(frozen=True)
class Row:
    """One image of a data set.

    Attributes:
        extra: What other columns hold, by name; empty cells are left out. Not compared.
    """

    path: str
    label: str
    generator: str = ""
    source: str = ""
    split: str = ""
    mask: str = ""
    pair: str = ""
    extra: Mapping[str, str | int | float] = field(default_factory=dict, compare=False)


COLUMNS = tuple(field.name for field in fields(Row) if field.name != "extra")
PATHS = ("path", "mask", "pair")


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest; relative paths come back joined to its folder.

    Args:
        path: A `.csv` or `.parquet` file with at least `path` and `label`. Columns beyond
            `COLUMNS` go to `Row.extra`, with Parquet's types; CSV knows only text.

    Raises:
        ManifestError: The file is missing, damaged or of another kind, lacks a column, or has a row
            whose label is not `real` or `fake`.
    """
    if not path.is_file():
        raise ManifestError(f"no manifest at {path}")
    if path.suffix not in (".csv", ".parquet"):
        raise ManifestError(f"{path}: a manifest is a .csv or a .parquet file")
    try:
        records = _read_records(path)
    except (OSError, ValueError, csv.Error) as error:  # Arrow's errors are ValueErrors or OSErrors
        raise ManifestError(f"{path} cannot be read: {error}") from error
    rows = []
    for number, record in enumerate(records, start=1):
        if not record.get("path"):
            raise ManifestError(f"{path}, row {number}: the column 'path' is missing or empty")
        if record.get("label") not in LABELS:
            raise ManifestError(
                f"{path}, row {number}: label is {record.get('label')!r}, expected real or fake"
            )
        values = {name: record.get(name) or "" for name in COLUMNS}
        for name in PATHS:
            values[name] = str(path.parent / values[name]) if values[name] else ""
        extra = {
            name: value
            for name, value in record.items()
            if name not in COLUMNS and name is not None and value not in (None, "")
        }
        rows.append(Row(**values, extra=extra))
    return rows


def write_manifest(rows: Iterable[Row], path: Path) -> None:
    """Write rows as they are, to `.csv` or `.parquet` by the suffix.

    What the rows carry in `extra` follows the fixed columns. The file is replaced whole or not at
    all.

    Raises:
        ManifestError: A column holds both texts and numbers, or one has a fixed column's name.
    """
    rows = list(rows)
    others = dict.fromkeys(name for row in rows for name in row.extra)
    if clash := others.keys() & set(COLUMNS):
        raise ManifestError(f"{path}: the column {min(clash)!r} is there twice")
    cells = {
        **{name: [getattr(row, name) for row in rows] for name in COLUMNS},
        **{name: [row.extra.get(name) for row in rows] for name in others},
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        (_write_csv if path.suffix == ".csv" else _write_parquet)(cells, partial)
        partial.replace(path)
    except ValueError as error:  # Arrow's errors are
        raise ManifestError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_csv(cells: Mapping[str, list[Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))


def _write_parquet(cells: Mapping[str, list[Any]], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - Parquet belongs to the train extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    types = {name: pa.string() for name in COLUMNS}
    columns = {name: pa.array(values, types.get(name)) for name, values in cells.items()}
    pq.write_table(pa.table(columns), path)


def _read_records(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark first
            return list(csv.DictReader(file))
    import pyarrow.parquet as pq  # noqa: PLC0415 - Parquet belongs to the train extra

    records: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return records
