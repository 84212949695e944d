"""What a store holds, as files for other programs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO

from aligngemini.evidence import Problem, branch_kind
from aligngemini.report.record import RecordError, parse_record
from aligngemini.scan.near import NearIndex
from aligngemini.scan.status import KnownDetector
from aligngemini.scan.store import Store, StoreError, from_column
from aligngemini.verdict import Verdict

ROWS = 2048  # a time, into a Parquet file

_ROWS = """
SELECT i.address, i.error, i.message, j.record
FROM inputs i LEFT JOIN judgments j ON j.sha256 = i.sha256 AND j.detector = ?
WHERE i.sha256 IS NULL OR j.id IS NOT NULL
ORDER BY i.id
"""


@dataclass(frozen=True)
class Row:
    """One input and its record.

    Attributes:
        path: Its address.
        record: As `aligngemini detect` writes it.
    """

    path: str
    record: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """The verdict that the record is of.

        Raises:
            StoreError: It is damaged.
        """
        return verdict_of(self.path, self.record)


def rows(store: Store, detector: KnownDetector) -> Iterator[Row]:
    """The inputs of a store in the order in which they came, but for what only others judged.

    Raises:
        StoreError: It cannot be read.
    """
    fusion = str(detector.about["fusion"]).partition("@")[0]
    with store.explained():
        for address, code, message, record in store.connection.execute(_ROWS, (detector.id,)):
            path = from_column(address)
            if record is None:
                failed = Verdict(path, fusion=fusion, error=Problem(code, message))
                yield Row(path, failed.to_dict())
            else:
                yield Row(path, read_record(path, record))


def read_record(path: str, text: str) -> dict[str, Any]:
    """The record of an input, out of what the store holds of its content.

    Raises:
        StoreError: It is damaged.
    """
    try:
        return {"path": path, **json.loads(text)}
    except (ValueError, TypeError) as error:
        raise StoreError(f"the record of {path} in the store is damaged") from error


def verdict_of(path: str, record: dict[str, Any]) -> Verdict:
    """The verdict that a record states.

    Raises:
        StoreError: It is damaged.
    """
    try:
        return replace(parse_record({**record, "path": ""}), path=path)
    except RecordError as error:
        raise StoreError(f"the record of {path} in the store is damaged: {error}") from error


def write_jsonl(found: Iterable[Row], file: BinaryIO) -> None:
    """Write a record a line."""
    for row in found:
        file.write(json.dumps(row.record).encode() + b"\n")


def write_groups(store: Store, file: BinaryIO) -> int:
    """Write a group of near-duplicates a line, the largest first; gives their number.

    Raises:
        StoreError: The store cannot be read.
    """
    count = 0
    with store.explained():
        for group in NearIndex(store.connection).groups():
            images = [
                {"sha256": copy.sha256, "bits": copy.distance, "paths": _paths(store, copy.sha256)}
                for copy in group
            ]
            line = json.dumps({"first": group[0].leader, "images": images})
            file.write(line.encode() + b"\n")
            count += 1
    return count


def _paths(store: Store, sha256: str) -> list[str]:
    """Where a content was found."""
    found = store.connection.execute(
        "SELECT address FROM inputs WHERE sha256 = ? ORDER BY id", (sha256,)
    )
    return [from_column(address) for (address,) in found]


def write_parquet(found: Iterable[Row], file: BinaryIO, detector: KnownDetector) -> None:
    """Write a table: what most ask for in columns, and the whole record as JSON.

    Raises:
        ImportError: pyarrow is missing.
    """
    import pyarrow as pa  # noqa: PLC0415 - of the scan extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    branches = [name for name in detector.about["models"] if branch_kind(name) != "provenance"]
    columns = {
        **dict.fromkeys(("path", "sha256", "format", "verdict"), pa.string()),
        **dict.fromkeys(("width", "height"), pa.int32()),
        "score": pa.float64(),
        **{f"{name}_score": pa.float64() for name in branches},
        **{f"{name}_verdict": pa.string() for name in branches},
        **dict.fromkeys(("error_code", "error_message", "record"), pa.string()),
    }
    schema = pa.schema(list(columns.items()))
    waiting = iter(found)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while some := list(islice(waiting, ROWS)):
            cells = [_cells(row.record) for row in some]
            writer.write_table(pa.Table.from_pylist(cells, schema=schema))


def _cells(record: dict[str, Any]) -> dict[str, Any]:
    """A record's columns."""
    branches = record["branches"].items()
    error = record["error"] or {}
    return {
        **{name: record[name] for name in ("sha256", "format", "width", "height")},
        **{name: record[name] for name in ("verdict", "score")},
        **{f"{name}_score": branch.get("score") for name, branch in branches},
        **{f"{name}_verdict": branch.get("verdict") for name, branch in branches},
        "path": record["path"].encode("utf-8", "backslashreplace").decode(),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "record": json.dumps(record),
    }
