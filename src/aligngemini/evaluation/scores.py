"""Scores of an evaluation on disk: one row for each image, protocol and branch, as Parquet.

Everything that an evaluation reports is computed from these rows, so a figure can be added or
doubted later without judging an image again.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aligngemini.datasets.manifest import LABELS

SHARED = "*"
"""The `subset` of photos that every subset is compared with."""
FUSED = "fused"
"""The `branch` of the fusion rule."""


class ScoresError(ValueError):
    """A file of scores that cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What one branch says of one image under one protocol.

    Attributes:
        path: Of the image.
        sha256: Of its file's bytes, as they are on disk; empty where they could not be read.
        label: `real` or `fake`, the truth.
        subset: Of the benchmark; `*` for photos that all subsets share.
        generator: Of a fake; empty for photos.
        source: Where the image comes from, as far as the benchmark says.
        protocol: `as-is`, `fakes-jpeg96`, `all-alike`, or a delivery such as `jpeg:75`.
        branch: `fused`, `or@0.5`, `pixel`, `pixel-2`, `semantic`, `gamma`, `file:NAME`.
        model: `name@fingerprint` of what gave the score; the rule and all models for `fused`.
        score: P(fake) in [0, 1]; None where the branch gave none.
        verdict: `fake`, `real`, `undecided`, or None where there is none.
        threshold: Scores from here up are `fake`; None where the branch names none.
        threshold_real: Scores below are `real`.
        error: Why the image could not be judged, as a code of `verdict.ErrorCode`; empty when it
            was.
    """

    path: str
    sha256: str
    label: str
    subset: str
    generator: str
    source: str
    protocol: str
    branch: str
    model: str
    score: float | None
    verdict: str | None
    threshold: float | None
    threshold_real: float | None
    error: str


COLUMNS = tuple(field.name for field in fields(ScoreRow))
NUMBERS = ("score", "threshold", "threshold_real")
OPTIONAL = (*NUMBERS, "verdict")
# Words that repeat are kept once, in the file and in memory.
SCHEMA = pa.schema(
    [
        (name, pa.float64())
        if name in NUMBERS
        else (name, pa.string())
        if name in ("path", "sha256")
        else (name, pa.dictionary(pa.int32(), pa.string()))
        for name in COLUMNS
    ]
)


def write_scores(rows: Iterable[ScoreRow], path: Path) -> None:
    """Write rows as Parquet, whole or not at all. The same rows give the same bytes.

    Raises:
        OSError: The disk would not take it.
    """
    rows = list(rows)
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in SCHEMA]
    partial = path.with_name(f".{path.name}.partial")
    try:
        pq.write_table(pa.table(columns, schema=SCHEMA), partial, compression="zstd")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_scores(path: Path) -> list[ScoreRow]:
    """Read what `write_scores` wrote.

    Raises:
        ScoresError: There is no such file, it is none of this kind, or a row contradicts itself.
    """
    if not path.is_file():
        raise ScoresError(f"no scores at {path}")
    try:
        table = pq.read_table(path)
        if missing := [name for name in COLUMNS if name not in table.column_names]:
            raise ScoresError(f"{path} has no column {missing[0]!r}: it is no file of scores")
        cells = [_values(table.column(name), name) for name in COLUMNS]
    except ScoresError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:  # Arrow's are among these
        raise ScoresError(f"{path} cannot be read as scores: {error}") from error
    rows = [ScoreRow(*values) for values in zip(*cells, strict=True)]
    for number, row in enumerate(rows, start=1):
        _check(row, f"{path}, row {number}")
    return rows


def _values(column: Any, name: str) -> list[Any]:
    values = column.cast(pa.float64() if name in NUMBERS else pa.string())
    if name not in OPTIONAL and values.null_count:
        raise ValueError(f"the column {name!r} has empty cells")
    if name in ("path", "sha256", *NUMBERS):
        return list(values.to_pylist())
    # One Python text for each word, not for each row.
    words = values.combine_chunks().dictionary_encode()
    known = [*words.dictionary.to_pylist(), None]
    return [known[code] for code in words.indices.fill_null(len(known) - 1).to_pylist()]


def _check(row: ScoreRow, where: str) -> None:
    if row.label not in LABELS:
        raise ScoresError(f"{where}: label is {row.label!r}, expected real or fake")
    if row.score is not None and not 0 <= row.score <= 1:
        raise ScoresError(f"{where}: the score {row.score} is no probability")
    if any(
        value is not None and math.isnan(value) for value in (row.threshold, row.threshold_real)
    ):
        raise ScoresError(f"{where}: a threshold is not a number")
