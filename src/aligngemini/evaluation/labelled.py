"""Records that `aligngemini detect` wrote, joined with the labels of a manifest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from aligngemini.datasets.manifest import Row
from aligngemini.evidence import Evidence, Problem
from aligngemini.verdict import Verdict

EVIDENCE_FIELDS = (
    *("verdict", "score", "threshold", "threshold_real", "model", "ms", "remark"),
    *("skipped", "false_alarm_rate", "false_alarm_bound", "explanation"),
)


class RecordsError(ValueError):
    """A file of records that cannot be used; the message says which line."""


@dataclass(frozen=True)
class Labelled:
    """An image whose label is known and that was judged, or could not be."""

    row: Row
    verdict: Verdict


@dataclass(frozen=True)
class Joined:
    """Records and labels together.

    Attributes:
        images: One for each row that has a record, in the manifest's order.
        rows_left: Rows no record belongs to.
        records_left: Records no row belongs to.
    """

    images: list[Labelled]
    rows_left: int
    records_left: int


def read_records(path: Path) -> list[Verdict]:
    """Read JSON Lines as `aligngemini detect --format jsonl` writes them.

    What a record says of each branch comes back but for the findings of provenance.

    Raises:
        RecordsError: The file cannot be read, or a line of it is no record.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordsError(f"cannot read {path}: {error}") from error
    return [
        _read_line(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def join_labels(rows: Sequence[Row], verdicts: Iterable[Verdict]) -> Joined:
    """Find the record of each row: by path, else by the SHA-256 of the row's file.

    Args:
        rows: Of a manifest. A column `sha256` saves reading the file.
        verdicts: Records; relative paths count from the working directory. Of several with one
            path the first is taken.
    """
    verdicts = list(verdicts)
    by_path = {Path(verdict.path).resolve(): verdict for verdict in reversed(verdicts)}
    by_digest: dict[str | None, Verdict] = {
        verdict.sha256: verdict for verdict in reversed(verdicts) if verdict.sha256 is not None
    }
    images = []
    for row in rows:
        verdict = by_path.get(Path(row.path).resolve()) or by_digest.get(_digest(row))
        if verdict is not None:
            images.append(Labelled(row, verdict))
    used = {id(image.verdict) for image in images}
    unused = sum(id(verdict) not in used for verdict in verdicts)
    return Joined(images, rows_left=len(rows) - len(images), records_left=unused)


def _digest(row: Row) -> str | None:
    if "sha256" in row.extra:
        return str(row.extra["sha256"]).lower()
    try:
        return sha256(Path(row.path).read_bytes()).hexdigest()
    except OSError:
        return None


def _read_line(line: str, where: str) -> Verdict:
    try:
        return _verdict(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordsError(f"{where}: no record of aligngemini detect --format jsonl") from error


def _verdict(record: Mapping[str, Any]) -> Verdict:
    error = record["error"]
    return Verdict(
        path=record["path"],
        sha256=record["sha256"],
        width=record["width"],
        height=record["height"],
        format=record["format"],
        verdict=record["verdict"],
        score=record["score"],
        fusion=record["fusion"],
        branches={name: _evidence(one) for name, one in record["branches"].items()},
        error=None if error is None else Problem(**error),
    )


def _evidence(record: Mapping[str, Any]) -> Evidence:
    values = {name: record.get(name) for name in EVIDENCE_FIELDS}
    error = record.get("error")
    return Evidence(
        **values,
        signals=() if "signals" in record else None,
        error=None if error is None else Problem(**error),
    )
