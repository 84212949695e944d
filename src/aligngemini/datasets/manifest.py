"""The manifest: one row an image, the one table that builders write and trainers read.

Columns: `path` (relative to the manifest's folder, or absolute), `label` (`real` or `fake`),
`generator` (for fakes), `source` (where the file came from), `split`, `mask`, `pair`; the last
three may be empty. Parquet on disk, CSV accepted.
"""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LABELS = ("real", "fake")


class ManifestError(ValueError):
    """A manifest that cannot be used; the message says which row and what to do."""


@dataclass(frozen=True)
class Row:
    """One image of a data set."""

    path: str
    label: str
    generator: str = ""
    source: str = ""
    split: str = ""
    mask: str = ""
    pair: str = ""


COLUMNS = tuple(field.name for field in fields(Row))


def read_manifest(path: Path) -> list[Row]:
    """Read a manifest; relative paths come back joined to its folder.

    Args:
        path: A `.csv` or `.parquet` file with at least `path` and `label`.

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
        values["path"] = str(path.parent / values["path"])
        rows.append(Row(**values))
    return rows


def write_manifest(rows: Iterable[Row], path: Path) -> None:
    """Write rows as they are, to `.csv` or `.parquet` by the suffix."""
    records = [asdict(row) for row in rows]
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(records)
        return
    import pyarrow as pa  # noqa: PLC0415 - Parquet belongs to the train extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(records, schema=schema), path)


def _read_records(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark first
            return list(csv.DictReader(file))
    import pyarrow.parquet as pq  # noqa: PLC0415 - Parquet belongs to the train extra

    records: list[dict[str, str]] = pq.read_table(path).to_pylist()
    return records
