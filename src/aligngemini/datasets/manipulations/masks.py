"""Regions to manipulate: drawn at random, with limits on their area.

No source gives GAMMA's masks; shapes and limits are this project's choice (5 to 50 % of the image).
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from aligngemini.datasets.manipulations.base import ManipulationError, Mask

Area = tuple[float, float]
"""Least and most share of an image's pixels that a region may have."""

AREA: Area = (0.05, 0.5)

Points = npt.NDArray[np.float64]

_TRIES = 20
_OUTLINE = 96  # points of a smooth outline


def area_share(mask: Mask) -> float:
    """Share of the pixels that a mask marks."""
    return float(np.count_nonzero(mask)) / mask.size


def draw_mask(height: int, width: int, rng: np.random.Generator, area: Area = AREA) -> Mask:
    """A random region: a polygon, a smooth blob or a box, anywhere in the image.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        rng: Source of every draw.
        area: Limits of its share of the image.

    Returns:
        (height, width) bool, one connected region unless the border cuts it.

    Raises:
        ManipulationError: `mask-area`, where so small an image has no such region.
    """
    for _ in range(_TRIES):
        share = rng.uniform(*area)
        outline = _outline(rng)
        outline = outline * math.sqrt(share * height * width / _polygon_area(outline))
        mask = _fill(_moved_inside(outline, height, width, rng), height, width)
        if area[0] <= area_share(mask) <= area[1]:
            return mask
    return _box(height, width, area)


def _outline(rng: np.random.Generator) -> Points:
    """Points (N, 2) around the origin, in order, of any size."""
    kind = rng.choice(["polygon", "blob", "box"])
    if kind == "box":
        aspect = math.exp(rng.uniform(-0.7, 0.7))
        points: Points = np.array([[-aspect, -1], [aspect, -1], [aspect, 1], [-aspect, 1]], float)
    elif kind == "polygon":
        # Evenly spread with a jitter below half a step: the order around the centre holds.
        corners = int(rng.integers(3, 13))
        angles = (np.arange(corners) + rng.uniform(-0.4, 0.4, corners)) * (2 * math.pi / corners)
        points = _around(angles, rng.uniform(0.5, 1.0, corners))
    else:
        turns = np.arange(_OUTLINE, dtype=np.float64) * (2 * math.pi / _OUTLINE)
        waves = np.arange(1, 6)[:, None]
        heights = rng.normal(0, 0.35, (5, 1)) / waves
        phases = rng.uniform(0, 2 * math.pi, (5, 1))
        radii = np.exp((heights * np.cos(waves * turns + phases)).sum(0))
        points = _around(turns, radii)
    return points


def _around(angles: Points, radii: Points) -> Points:
    points: Points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return points


def _polygon_area(points: Points) -> float:
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _moved_inside(points: Points, height: int, width: int, rng: np.random.Generator) -> Points:
    """To a random place; one that is longer than the image is centred along that side."""
    sides = np.array([width, height], float)
    room = sides - np.ptp(points, axis=0)
    start = np.where(room > 0, rng.uniform(0, 1, 2) * room, room / 2)
    moved: Points = points - points.min(0) + start
    return moved


def _fill(points: Points, height: int, width: int) -> Mask:
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _box(height: int, width: int, area: Area) -> Mask:
    """A box in the middle, its last row filled up to the pixel that the limits ask for."""
    least, most = math.ceil(area[0] * height * width), math.floor(area[1] * height * width)
    if least > most:
        raise ManipulationError(
            "mask-area",
            f"{width} x {height} pixels have no region of {area[0]:.1%} to {area[1]:.1%}",
        )
    count = max(1, (least + most) // 2)
    columns = max(round(math.sqrt(count * width / height)), math.ceil(count / height))
    rows = math.ceil(count / columns)
    numbers = np.arange(count)
    mask = np.zeros((height, width), np.bool_)
    mask[(height - rows) // 2 + numbers // columns, (width - columns) // 2 + numbers % columns] = (
        True
    )
    return mask
