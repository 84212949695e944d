"""What every way of looking at an image promises, and what they share."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aligngemini.images.views import Tile

Pixels = npt.NDArray[np.uint8]
Heat = npt.NDArray[np.float32]


class Views(Protocol):
    """One way of looking at an image, with the weights that look.

    Attributes:
        inputs: Shape of one view by the input that takes it.
    """

    inputs: dict[str, list[int]]

    def logits(self, images: Sequence[Pixels]) -> list[float]:
        """The model's own number for each (H, W, 3) uint8 RGB image."""
        ...

    def heatmap(self, pixels: Pixels, calibrated: Callable[[Any], Any]) -> Heat:
        """(h, w) float32 in [0, 1], NaN where nobody looked; `calibrated` gives P(fake)."""
        ...

    def too_small(self, pixels: Pixels) -> str | None:
        """Why there is too little to see for a score, or None where there is not."""
        ...


def stitch(patches: Sequence[Heat], tiles: list[Tile], size: int, shape: tuple[int, ...]) -> Heat:
    """Mean of the tiles' patches where they overlap, NaN where no tile lies.

    Args:
        patches: (p, p) of each tile.
        tiles: Where they lie.
        size: Side of a tile, pixels.
        shape: Of the image the tiles lie in, pixels.
    """
    cells = len(patches[0])
    height, width = (cells_along(side, size, cells) for side in shape[:2])
    total = np.zeros((height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for patch, tile in zip(patches, tiles, strict=True):
        # Rounded up: tiles that touch leave no gap, and the last ends with the map.
        top, left = cells_along(tile.top, size, cells), cells_along(tile.left, size, cells)
        total[top : top + cells, left : left + cells] += patch
        count[top : top + cells, left : left + cells] += 1
    with np.errstate(invalid="ignore"):
        return total / count


def cells_along(length: int, size: int, cells: int) -> int:
    """Patches along a side of `length` pixels, where a tile of `size` has `cells`; rounded up."""
    return -(-length * cells // size)
