"""The manipulation set's folder: its images and masks, its journal, and the tables at the end."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.datasets.manipulations.base import Manipulated, Mask, Pixels
from aligngemini.datasets.photos import Photo, clean_text
from aligngemini.datasets.pixel_set_files import in_validation, write_whole

Record = dict[str, Any]

IMAGES, MASKS = "images", "masks"
DONE = "photos.jsonl"
HEADS = ("generated", "moved")


def save_image(out: Path, name: str, pixels: Pixels) -> str:
    """Save an image, whole or not at all; gives its path in the folder."""
    path = f"{IMAGES}/{name}.png"
    _save_png(out / path, pixels, compress_level=1)
    return path


def save_masks(out: Path, name: str, masks: Mask) -> dict[str, str]:
    """Save the masks (H, W, 2) that mark anything; gives their paths by the name of the head."""
    paths = {}
    for head, mask in zip(HEADS, np.moveaxis(masks, -1, 0), strict=True):
        if mask.any():
            paths[head] = f"{MASKS}/{name}-{head}.png"
            _save_png(out / paths[head], mask.astype(np.uint8) * 255, compress_level=6)
    return paths


def masks_of(image: Manipulated) -> Mask:
    """Both masks of an edited photo, (H, W, 2) bool."""
    return np.stack([image.generated, image.moved], axis=-1)


def photo_name(photo: Photo) -> str:
    """Name of a photo's files, without a suffix."""
    return Path(photo.name).stem


def recorded(out: Path) -> dict[str, Record]:
    """Photos of earlier runs whose files are all there, by path."""
    found = {}
    for record in read_journals(out / "journal", DONE):
        if all((out / path).is_file() for row in record["rows"] for path in _files(row)):
            found[record["original"]] = record
    return found


def write_set_manifest(out: Path, records: Sequence[Record], val_share: float) -> None:
    """Write `manifest.parquet`."""
    rows = [row for record in records for row in _rows(record, val_share)]
    write_manifest(rows, out / "manifest.parquet")


def _rows(record: Record, val_share: float) -> Iterator[Row]:
    original = clean_text(record["original"])
    shared: dict[str, str | int | float] = {
        "original": original,
        "original_sha256": record["original_sha256"],
    }
    if record["quality"] is not None:
        shared |= {"quality": record["quality"], "subsampling": record["subsampling"]}
    split = "val" if in_validation(record["original_sha256"], val_share) else "train"
    for row in record["rows"]:
        masks: Mapping[str, str] = row["masks"]
        extra = {
            "mask_moved": masks.get("moved", ""),
            "manipulation": row["manipulation"],
            "perturbation": row["perturbation"],
            "width": row["width"],
            "height": row["height"],
            **shared,
            **row["drawn"],
        }
        yield Row(
            path=row["path"],
            label=row["label"],
            generator=row["generator"],
            source=str(Path(original).parent),
            split=split,
            mask=masks.get("generated", ""),
            pair=row["pair"],
            extra=extra,
        )


def _files(row: Record) -> Iterator[str]:
    yield from (path for path in (row["path"], row["pair"]) if path)
    yield from row["masks"].values()


def _save_png(path: Path, pixels: Pixels, *, compress_level: int) -> None:
    file = io.BytesIO()
    PILImage.fromarray(pixels).save(file, "PNG", compress_level=compress_level)
    write_whole(path, file.getvalue())
