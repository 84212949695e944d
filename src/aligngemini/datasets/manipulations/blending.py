"""How new pixels are joined to a photo: by a hard edge, a soft one, or seamlessly.

Whatever the way, only pixels inside the mask change.
"""

from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
import numpy.typing as npt

from aligngemini.datasets.manipulations.base import Mask, Pixels

Blend = Literal["hard", "feather", "seamless"]
BLENDS: tuple[Blend, ...] = get_args(Blend)

_RIM = 2  # pixels around the region that the seamless solver needs


class Edge(NamedTuple):
    """How new pixels are joined to a photo.

    Attributes:
        how: `hard` takes the new pixels as they are; `feather` mixes the photo in near the edge;
            `seamless` keeps the new pixels' gradients and takes the colours at the edge from the
            photo (Perez et al., Poisson image editing, 2003).
        radius: Width of a feathered edge, pixels inside the region.
    """

    how: Blend = "feather"
    radius: float = 2.0


EDGE = Edge()


def blend(photo: Pixels, pasted: Pixels, mask: Mask, edge: Edge = EDGE) -> Pixels:
    """Put new pixels into a region of a photo.

    Args:
        photo: (H, W, 3) uint8.
        pasted: (H, W, 3) uint8, the new pixels where the mask is set, anything elsewhere.
        mask: (H, W) bool, at least one pixel.
        edge: How they are joined.

    Returns:
        (H, W, 3) uint8, outside the mask the photo's pixels.
    """
    if edge.how == "seamless":
        pasted = _seamless(photo, pasted, mask)
    elif edge.how == "feather":
        weight = feather(mask, edge.radius)[..., None]
        pasted = np.rint(photo + weight * (pasted.astype(np.float32) - photo)).astype(np.uint8)
    return np.where(mask[..., None], pasted, photo)


def feather(mask: Mask, radius: float) -> npt.NDArray[np.float32]:
    """Weights (H, W) in [0, 1]: 0 outside, rising from the edge to 1 at `radius` pixels inside."""
    # The image's border is no edge of the region.
    framed = np.pad(mask, 1, mode="edge").astype(np.uint8)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    weights: npt.NDArray[np.float32] = np.clip(depth / (radius + 1), 0, 1).astype(np.float32)
    return weights


def _seamless(photo: Pixels, pasted: Pixels, mask: Mask) -> Pixels:
    """OpenCV's Poisson solver, framed so that the region never touches the image's border."""
    frame = ((_RIM, _RIM), (_RIM, _RIM), (0, 0))
    below, above = (np.pad(pixels, frame, mode="edge") for pixels in (photo, pasted))
    region = np.pad(mask, _RIM).astype(np.uint8) * 255
    # The solver centres the region's box there, so this leaves it where it is.
    left, top, width, height = cv2.boundingRect(region)
    centre = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(above, below, region, centre, cv2.NORMAL_CLONE)
    return np.asarray(cloned[_RIM:-_RIM, _RIM:-_RIM], np.uint8)
