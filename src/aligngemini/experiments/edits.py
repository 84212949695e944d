"""Pictures that are edited in one place: neither a whole decoder's work nor a broken rule."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aligngemini.images.degrade import Pixels

Mask = npt.NDArray[np.bool_]

KINDS = ("decoded region", "splice", "copy-move")
SIZES = (0.3, 0.6)  # of a region's sides, in shares of the picture's


class Edited(NamedTuple):
    """An edited picture and what is true of its pixels.

    Attributes:
        pixels: (S, S, 3) uint8 RGB.
        generated: (S, S) where a decoder made them.
        moved: (S, S) where they are from elsewhere.
    """

    pixels: Pixels
    generated: Mask
    moved: Mask


def edit(
    kind: str, picture: Pixels, made: Pixels, other: Pixels, rng: np.random.Generator
) -> Edited:
    """Edit one region of a picture.

    Args:
        kind: One of `KINDS`.
        picture: (S, S, 3) uint8 RGB.
        made: What a decoder made of it, for the first kind.
        other: Another picture, for the second kind.
        rng: Source of every draw.
    """
    mask = draw_region(picture.shape[0], rng)
    nowhere = np.zeros_like(mask)
    if kind == "decoded region":
        return Edited(np.where(mask[..., None], made, picture), mask, nowhere)
    source = other if kind == "splice" else _shifted(picture, rng)
    return Edited(np.where(mask[..., None], source, picture), nowhere, mask)


def draw_region(side: int, rng: np.random.Generator) -> Mask:
    """(side, side) a rectangle or an ellipse somewhere inside the picture."""
    height, width = (round(float(size) * side) for size in rng.uniform(*SIZES, 2))
    top, left = int(rng.integers(side - height + 1)), int(rng.integers(side - width + 1))
    rows, columns = np.mgrid[:side, :side]
    down = (rows - top + 0.5) / height * 2 - 1
    right = (columns - left + 0.5) / width * 2 - 1
    inside: Mask = (
        down**2 + right**2 < 1
        if rng.random() < 0.5
        else np.maximum(np.abs(down), np.abs(right)) < 1
    )
    return inside


def _shifted(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture moved by a quarter to three quarters of its side, round about."""
    side = picture.shape[0]
    steps = rng.integers(side // 4, 3 * side // 4, 2)
    return np.roll(picture, (int(steps[0]), int(steps[1])), (0, 1))
