"""A crop out of a resized image, computed without the rest of it."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.images.filters import FILTERS
from aligngemini.images.views import center_crop

Pixels: TypeAlias = npt.NDArray[np.uint8]
Step: TypeAlias = Callable[[Pixels], Pixels]

MARGIN = 32  # pixels around a crop that the widest of the filters can reach
JPEG_GRID = 16  # pixels between the blocks of a JPEG file with 4:2:0 chroma


def scaled_crop(
    pixels: Pixels,
    size: int,
    place: tuple[float, float],
    steps: Sequence[Step] = (),
    *,
    factor: float = 1.0,
    filter_name: str = "nearest",
) -> Pixels:
    """Resize an image, send it through the steps and crop it, zeros around what is too small.

    Only what the crop will show is ever computed, with a margin for filters: the cost does not
    grow with the image. Contrast is therefore changed about the mean of that part.

    Args:
        pixels: (H, W, 3) uint8.
        size: Side of the crop, pixels.
        place: Where the crop lies, from top to bottom and from left to right, in [0, 1).
        steps: What happens between resizing and cropping.
        factor: Of both sides.
        filter_name: Resampling filter, by the names of `images/filters.py`.

    Returns:
        (size, size, 3) uint8.
    """
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    rows, columns = _span(height, size, place[0]), _span(width, size, place[1])
    outer_rows, outer_columns = _widened(rows, height), _widened(columns, width)
    part = _resized_part(pixels, (height, width), outer_rows, outer_columns, filter_name)
    for step in steps:
        part = step(part)
    top, left = rows[0] - outer_rows[0], columns[0] - outer_columns[0]
    inner = part[top : top + rows[1] - rows[0], left : left + columns[1] - columns[0]]
    return center_crop(inner, size)


def _span(length: int, size: int, place: float) -> tuple[int, int]:
    """Start and end of the crop along one side; all of a side that is shorter."""
    start = int(place * (max(0, length - size) + 1))
    return start, min(length, start + size)


def _widened(span: tuple[int, int], length: int) -> tuple[int, int]:
    """With a margin, and cut where the blocks of a JPEG file of the whole image would be."""
    start, end = max(0, span[0] - MARGIN), min(length, span[1] + MARGIN)
    return start - start % JPEG_GRID, end


def _resized_part(
    pixels: Pixels,
    resized: tuple[int, int],
    rows: tuple[int, int],
    columns: tuple[int, int],
    filter_name: str,
) -> Pixels:
    """What `image.resize(...).crop(...)` gives, without resizing the rest."""
    if resized == pixels.shape[:2]:
        return pixels[rows[0] : rows[1], columns[0] : columns[1]]
    down, across = (side / new for side, new in zip(pixels.shape[:2], resized, strict=True))
    box = (columns[0] * across, rows[0] * down, columns[1] * across, rows[1] * down)
    size = (columns[1] - columns[0], rows[1] - rows[0])
    return np.asarray(PILImage.fromarray(pixels).resize(size, FILTERS[filter_name], box=box))
