"""The semantic set's folder: what lies in it, its journals, and the tables written at the end."""

import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from aligngemini.datasets.candidates import Candidate
from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.datasets.matching import Match, Pixels, Seen
from aligngemini.datasets.photos import Failure
from aligngemini.datasets.pixel_set_files import in_validation, write_failures, write_whole

Record = dict[str, Any]

LABELS = ("fake", "real")
SEEN, PAIRS = "seen.jsonl", "pairs.jsonl"


def prepare(out: Path) -> None:
    """Make the folders, and clear what a killed run left half written."""
    for label in LABELS:
        (out / "images" / label).mkdir(parents=True, exist_ok=True)
    (out / "unpacked").mkdir(exist_ok=True)
    for path in out.glob("images/*/.*.partial"):
        path.unlink()


def seen_record(seen: Seen) -> Record:
    """What the journal keeps of an image that can be used."""
    return {
        "key": seen.candidate.key,
        **{name: value for name, value in asdict(seen).items() if name != "candidate"},
    }


def recorded_seen(out: Path, candidates: Sequence[Candidate]) -> dict[str, Seen]:
    """Images that an earlier run found usable, by the candidate's key."""
    by_key = {candidate.key: candidate for candidate in candidates}
    found = {}
    for record in read_journals(out / "journal", SEEN):
        key = record.pop("key")
        if key in by_key:
            found[key] = Seen(by_key[key], **record)
    return found


def recorded_pairs(out: Path, matches: Sequence[Match]) -> dict[str, Record]:
    """Pairs that an earlier run finished, by the match's key."""
    wanted = {pair.key for pair in matches}
    return {
        record["key"]: record
        for record in read_journals(out / "journal", PAIRS)
        if record["key"] in wanted
        and all((out / record[label]["path"]).is_file() for label in LABELS)
    }


def origin(seen: Seen) -> Record:
    """Where an image lies in the set, and what it was made from."""
    candidate = seen.candidate
    return {
        "path": f"images/{candidate.label}/{seen.sha256[:16]}.png",
        "generator": candidate.generator,
        "source": candidate.source,
        "original": candidate.name,
        "original_sha256": seen.sha256,
        "original_width": seen.width,
        "original_height": seen.height,
        "instruction": candidate.instruction,
    }


def save_png(path: Path, pixels: Pixels) -> None:
    """Save an image, whole or not at all."""
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "PNG", compress_level=1)
    write_whole(path, file.getvalue())


def finish(
    out: Path, records: Sequence[Record], failures: Sequence[Failure], val_share: float
) -> None:
    """Write `failed.csv` and then, if there is a pair, `manifest.parquet`; clear the rest away."""
    write_failures(out, failures)
    if not records:
        return
    # Of matches that an earlier run made from fewer or other images.
    needed = {out / record[label]["path"] for record in records for label in LABELS}
    for path in out.glob("images/*/*.png"):
        if path not in needed:
            path.unlink()
    rows = [row for record in records for row in _rows(record, val_share)]
    write_manifest(rows, out / "manifest.parquet")
    shutil.rmtree(out / "unpacked")


def _rows(record: Record, val_share: float) -> Iterator[Row]:
    # Both of a match belong to one split. `pair` stays empty: that column is for reconstructions.
    fake = record["fake"]["original_sha256"]
    split = "val" if in_validation(fake, val_share) else "train"
    shared = {
        "match": fake[:16],
        **{name: record[name] for name in ("width", "height", "kept", "fit_filter")},
        **{name: value for name, value in record["degradation"].items() if value is not None},
    }
    for label in LABELS:
        image = dict(record[label])
        path, generator, source = (image.pop(name) for name in ("path", "generator", "source"))
        extra = {**shared, **{name: value for name, value in image.items() if value != ""}}
        yield Row(path, label, generator, source, split, extra=extra)
