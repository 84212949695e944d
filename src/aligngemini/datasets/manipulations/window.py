"""The part of a photo that a network gets to see around a region."""

from typing import NamedTuple, TypeVar, cast

import numpy as np

from aligngemini.datasets.manipulations.base import Mask, Pixels

Array = TypeVar("Array", Pixels, Mask)


class Window(NamedTuple):
    """A part of an image; half-open, pixels."""

    top: int
    left: int
    bottom: int
    right: int


def window_around(mask: Mask, context: int, *, multiple: int = 1, least: int = 0) -> Window:
    """A part of the image around a region.

    Args:
        mask: (H, W) bool, at least one pixel.
        context: Pixels to see on every side of the region, where the image has them.
        multiple: Top and left are multiples of it, as they are in a network that gets all of the
            image.
        least: Fewest pixels a side, where the image has them.
    """
    spans = []
    for axis in (0, 1):
        marked = np.flatnonzero(mask.any(1 - axis))
        length = mask.shape[axis]
        first, last = int(marked[0]) - context, int(marked[-1]) + 1 + context
        more = max(0, least - (last - first))
        first = max(0, min(first - more // 2, length - least))
        first -= first % multiple
        spans.append((first, min(length, max(last, first + least))))
    (top, bottom), (left, right) = spans
    return Window(top, left, bottom, right)


def padded(pixels: Array, multiple: int) -> Array:
    """An image or a mask, mirrored at the bottom and on the right until its sides are multiples."""
    extra = [(0, -side % multiple) for side in pixels.shape[:2]]
    extra += [(0, 0)] * (pixels.ndim - 2)
    return cast("Array", np.pad(pixels, extra, mode="symmetric"))


def put_back(pixels: Pixels, part: Pixels, window: Window) -> Pixels:
    """A copy of an image with a part of it replaced; what the part has too much is cut off."""
    changed: Pixels = pixels.copy()
    height, width = window.bottom - window.top, window.right - window.left
    changed[window.top : window.bottom, window.left : window.right] = part[:height, :width]
    return changed
