"""The benchmark's folder: AIGI-Now's layout, and the tables written at the end."""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.datasets.photos import Failure
from aligngemini.datasets.pixel_set_files import write_failures

Record = dict[str, Any]

CLASSES = {"real": "0_real", "fake": "1_fake"}
PARTS = ("pixel", "semantic")
PAIRS = "pairs.jsonl"


def recorded_pairs(out: Path) -> dict[str, Record]:
    """Pairs that an earlier run finished, by the match's key."""
    return {
        record["key"]: record
        for record in read_journals(out / "journal", PAIRS)
        if all((out / path).is_file() for path in _paths(record))
    }


def finish(out: Path, records: Sequence[Record], failures: Sequence[Failure]) -> list[Row]:
    """Write `failed.csv` and, if there is a pair, `manifest.parquet`; clear the rest away.

    Returns:
        The manifest's rows.
    """
    write_failures(out, failures)
    rows = [row for record in records for row in _rows(record)]
    if rows:
        # Of matches that an earlier run made from fewer or other images.
        needed = {row.path for row in rows}
        for part in PARTS:
            for path in out.glob(f"*/{part}/*/*.jpg"):
                if path.relative_to(out).as_posix() not in needed:
                    path.unlink()
        write_manifest(rows, out / "manifest.parquet")
        shutil.rmtree(out / "unpacked")
    return rows


def group_name(generator: str) -> str:
    """A generator's name as a folder's; two that would share one are kept apart."""
    name = re.sub(r"[^\w.-]+", "-", generator).strip(".-")[:60] or "unknown"
    if name == generator or not generator:
        return name
    return f"{name}-{hashlib.sha256(generator.encode()).hexdigest()[:6]}"


def image_path(record: Record, part: str, label: str) -> str:
    """Where an image of a pair lies in the folder."""
    return f"{record['group']}/{part}/{CLASSES[label]}/{record[label]['name']}"


def _paths(record: Record) -> list[str]:
    return [image_path(record, part, label) for part in PARTS for label in CLASSES]


def _rows(record: Record) -> Iterator[Row]:
    for part in PARTS:
        for label in CLASSES:
            image = record[label]
            extra = {
                "subset": f"{record['group']}/{part}",
                "match": record["fake"]["original_sha256"][:16],
                **record[part],
                **{name: image[name] for name in ("original", "original_sha256")},
            }
            generator = image["generator"] or "unknown" if label == "fake" else ""
            path = image_path(record, part, label)
            yield Row(path, label, generator, image["source"], "test", extra=extra)
