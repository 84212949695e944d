"""Crops of an edited image with their masks, as GAMMA trains on them (arXiv 2509.10250).

Image and masks go the same way: resized, cropped and flipped together. How often what is drawn, and
every range, is not published; the settings are this project's own.
"""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aligngemini.datasets.augment import draw_flips, draw_steps
from aligngemini.datasets.crop_settings import CropSettings, CropShape, Delivery
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import UNTOUCHED, Sample, load_masks
from aligngemini.datasets.scaled_crop import Pixels, Step, scaled_crop
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import reencode
from aligngemini.images.item import ImageError
from aligngemini.images.views import pad_to

Item: TypeAlias = dict[str, Tensor]
Place: TypeAlias = tuple[float, float]
Shares: TypeAlias = npt.NDArray[np.float32]
Targets: TypeAlias = npt.NDArray[np.intp]

REAL, FAKE, UNKNOWN = 0.0, 1.0, -1.0
MASKS = 2
SCALING_FILTERS = ("bilinear", "bicubic", "lanczos")


def draw_crops(
    sample: Sample,
    side: int,
    shape: CropShape,
    settings: CropSettings,
    rng: np.random.Generator,
    *,
    count: int = 1,
) -> Item:
    """Crops of an image and its masks, each delivered, augmented and flipped together.

    Args:
        sample: The image and its masks.
        side: Of the crops, S pixels.
        shape: Of their masks and labels.
        settings: Of everything random.
        rng: Source of every draw.
        count: How many.

    Returns:
        For N crops, which is `count`, or twice that where each comes with that of the original:
        `pixels` (N, S, S, 3) uint8, `masks` (N, 2, S / map_stride, S / map_stride) float32, the
        marked share of every cell (generated, moved), and `labels` (N,), 1 for `fake`, 0 for
        `real`, -1 where too little is marked to say. An image smaller than the crop is mirrored at
        its lower and right edge, its masks with it.

    Raises:
        ManifestError: The image or its original cannot be read, or they differ in size.
        ManipulationSetError: One of its masks cannot be used.
    """
    pixels = read_pixels(sample.path)
    masks = load_masks(sample, *pixels.shape[:2])
    planes, marked = _planes(masks), masks.any(axis=2)
    # Of what is marked all over there is nothing to aim at.
    targets = np.argwhere(marked) if not marked.all() else np.empty((0, 2), np.intp)
    views = [(pixels, planes)]
    if settings.pairs and sample.original is not None and sample.manipulation != UNTOUCHED:
        views.append((_original(sample, pixels), np.zeros_like(planes)))
    crops = [
        crop for _ in range(count) for crop in _crop(views, targets, side, shape, settings, rng=rng)
    ]
    shares = np.stack([masks for _, masks in crops])
    return {
        "pixels": torch.from_numpy(np.stack([image for image, _ in crops])),
        "masks": torch.from_numpy(shares),
        "labels": torch.tensor([_label(one, shape, settings.min_share) for one in shares]),
    }


def collate(items: Sequence[Item]) -> Item:
    """Crops of several images to one batch."""
    return {name: torch.cat([item[name] for item in items]) for name in items[0]}


def _crop(
    views: Sequence[tuple[Pixels, Pixels]],
    targets: Targets,
    side: int,
    shape: CropShape,
    settings: CropSettings,
    *,
    rng: np.random.Generator,
) -> list[tuple[Pixels, Shares]]:
    """One crop of every view, an image and the planes of its masks; all are treated alike.

    `targets` are rows and columns of the pixels to aim at, (n, 2).
    """
    delivery = settings.delivery
    low, high = delivery.scale
    factor = float(rng.uniform(low, high)) if rng.random() < delivery.rescale else 1.0
    filter_name = str(rng.choice(SCALING_FILTERS))
    # Rounded up with one to spare, so that the resized image fills the crop.
    needed = int(np.ceil(side / factor)) + 1
    views = [(pad_to(pixels, needed), pad_to(planes, needed)) for pixels, planes in views]
    place = _place(views[0][0].shape[:2], targets, side, factor, aim=settings.aim, rng=rng)
    steps = [*draw_steps(settings.augmentation, rng), *_last_step(delivery, rng)]
    rows, columns = draw_flips(settings.augmentation, rng)
    cut = partial(scaled_crop, size=side, place=place, factor=factor)
    return [
        (
            cut(pixels, steps=steps, filter_name=filter_name)[rows, columns],
            cell_shares(cut(planes, filter_name="box")[rows, columns], shape.map_stride),
        )
        for pixels, planes in views
    ]


def _original(sample: Sample, pixels: Pixels) -> Pixels:
    original = read_pixels(str(sample.original))
    if original.shape != pixels.shape:
        raise ManifestError(
            f"{sample.path} has {pixels.shape[1]} x {pixels.shape[0]} pixels and its original "
            f"{sample.original} {original.shape[1]} x {original.shape[0]}; both must have one size"
        )
    return original


def read_pixels(path: str) -> Pixels:
    """An image of a manipulation set, (H, W, 3) uint8 RGB.

    Raises:
        ManifestError: It cannot be read.
    """
    try:
        return decode(read_bytes(path), path=path).pixels
    except ImageError as error:
        raise ManifestError(
            f"{path} cannot be used: {error.message}; mend it, or remove its row"
        ) from error


def cell_shares(planes: Pixels, stride: int) -> Shares:
    """The marked share of every cell.

    Args:
        planes: (H, W, 3) uint8, up to 255 where the first and the second mask mark a pixel; the
            third plane is not read. Sides are multiples of `stride`.
        stride: Side of a cell, pixels.

    Returns:
        (2, H / stride, W / stride) in [0, 1].
    """
    height, width = (length // stride for length in planes.shape[:2])
    cells = planes[..., :MASKS].reshape(height, stride, width, stride, MASKS)
    shares: Shares = cells.mean((1, 3), dtype=np.float32) / 255
    return np.ascontiguousarray(shares.transpose(2, 0, 1))


def _planes(masks: npt.NDArray[np.bool_]) -> Pixels:
    """Both masks as the colours of an image, for what resizes and crops images."""
    planes = np.zeros((*masks.shape[:2], 3), np.uint8)
    planes[..., :MASKS] = 255 * masks
    return planes


def _last_step(delivery: Delivery, rng: np.random.Generator) -> list[Step]:
    if rng.random() >= delivery.jpeg:
        return []
    low, high = delivery.jpeg_quality
    subsampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
    return [partial(reencode, quality=int(rng.integers(low, high + 1)), subsampling=subsampling)]


def _place(
    size: tuple[int, ...],
    targets: Targets,
    side: int,
    factor: float,
    *,
    aim: float,
    rng: np.random.Generator,
) -> Place:
    """Where the crop lies in the resized image, as `scaled_crop` takes it."""
    place = float(rng.random()), float(rng.random())
    aimed, which = rng.random() < aim, rng.random()
    if not aimed or not len(targets):
        return place
    target = targets[int(which * len(targets))].tolist()
    row, column = (
        _covering(at * factor, round(length * factor), side, share)
        for at, length, share in zip(target, size, place, strict=True)
    )
    return row, column


def _covering(at: float, length: int, side: int, share: float) -> float:
    """A place along one side of the image whose crop holds a pixel; `share` picks among them."""
    most = max(0, length - side)
    first, last = max(0, int(at) - side + 1), min(most, int(at))
    start = min(max(first, first + int(share * (last - first + 1))), most)
    return (start + 0.5) / (most + 1)


def _label(shares: Shares, shape: CropShape, min_share: float) -> float:
    counted = shares.max(0) if shape.moved_is_fake else shares[0]
    share = float(counted.mean())
    if share == 0:
        return REAL
    return FAKE if share >= min_share else UNKNOWN
