"""The manipulation set: photos, edited copies of them, and masks that say which pixels changed.

GAMMA (arXiv 2509.10250) learns from it where an image was made or moved. `read_manipulation_set`
gives a manifest's rows as samples, `load_masks` a sample's two masks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError

Masks = npt.NDArray[np.bool_]

UNTOUCHED, FULL = "none", "full"
GENERATED_KINDS = ("vae-region", "inpaint")
MOVED_KINDS = ("inpaint-classical", "copy-move", "splice")
KINDS = (*GENERATED_KINDS, *MOVED_KINDS, FULL)
"""What can be done to a photo; `full` replaces all of it."""


class ManipulationSetError(ValueError):
    """A set that cannot be used or built; the message says what to do."""


@dataclass(frozen=True)
class Sample:
    """One image of the set.

    Attributes:
        path: The image.
        generated: Mask of the pixels that a generator or decoder made, a PNG; None where there are
            none, and for `full`.
        moved: Mask of the pixels that were moved, are foreign, or were filled without a generator;
            None where there are none.
        full: Whether all pixels are generated.
        manipulation: One of `KINDS`, or `none` for a photo nobody touched.
        generator: What made the generated pixels; empty where nothing did.
        source: Where the photo came from.
        split: `train`, `val`, ..., or empty.
        label: `real` or `fake`, as the set was built.
        original: The untouched photo, of the same size and with the same pixels outside the masks;
            None where it is not in the set, or either was perturbed.
    """

    path: str
    generated: str | None
    moved: str | None
    full: bool
    manipulation: str
    generator: str
    source: str
    split: str
    label: str
    original: str | None = None


def read_manipulation_set(manifest: Path) -> list[Sample]:
    """Read the manifest of a manipulation set.

    Args:
        manifest: A `.parquet` or `.csv` file with the columns of every manifest, `mask` for the
            generated pixels, and `mask_moved` and `manipulation`.

    Raises:
        ManipulationSetError: A row does not say what was done to the image, or has no mask of it.
        ManifestError: The manifest cannot be read.
    """
    rows = read_manifest(manifest)
    photos = {row.path for row in rows if not row.extra.get("perturbation")}
    return [
        _sample(row, f"{manifest}, row {n}", manifest, photos)
        for n, row in enumerate(rows, start=1)
    ]


def load_masks(sample: Sample, height: int, width: int) -> Masks:
    """The masks of a sample: generated pixels, moved pixels.

    Args:
        sample: Of `read_manipulation_set`.
        height: Of its image, pixels.
        width: Of its image, pixels.

    Returns:
        (height, width, 2) bool.

    Raises:
        ManipulationSetError: A mask cannot be read, has another size than its image, or marks no
            pixel.
    """
    masks = np.zeros((height, width, 2), np.bool_)
    if sample.full:
        masks[..., 0] = True
    for head, path in enumerate((sample.generated, sample.moved)):
        if path is not None:
            masks[..., head] = read_mask(path, height, width)
    return masks


def read_mask(path: str | Path, height: int, width: int) -> Masks:
    """A mask file for an image of this size, (height, width) bool: true where it is light.

    Raises:
        ManipulationSetError: It cannot be read, has another size, or marks no pixel.
    """
    try:
        mask: Masks = decode(read_bytes(path), path=str(path)).pixels.max(axis=2) > 127
    except ImageError as error:
        raise ManipulationSetError(f"the mask {path} cannot be used: {error.message}") from error
    if mask.shape != (height, width):
        raise ManipulationSetError(
            f"the mask {path} has {mask.shape[1]} x {mask.shape[0]} pixels and its image "
            f"{width} x {height}; they must be equal"
        )
    if not mask.any():
        raise ManipulationSetError(f"the mask {path} marks no pixel; leave it out or replace it")
    return mask


def _sample(row: Row, place: str, manifest: Path, photos: Collection[str]) -> Sample:
    manipulation = str(row.extra.get("manipulation", ""))
    if manipulation not in (UNTOUCHED, *KINDS):
        raise ManipulationSetError(
            f"{place}: manipulation is {manipulation!r}, expected one of none, {', '.join(KINDS)}"
        )
    moved = _path(row.extra, "mask_moved", manifest)
    if manipulation in GENERATED_KINDS and not row.mask:
        raise ManipulationSetError(f"{place}: {manipulation} needs a mask in the column 'mask'")
    if manipulation in MOVED_KINDS and moved is None:
        raise ManipulationSetError(
            f"{place}: {manipulation} needs a mask in the column 'mask_moved'"
        )
    if manipulation in (UNTOUCHED, FULL) and (row.mask or moved is not None):
        raise ManipulationSetError(f"{place}: {manipulation} takes no mask; leave it empty")
    return Sample(
        path=row.path,
        generated=row.mask or None,
        moved=moved,
        full=manipulation == FULL,
        manipulation=manipulation,
        generator=row.generator,
        source=row.source,
        split=row.split,
        label=row.label,
        original=row.pair if row.pair in photos and row.path in photos else None,
    )


def _path(extra: Mapping[str, str | int | float], column: str, manifest: Path) -> str | None:
    """A further column's path, joined to the manifest's folder as `mask` is."""
    value = extra.get(column)
    return str(manifest.parent / str(value)) if value else None
