"""The pixel set's folder: whose it is, what lies in it, and the tables written at the end."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.datasets.photos import Failure, clean_text

PAIRS, FAILURES = "pairs-*.jsonl", "failures-*.jsonl"
REAL = "real"


class PixelSetError(Exception):
    """A set that cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Summary:
    """What a set holds.

    Attributes:
        photos: Photos with at least one reconstruction.
        pairs: Reconstructions.
        failed: Photos without, or not by every VAE.
        duplicates: Photos left out because an equal file is there.
    """

    photos: int
    pairs: int
    failed: int
    duplicates: int


def claim(out: Path, settings: Mapping[str, Any], *, what: str = "pixel set") -> None:
    """Make the folder this set's, or find that it is, and clear what a killed run left half done.

    Args:
        out: The folder.
        settings: What the set is made with, as JSON gives it back.
        what: Kind of the set, for the error.

    Raises:
        PixelSetError: It holds something else, or a set of other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "settings.json"
    if file.is_file():
        try:
            before = dict(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise PixelSetError(f"{file} is damaged; give another folder") from error
        for name, value in settings.items():
            if before.get(name) != value:
                raise PixelSetError(
                    f"{out} was begun with {name} {_shown(before.get(name))}, not {_shown(value)}; "
                    "give what it was begun with, or another folder"
                )
    elif any(not path.name.startswith(".") for path in out.iterdir()):
        raise PixelSetError(f"{out} is not empty and holds no {what}; give another folder")
    else:
        write_whole(file, (json.dumps(settings, indent=2) + "\n").encode())
    for path in (*out.glob("*/.*.partial"), *out.glob(f"journal/{FAILURES}")):
        path.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever finds half of it under its name."""
    # Threads and processes may be writing the same photo.
    partial = path.with_name(f".{path.stem}.{os.getpid()}-{get_ident()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def pair_paths(record: Mapping[str, Any]) -> tuple[str, str]:
    """Where the photo and the reconstruction of a pair lie in the folder."""
    return f"{REAL}/{record['name']}", f"{record['vae']}/{record['name']}"


def recorded_pairs(out: Path) -> list[dict[str, Any]]:
    """Pairs whose files are both there, by the order of their photos."""
    pairs = {
        (record["original"], record["vae"]): record
        for record in read_journals(out / "journal", PAIRS)
        if all((out / path).is_file() for path in pair_paths(record))
    }
    return sorted(pairs.values(), key=lambda record: (record["number"], record["original"]))


def finish(out: Path, val_share: float) -> Summary:
    """Write `failed.csv` and then `manifest.parquet` from the journals of all processes.

    Raises:
        PixelSetError: There is no pair.
    """
    pairs, duplicates = _without_duplicates(out, recorded_pairs(out))
    failures = [Failure(**record) for record in read_journals(out / "journal", FAILURES)]
    failures = sorted({*failures, *duplicates})
    write_failures(out, failures)
    if not pairs:
        raise PixelSetError(f"no photo could be used; {out / 'failed.csv'} says why")
    write_manifest(_rows(pairs, val_share), out / "manifest.parquet")
    failed = {failure.path for failure in failures if failure.code != "duplicate"}
    photos = {record["original"] for record in pairs}
    return Summary(len(photos), len(pairs), len(failed), len({f.path for f in failures} - failed))


def write_failures(out: Path, failures: Iterable[Failure]) -> None:
    """Write `failed.csv`: path, code and reason."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(Failure._fields[1:])
    writer.writerows([clean_text(cell) for cell in failure[1:]] for failure in failures)
    write_whole(out / "failed.csv", table.getvalue().encode())


def duplicate(number: int, path: str, original: str) -> Failure:
    """The entry of a photo whose file equals another's."""
    return Failure(number, path, "duplicate", f"the same file as {original}")


def in_validation(sha256: str, share: float) -> bool:
    """Whether a photo is one of the share kept for validation; by its hash, so it stays there."""
    return int(sha256[:8], 16) < share * 2**32


def _without_duplicates(
    out: Path, pairs: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Keep the first photo of equal files: two processes may each have taken one."""
    first: dict[str, str] = {}
    kept, duplicates = [], []
    for record in pairs:
        original = first.setdefault(record["original_sha256"], record["original"])
        if original == record["original"]:
            kept.append(record)
        else:
            duplicates.append(duplicate(record["number"], record["original"], original))
    needed = {path for record in kept for path in pair_paths(record)}
    for record in pairs:
        for path in pair_paths(record):
            if path not in needed:
                (out / path).unlink(missing_ok=True)
    return kept, duplicates


def _rows(pairs: Iterable[Mapping[str, Any]], val_share: float) -> list[Row]:
    rows: list[Row] = []
    seen: set[str] = set()
    for record in pairs:
        real, fake = pair_paths(record)
        original = clean_text(record["original"])
        place = {
            "source": str(Path(original).parent),
            "split": "val" if in_validation(record["original_sha256"], val_share) else "train",
        }
        photo = {name: record[name] for name in ("width", "height", "original_sha256")}
        photo["original"] = original
        if record["quality"] is not None:
            photo |= {"quality": record["quality"], "subsampling": record["subsampling"]}
        if real not in seen:
            seen.add(real)
            rows.append(Row(real, "real", **place, extra=photo))
        made = ("vae", "vae_revision", "dtype", "posterior", "psnr")
        extra = {**photo, **{name: record[name] for name in made}}
        rows.append(Row(fake, "fake", record["vae"], **place, pair=real, extra=extra))
    return rows


def _shown(value: Any) -> str:
    return json.dumps(value)
