"""What every manipulation takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class ManipulationError(Exception):
    """A manipulation that cannot be done to this photo.

    Attributes:
        code: A short name that stays.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Manipulated:
    """An edited photo. Where neither mask is set, its pixels are the photo's, bit for bit.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        generated: (H, W) bool, pixels that a generator or decoder made.
        moved: (H, W) bool, pixels that were moved, are foreign, or were filled without a generator.
        drawn: What was drawn at random, by name.
    """

    pixels: Pixels = field(repr=False)
    generated: Mask = field(repr=False)
    moved: Mask = field(repr=False)
    drawn: Mapping[str, str | float] = field(default_factory=dict)


def generated(pixels: Pixels, mask: Mask, **drawn: str | float) -> Manipulated:
    """An edited photo whose mask says what a generator made."""
    return Manipulated(pixels, mask, np.zeros_like(mask), drawn)


def moved(pixels: Pixels, mask: Mask, **drawn: str | float) -> Manipulated:
    """An edited photo whose mask says what was moved, is foreign, or was filled."""
    return Manipulated(pixels, np.zeros_like(mask), mask, drawn)
