"""Which images no expert on pixels can judge."""

import numpy as np
import numpy.typing as npt

from aligngemini.images.views import flat_share

FLAT_SHARE = 0.7  # no photo of the development data reaches 0.66


def mostly_flat(pixels: npt.NDArray[np.uint8]) -> str | None:
    """The reason why a drawing or screenshot is out of scope, or None for anything else."""
    if flat_share(pixels) > FLAT_SHARE:
        return "mostly flat colour, as in drawings and screenshots, which the expert cannot judge"
    return None
