"""Scores that another program gave, joined with the labels of a benchmark."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.evaluate import printable_path, subset_of
from aligngemini.evaluation.scores import ScoreRow, ScoresError

VERDICTS = ("fake", "real", "undecided")
NO_SCORE = "no-score"
"""Error code of an image that the file says nothing of."""


@dataclass(frozen=True)
class Foreign:
    """What a file of scores says of one image.

    Attributes:
        path: As the file has it.
        score: P(fake) in [0, 1], or None.
        verdict: `fake`, `real` or `undecided`, or None where the file has no verdicts.
    """

    path: str
    score: float | None
    verdict: str | None = None


def read_foreign(path: Path) -> list[Foreign]:
    """Read a file of scores.

    Args:
        path: `.csv` with a header, `.jsonl` or `.parquet`, with `path` and `score`, and `verdict`
            if there is one; other columns are passed over. Records of `aligngemini detect` will do.

    Raises:
        ScoresError: It is none, a score is no probability, or a path is there twice.
    """
    try:
        records = _records(path)
    except (OSError, ValueError, csv.Error) as error:  # Arrow's and JSON's are among these
        raise ScoresError(f"{path} cannot be read: {error}") from error
    found = [_foreign(one, f"{path}, record {k}") for k, one in enumerate(records, start=1)]
    seen = set()
    for one in found:
        if one.path in seen:
            raise ScoresError(f"{path}: {one.path} is there twice; which score is meant?")
        seen.add(one.path)
    return found


def join_foreign(
    rows: Sequence[Row], scores: Iterable[Foreign], *, name: str, root: Path, protocol: str
) -> tuple[list[ScoreRow], int]:
    """Rows of scores for the images of a benchmark.

    Args:
        rows: The images. Those without a score become rows with the error `no-score`.
        scores: Relative paths count from `root` or, where that leads nowhere, from the working
            directory.
        name: Of the file; the branch is `file:NAME`.
        root: The benchmark's folder.
        protocol: Under which the scores were made.

    Returns:
        The rows, and how many scores belong to no image.

    Raises:
        ScoresError: No score belongs to any image.
    """
    wanted = {_place(row.path, Path()) for row in rows}
    by_place: dict[str, Foreign] = {}
    left = 0
    for one in scores:
        places = (_place(one.path, root), _place(one.path, Path()))
        place = next((place for place in places if place in wanted), None)
        if place is None:
            left += 1
        else:
            by_place[place] = one
    if rows and not by_place:
        raise ScoresError(
            f"none of the {left} paths in {name} is an image of the benchmark; one of its images "
            f"is {rows[0].path}"
        )
    joined = []
    for row in rows:
        one = by_place.get(_place(row.path, Path()), Foreign(row.path, None))
        joined.append(
            ScoreRow(
                path=printable_path(row.path),
                sha256="",
                label=row.label,
                subset=subset_of(row),
                generator=row.generator,
                source=row.source,
                protocol=protocol,
                branch=f"file:{name}",
                model=name,
                score=one.score,
                verdict=one.verdict,
                threshold=None,
                threshold_real=None,
                error=NO_SCORE if one.score is None and one.verdict is None else "",
            )
        )
    return joined, left


def _place(path: str, folder: Path) -> str:
    return os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118 - 100,000 of them


def _records(path: Path) -> list[Mapping[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    if path.suffix in (".jsonl", ".ndjson"):
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines if line.strip()]
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        kept = [name for name in ("path", "score", "verdict") if name in table.column_names]
        records: list[Mapping[str, Any]] = pa.table(table.select(kept)).to_pylist()
        return records
    raise ValueError("scores come as .csv, .jsonl or .parquet")


def _foreign(record: Any, where: str) -> Foreign:
    if not isinstance(record, dict) or not record.get("path"):
        raise ScoresError(f"{where}: there is no path")
    if "score" not in record:
        raise ScoresError(f"{where}: there is no column 'score'")
    text, verdict = record["score"], record.get("verdict") or None
    try:
        score = None if text in (None, "") else float(text)
    except (TypeError, ValueError):
        raise ScoresError(f"{where}: the score {text!r} is no number") from None
    if score is not None and not 0 <= score <= 1:
        raise ScoresError(f"{where}: the score {score} is no probability of fake between 0 and 1")
    if verdict is not None and verdict not in VERDICTS:
        raise ScoresError(f"{where}: verdict is {verdict!r}, expected {', '.join(VERDICTS)}")
    return Foreign(str(record["path"]), score, verdict)
