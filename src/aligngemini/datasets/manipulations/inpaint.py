"""A region painted anew by a diffusion model."""

from typing import Protocol

import numpy as np

from aligngemini.datasets.manipulations.base import (
    Manipulated,
    ManipulationError,
    Mask,
    Pixels,
    generated,
)
from aligngemini.datasets.manipulations.blending import EDGE, Edge, blend
from aligngemini.datasets.manipulations.jpeg import align_jpeg
from aligngemini.datasets.manipulations.vae_region import NoImage
from aligngemini.datasets.manipulations.window import padded, put_back, window_around
from aligngemini.images.jpeg import JpegSettings

CONTEXT = 64  # pixels around the region that the model sees


class Painter(Protocol):
    """What paints a masked region; `models.inpainting.Inpainter` is one."""

    factor: int
    side: int

    def paint(self, pixels: Pixels, mask: Mask, *, seed: int) -> Pixels | NoImage:
        """Paint the masked pixels of an (H, W, 3) uint8 image whose sides are multiples."""


def inpaint(
    pixels: Pixels,
    mask: Mask,
    painter: Painter,
    rng: np.random.Generator,
    *,
    edge: Edge = EDGE,
    jpeg: JpegSettings | None = None,
) -> Manipulated:
    """Paint a region anew by a diffusion model.

    The model sees the region and what is around it at the photo's own scale, at least as much as
    it was trained on where the photo has that. Of what it gives, only the region is taken.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the region.
        painter: The model.
        rng: Gives the model's seed.
        edge: How the region is joined to the photo.
        jpeg: Compress the region as the photo once was, see `align_jpeg`; None leaves it as it is.

    Returns:
        The photo with `generated` set in the region.

    Raises:
        ManipulationError: `no-region` where the region is empty, or the model's own code where it
            gives no image.
    """
    if not mask.any():
        raise ManipulationError("no-region", "the mask marks no pixel")
    window = window_around(mask, CONTEXT, multiple=painter.factor, least=painter.side)
    box = np.s_[window.top : window.bottom, window.left : window.right]
    seed = int(rng.integers(2**63))
    made = painter.paint(
        padded(pixels[box], painter.factor), padded(mask[box], painter.factor), seed=seed
    )
    if not isinstance(made, np.ndarray):
        raise ManipulationError(made.code, made.reason)
    edited = blend(pixels, put_back(pixels, made, window), mask, edge)
    if jpeg is not None:
        edited = align_jpeg(pixels, edited, mask, jpeg)
    return generated(edited, mask, blend=edge.how)
