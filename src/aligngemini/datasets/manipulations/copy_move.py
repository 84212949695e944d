"""Copy-move: a region of a photo once more, at another place in it."""

import numpy as np

from aligngemini.datasets.manipulations.base import (
    Manipulated,
    ManipulationError,
    Mask,
    Pixels,
    moved,
)
from aligngemini.datasets.manipulations.blending import EDGE, Edge, blend
from aligngemini.datasets.manipulations.masks import AREA, Area, area_share
from aligngemini.datasets.manipulations.placing import (
    PLACING,
    Placing,
    cut_out,
    draw_corner,
    draw_turn,
    lay,
)

_TRIES = 30


def copy_move(
    pixels: Pixels,
    region: Mask,
    rng: np.random.Generator,
    *,
    edge: Edge = EDGE,
    placing: Placing = PLACING,
    area: Area = AREA,
    overlap: float = 0.5,
) -> Manipulated:
    """Copy a region to another place of the same photo.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        region: (H, W) bool, what to copy.
        rng: Source of every draw.
        edge: How the copy is joined to the photo.
        placing: How the copy may differ from the region.
        area: Limits of the copy's share of the image.
        overlap: Most share of the copy that may cover the region it came from.

    Returns:
        The photo with `moved` set where the copy lies.

    Raises:
        ManipulationError: `no-region` where the region is empty, `no-place` where no copy of it
            meets the limits.
    """
    if not region.any():
        raise ManipulationError("no-region", "the mask marks no pixel")
    height, width = region.shape
    for _ in range(_TRIES):
        turn = draw_turn(rng, placing)
        piece = cut_out(pixels, region, turn)
        corner = draw_corner(piece, height, width, rng)
        if corner is None:
            continue
        laid = lay(piece, height, width, *corner)
        if not area[0] <= area_share(laid.mask) <= area[1]:
            continue
        if np.count_nonzero(laid.mask & region) > overlap * np.count_nonzero(laid.mask):
            continue
        edited = blend(pixels, laid.pixels, laid.mask, edge)
        return moved(edited, laid.mask, blend=edge.how, **turn._asdict())
    raise ManipulationError(
        "no-place", f"no copy of the region has room in an image of {width} x {height} pixels"
    )
