"""Splicing: a region of another photo, laid into this one."""

import math

import cv2
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
    Piece,
    Placing,
    Turn,
    cut_out,
    draw_corner,
    draw_turn,
    lay,
)

_TRIES = 30
_SCALES = (0.1, 2.0)  # of the donor, whatever share is drawn: more leaves nothing to look at


def splice(
    pixels: Pixels,
    donor: Pixels,
    region: Mask,
    rng: np.random.Generator,
    *,
    edge: Edge = EDGE,
    placing: Placing = PLACING,
    area: Area = AREA,
    colour: float = 0.0,
) -> Manipulated:
    """Lay a region of another photo into this one.

    Its size is kept as often as `placing.plain` says and where that meets the limits; otherwise it
    is drawn from `area`.

    Args:
        pixels: (H, W, 3) uint8 RGB, the photo.
        donor: (h, w, 3) uint8 RGB, the other photo.
        region: (h, w) bool, which part of the other photo.
        rng: Source of every draw.
        edge: How the region is joined to the photo.
        placing: How the region may differ from what it was; its `scale` does not count here.
        area: Limits of its share of this image.
        colour: How far the region's colours go towards those of the place where it is laid, 0 to 1.

    Returns:
        The photo with `moved` set where the region lies.

    Raises:
        ManipulationError: `no-region` where the region is empty, `no-place` where it cannot be laid
            so that it meets the limits.
    """
    if not region.any():
        raise ManipulationError("no-region", "the mask marks no pixel")
    height, width = pixels.shape[:2]
    for _ in range(_TRIES):
        turn = draw_turn(rng, placing)
        share = rng.uniform(*area)
        if turn != (1.0, 0.0, False):
            scale = math.sqrt(share * height * width / np.count_nonzero(region))
            turn = turn._replace(scale=min(max(scale, _SCALES[0]), _SCALES[1]))
        piece = cut_out(donor, region, _shrunk_to_fit(turn, region, height, width))
        corner = draw_corner(piece, height, width, rng)
        if corner is None:
            continue
        laid = lay(piece, height, width, *corner)
        if not area[0] <= area_share(laid.mask) <= area[1]:
            continue
        coloured = transfer_colour(laid, pixels, colour) if colour else laid.pixels
        edited = blend(pixels, coloured, laid.mask, edge)
        return moved(edited, laid.mask, blend=edge.how, colour=colour, **turn._asdict())
    raise ManipulationError(
        "no-place",
        f"the donor's region cannot be laid into an image of {width} x {height} pixels",
    )


def transfer_colour(piece: Piece, pixels: Pixels, strength: float) -> Pixels:
    """Bring a piece's mean and spread of colour to those of what it will cover.

    In CIELAB, channel by channel (Reinhard et al., Color transfer between images, 2001).

    Args:
        piece: (H, W, 3) uint8 and (H, W) bool.
        pixels: (H, W, 3) uint8, what it will be laid on.
        strength: 0 leaves the piece's colours, 1 takes the others'.

    Returns:
        (H, W, 3) uint8; anything outside the piece.
    """
    above, below = (_lab(image) for image in (piece.pixels, pixels))
    inside, covered = above[piece.mask], below[piece.mask]
    spread = covered.std(0) / np.maximum(inside.std(0), 1.0)
    matched = (above - inside.mean(0)) * np.minimum(spread, 2.0) + covered.mean(0)
    mixed = above + np.float32(strength) * (matched.astype(np.float32) - above)
    rgb = cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB)
    coloured: Pixels = np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)
    return coloured


def _lab(pixels: Pixels) -> np.ndarray:
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def _shrunk_to_fit(turn: Turn, region: Mask, height: int, width: int) -> Turn:
    """With a scale at which the turned region's box is no larger than the image."""
    rows, columns = (np.ptp(np.flatnonzero(region.any(axis))) + 1 for axis in (1, 0))
    angle = math.radians(turn.rotation)
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    most = min(
        (height - 2) / (columns * sine + rows * cosine),
        (width - 2) / (columns * cosine + rows * sine),
    )
    return turn._replace(scale=min(turn.scale, most))
