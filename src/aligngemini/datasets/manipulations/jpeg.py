"""JPEG alignment: new pixels with the compression that the photo's own went through.

Without it, the lack of JPEG's traces tells a region from a photo that once was a JPEG file (Dual
Data Alignment, arXiv 2505.14359, sec. 3.2).
"""

import numpy as np

from aligngemini.datasets.manipulations.base import Mask, Pixels
from aligngemini.images.degrade import reencode
from aligngemini.images.jpeg import JpegSettings


def align_jpeg(photo: Pixels, edited: Pixels, mask: Mask, jpeg: JpegSettings) -> Pixels:
    """Compress an edited photo as the photo was, and keep of that what lies in the region.

    Args:
        photo: (H, W, 3) uint8, cut out of the decoded file at multiples of 16 pixels, so that the
            blocks come to lie where they were.
        edited: (H, W, 3) uint8, equal to the photo outside the region.
        mask: (H, W) bool, the region.
        jpeg: How the photo's file was compressed.
    """
    compressed = reencode(edited, jpeg.quality, subsampling=jpeg.subsampling)
    return np.where(mask[..., None], compressed, photo)
