"""Classical inpainting: a region filled from its surroundings, without any generator."""

from typing import Literal, get_args

import cv2
import numpy as np

from aligngemini.datasets.manipulations.base import (
    Manipulated,
    ManipulationError,
    Mask,
    Pixels,
    moved,
)

Method = Literal["telea", "ns"]
METHODS: tuple[Method, ...] = get_args(Method)

_FLAGS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


def inpaint_classical(
    pixels: Pixels, mask: Mask, *, method: Method = "telea", radius: float = 4.0
) -> Manipulated:
    """Fill a region from its surroundings by OpenCV.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, what to fill.
        method: `telea` (Telea, An image inpainting technique based on the fast marching method,
            2004) or `ns` (Bertalmio et al., Navier-Stokes, 2001).
        radius: How far around a pixel its filling is taken from, pixels.

    Returns:
        The photo with `moved` set in the region.

    Raises:
        ManipulationError: `no-region` where the region is empty, `no-surroundings` where it is all
            of the image.
    """
    if not mask.any():
        raise ManipulationError("no-region", "the mask marks no pixel")
    if mask.all():
        raise ManipulationError(
            "no-surroundings", "the mask leaves nothing to fill the region from"
        )
    filled = cv2.inpaint(pixels, mask.astype(np.uint8), radius, _FLAGS[method])
    edited = np.where(mask[..., None], np.asarray(filled, np.uint8), pixels)
    return moved(edited, mask, method=method)
