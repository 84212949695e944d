"""A region cut out of one image, turned and resized, and laid on another."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.datasets.manipulations.base import Mask, Pixels
from aligngemini.images.degrade import rescale

Cover = npt.NDArray[np.uint8]  # how much of a pixel belongs to a region, 255 for all of it


@dataclass(frozen=True)
class Placing:
    """How a region may change on its way; ranges are this project's choice.

    Attributes:
        scale: Factor of both sides, least and most.
        rotation: Degrees, least and most.
        flip: Probability of mirroring it.
        plain: Probability that it is moved only, not resampled: size, angle and side are kept.
    """

    scale: tuple[float, float] = (0.7, 1.4)
    rotation: tuple[float, float] = (-30.0, 30.0)
    flip: float = 0.3
    plain: float = 0.3


PLACING = Placing()


class Turn(NamedTuple):
    """What is done to a region."""

    scale: float
    rotation: float
    flip: bool


class Piece(NamedTuple):
    """A region on a canvas of its own size.

    Attributes:
        pixels: (h, w, 3) uint8.
        mask: (h, w) bool, which of them belong to it.
    """

    pixels: Pixels
    mask: Mask


def draw_turn(rng: np.random.Generator, placing: Placing) -> Turn:
    """How to change the region this time; the same number of draws whatever comes out."""
    plain, flipped = rng.random(2)
    scale = math.exp(rng.uniform(*np.log(placing.scale)))
    rotation = float(rng.uniform(*placing.rotation))
    if plain < placing.plain:
        return Turn(1.0, 0.0, False)
    return Turn(scale, rotation, bool(flipped < placing.flip))


def cut_out(pixels: Pixels, mask: Mask, turn: Turn) -> Piece:
    """Cut a region out of an image, mirror, resize and rotate it, in this order.

    Args:
        pixels: (H, W, 3) uint8.
        mask: (H, W) bool, at least one pixel.
        turn: What to do; a scale of 1 and a rotation of 0 leave the pixels as they are.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # Resized and turned in grey levels and cut in two at the end, lest errors add up.
    inside, cover = pixels[box], mask[box].astype(np.uint8) * 255
    if turn.flip:
        inside, cover = (np.ascontiguousarray(part[:, ::-1]) for part in (inside, cover))
    if turn.scale != 1:
        inside = rescale(np.ascontiguousarray(inside), turn.scale)
        cover = _resized(cover, *inside.shape[:2])
    if turn.rotation:
        inside, cover = _rotated(inside, cover, turn.rotation)
    return Piece(inside, cover > 127)


def lay(piece: Piece, height: int, width: int, top: int, left: int) -> Piece:
    """The piece on an empty canvas, cut off at its borders.

    Args:
        piece: Of `cut_out`.
        height: Of the canvas, pixels.
        width: Of the canvas, pixels.
        top: Of the piece on the canvas; may be negative.
        left: Of the piece on the canvas; may be negative.
    """
    pixels = np.zeros((height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.bool_)
    rows, columns = piece.mask.shape
    there = np.s_[max(0, top) : top + rows, max(0, left) : left + columns]
    here = np.s_[max(0, -top) : height - top, max(0, -left) : width - left]
    pixels[there] = piece.pixels[here]
    mask[there] = piece.mask[here]
    return Piece(pixels, mask)


def draw_corner(
    piece: Piece, height: int, width: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Top and left of a random place where the whole piece fits, or None where there is none."""
    room = height - piece.mask.shape[0], width - piece.mask.shape[1]
    if min(room) < 0:
        return None
    return int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))


def resize_mask(mask: Mask, height: int, width: int) -> Mask:
    """A mask at another size: a pixel is set where most of what it covers was."""
    return _resized(mask.astype(np.uint8) * 255, height, width) > 127


def _resized(cover: Cover, height: int, width: int) -> Cover:
    image = PILImage.fromarray(cover)
    return np.asarray(image.resize((width, height), PILImage.Resampling.BOX))


def _rotated(pixels: Pixels, cover: Cover, degrees: float) -> tuple[Pixels, Cover]:
    height, width = cover.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    # Rounded first: a quarter turn's cosine is not quite 0, and must not add a pixel.
    size = (
        math.ceil(round(width * cosine + height * sine, 6)),
        math.ceil(round(width * sine + height * cosine, 6)),
    )
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    turned = cv2.warpAffine(
        pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    covered = cv2.warpAffine(cover, matrix, size)
    return np.asarray(turned, np.uint8), np.asarray(covered, np.uint8)
