"""What a GAMMA model makes of whole images whose masks are known, delivery by delivery."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.branches.gamma import MAPS, GammaBranch
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import UNTOUCHED, Masks, Sample, load_masks
from aligngemini.evaluation.metrics import auc
from aligngemini.evaluation.segmentation import THRESHOLD, PixelCounts, count_pixels, pixel_auc
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES
from aligngemini.images.item import ImageError

EITHER = "either"
"""Both maps together against both masks together."""


@dataclass(frozen=True)
class Measured:
    """One image under one delivery.

    Attributes:
        sample: The image.
        delivery: Name of what it went through, of `DELIVERIES`.
        logit: Of the image, before calibration.
        counts: Pixels at 0.5, at the size of the delivered image, for `generated`, `moved` and
            `either`.
        aucs: Of the pixels, likewise; NaN where a mask marks nothing or everything.
    """

    sample: Sample
    delivery: str
    logit: float
    counts: dict[str, PixelCounts]
    aucs: dict[str, float]


@dataclass(frozen=True)
class RegionFigures:
    """Images of one manipulation under one delivery.

    Attributes:
        delivery: Of `DELIVERIES`.
        manipulation: Of `manipulation_set`; `none` for untouched photos.
        images: How many.
        image_auc: Their logits against those of the untouched photos; NaN for those photos.
        f1: Pixel F1 of the map that should mark them, mean over images; NaN for untouched photos.
        iou: Likewise.
        pixel_auc: Likewise, over images that are not marked all over.
        either_f1: Pixel F1 of both maps together.
        marked: Share of the pixels that either map marks, mean over images.
    """

    delivery: str
    manipulation: str
    images: int
    image_auc: float
    f1: float
    iou: float
    pixel_auc: float
    either_f1: float
    marked: float


def measure_images(
    branch: GammaBranch,
    samples: Iterable[Sample],
    deliveries: Sequence[str],
    *,
    step: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Look at whole images as detection does.

    Args:
        branch: The model.
        samples: Images with their masks.
        deliveries: Names of `DELIVERIES`; masks shrink with their image.
        step: Called after each image.

    Raises:
        ManifestError: An image cannot be read.
        ManipulationSetError: A mask cannot be used.
    """
    measured = []
    for sample in samples:
        try:
            pixels = decode(read_bytes(sample.path), path=sample.path).pixels
        except ImageError as error:
            raise ManifestError(f"{sample.path} cannot be used: {error.message}") from error
        masks = load_masks(sample, *pixels.shape[:2])
        for delivery in deliveries:
            delivered = DELIVERIES[delivery](pixels)
            height, width = delivered.shape[:2]
            look = branch.look(delivered)
            maps = [to_pixels(look.maps[name], look.layout.cell, height, width) for name in MAPS]
            measured.append(_compared(sample, delivery, look.logit, maps, _resized(masks, maps[0])))
        step()
    return measured


def to_pixels(
    values: npt.NDArray[np.float32], cell: int, height: int, width: int
) -> npt.NDArray[np.float32]:
    """A map at the size of its image; 0 where nobody looked.

    Args:
        values: (h, w) in [0, 1], or NaN.
        cell: Side of its cells, pixels.
        height: Of the image.
        width: Likewise.
    """
    full = np.nan_to_num(values, nan=0.0).repeat(cell, 0).repeat(cell, 1)
    return full[:height, :width]


def region_figures(measured: Sequence[Measured]) -> list[RegionFigures]:
    """One row for each delivery and manipulation, in the order in which they come."""
    rows = []
    for delivery in dict.fromkeys(one.delivery for one in measured):
        part = [one for one in measured if one.delivery == delivery]
        untouched = _logits(one for one in part if one.sample.manipulation == UNTOUCHED)
        rows += [
            _row([one for one in part if one.sample.manipulation == name], untouched)
            for name in dict.fromkeys(one.sample.manipulation for one in part)
        ]
    return rows


def main_map(sample: Sample) -> str | None:
    """Which map should mark an image: `generated`, `moved`, or neither."""
    if sample.full or sample.generated is not None:
        return "generated"
    return None if sample.moved is None else "moved"


def _compared(
    sample: Sample,
    delivery: str,
    logit: float,
    maps: Sequence[npt.NDArray[np.float32]],
    masks: Masks,
) -> Measured:
    scores = {**dict(zip(MAPS, maps, strict=True)), EITHER: np.maximum(*maps)}
    truth: dict[str, Masks] = {name: masks[..., k] for k, name in enumerate(MAPS)}
    truth[EITHER] = masks[..., 0] | masks[..., 1]
    return Measured(
        sample=sample,
        delivery=delivery,
        logit=logit,
        counts={name: count_pixels(scores[name] >= THRESHOLD, truth[name]) for name in scores},
        aucs={name: pixel_auc(scores[name], truth[name]) for name in scores},
    )


def _resized(masks: Masks, like: npt.NDArray[np.float32]) -> Masks:
    """Masks of a resized image: a pixel is marked where most of what it came from was."""
    height, width = like.shape
    if masks.shape[:2] == (height, width):
        return masks
    planes = [PILImage.fromarray(255 * masks[..., k].astype(np.uint8)) for k in range(len(MAPS))]
    small = [plane.resize((width, height), PILImage.Resampling.BOX) for plane in planes]
    return np.stack([np.asarray(plane) > 127 for plane in small], axis=2)


def _row(part: Sequence[Measured], untouched: npt.NDArray[np.float64]) -> RegionFigures:
    first = part[0]
    edited = first.sample.manipulation != UNTOUCHED
    own = [(one, name) for one in part if (name := main_map(one.sample)) is not None]
    counts = [one.counts[name] for one, name in own]
    areas = [one.aucs[name] for one, name in own]
    return RegionFigures(
        delivery=first.delivery,
        manipulation=first.sample.manipulation,
        images=len(part),
        image_auc=auc(untouched, _logits(part)) if edited and len(untouched) else math.nan,
        f1=_mean(count.f1 for count in counts),
        iou=_mean(count.iou for count in counts),
        pixel_auc=_mean(area for area in areas if not math.isnan(area)),
        either_f1=_mean(one.counts[EITHER].f1 for one, _ in own),
        marked=_mean(one.counts[EITHER].marked_share for one in part),
    )


def _logits(measured: Iterable[Measured]) -> npt.NDArray[np.float64]:
    return np.array([one.logit for one in measured], np.float64)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else math.nan
