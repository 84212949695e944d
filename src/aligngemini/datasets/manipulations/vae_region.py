"""A region replaced by what a generator's autoencoder makes of it.

The content stays; the region's pixels come from a decoder, as a diffusion model's do. It stands in
for inpainting where no GPU is.
"""

from collections.abc import Sequence
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
from aligngemini.datasets.manipulations.window import padded, put_back, window_around
from aligngemini.images.jpeg import JpegSettings

CONTEXT = 32  # pixels around the region that the encoder sees


class NoImage(Protocol):
    """Why a model made none."""

    @property
    def code(self) -> str:
        """A short name that stays."""

    @property
    def reason(self) -> str:
        """A sentence for people."""


class Autoencoder(Protocol):
    """What sends images to latents and back; `models.reconstruction.Vae` is one."""

    factor: int

    def reconstruct(
        self, images: Pixels, *, seeds: Sequence[int] | None = None
    ) -> Sequence[Pixels | NoImage]:
        """Reconstruct (N, H, W, 3) uint8 by posterior noise of these seeds, or by the mean."""


def vae_region(
    pixels: Pixels,
    mask: Mask,
    vae: Autoencoder,
    rng: np.random.Generator,
    *,
    edge: Edge = EDGE,
    jpeg: JpegSettings | None = None,
) -> Manipulated:
    """Replace a region by its reconstruction.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the region; may be all of the image.
        vae: The autoencoder.
        rng: Gives the seed of the posterior's noise.
        edge: How the region is joined to the photo.
        jpeg: Compress the region as the photo once was, see `align_jpeg`; None leaves it as it is.

    Returns:
        The photo with `generated` set in the region.

    Raises:
        ManipulationError: `no-region` where the region is empty, or the autoencoder's own code
            where it gives no image.
    """
    if not mask.any():
        raise ManipulationError("no-region", "the mask marks no pixel")
    window = window_around(mask, CONTEXT, multiple=vae.factor)
    part = pixels[window.top : window.bottom, window.left : window.right]
    seed = int(rng.integers(2**63))
    (made,) = vae.reconstruct(padded(part, vae.factor)[None], seeds=[seed])
    if not isinstance(made, np.ndarray):
        raise ManipulationError(made.code, made.reason)
    edited = blend(pixels, put_back(pixels, made, window), mask, edge)
    if jpeg is not None:
        edited = align_jpeg(pixels, edited, mask, jpeg)
    return generated(edited, mask, blend=edge.how)
