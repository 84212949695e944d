"""Which images are out of scope: of a kind that nothing here was trained or measured on.

Detectors learn photographs and what generators make of them. Of charts, drawings, screenshots and
pages of text a score means nothing, in either direction. Four rules of our own choice, simple
enough to be stated and checked by hand, tell such images; docs/scope.md has what they catch, and
how many photos they leave out by mistake. They tell apart only what measures tell apart: a painting
in many colours is in scope for them.
"""

import numpy as np
import numpy.typing as npt

from aligngemini.images.views import flat_share
from aligngemini.verdict import Scope, ScopeReason

Pixels = npt.NDArray[np.uint8]

VERSION = 1
"""Of the rules; part of every record."""

LEAST_CONTRAST = 16.0
MOST_FLAT = 0.7
MOST_OF_FEW_COLOURS = 0.75
FEW = 8
LEAST_PAPER, LEAST_STROKES, MOST_SATURATION = 0.55, 0.3, 30.0

SAMPLES = 256
"""Rows and columns that stand for an image, at the most."""
BLOCK = 8
BLOCKS = 96
"""Blocks along each axis, likewise."""
PAPER_RANGE = 33
"""Grey levels that paper may vary over."""
STROKE = 96
"""Grey levels between the darkest and the brightest pixel of a block with a stroke in it."""


def scope_of(pixels: Pixels) -> Scope:
    """Measure an image and hold it against the rules.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    height, width = pixels.shape[:2]
    sample = pixels[:: -(-height // SAMPLES), :: -(-width // SAMPLES)]
    red, green, blue = np.moveaxis(sample, -1, 0).astype(np.int32, order="C")
    grey = _shares(77 * red + 150 * green + 29 * blue >> 8)  # luma after ITU-R BT.601
    brightest = np.maximum(np.maximum(red, green), blue)
    colourful = _shares(brightest - np.minimum(np.minimum(red, green), blue))
    measured = {
        "contrast": float(_level(grey, 0.99) - _level(grey, 0.01)),
        "flat": flat_share(pixels),
        "colours": _few_colours(red << 16 | green << 8 | blue),
        # The paper of a page: most pixels within neighbouring grey levels.
        "paper": float(np.convolve(grey, np.ones(PAPER_RANGE)).max()),
        "strokes": _strokes(pixels[..., 1]),
        "saturation": float(_level(colourful, 0.9)),
    }
    return Scope(_reasons(measured), {name: round(x, 4) for name, x in measured.items()}, VERSION)


def _reasons(measured: dict[str, float]) -> tuple[ScopeReason, ...]:
    rules: dict[ScopeReason, bool] = {
        "constant": measured["contrast"] < LEAST_CONTRAST,
        "flat": measured["flat"] > MOST_FLAT,
        "few-colours": measured["colours"] > MOST_OF_FEW_COLOURS,
        "text": measured["paper"] > LEAST_PAPER
        and measured["strokes"] > LEAST_STROKES
        and measured["saturation"] < MOST_SATURATION,
    }
    return tuple(reason for reason, holds in rules.items() if holds)


def _shares(levels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Share of the pixels at each of 256 levels."""
    return np.bincount(levels.ravel(), minlength=256) / levels.size


def _level(shares: npt.NDArray[np.float64], quantile: float) -> int:
    """The lowest level that so many of the pixels reach or stay below."""
    return int(np.searchsorted(np.cumsum(shares), quantile))


def _few_colours(colours: npt.NDArray[np.int32]) -> float:
    """Share of the pixels that have one of the most frequent eight colours."""
    ordered = np.sort(colours, axis=None)
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    counts = np.diff(ends, prepend=-1)
    return float(np.sort(counts)[-FEW:].sum() / len(ordered))


def _strokes(green: Pixels) -> float:
    """Share of small blocks that hold both dark and bright, as where ink meets paper."""
    rows, columns = (side // BLOCK for side in green.shape)
    blocks = green[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    blocks = blocks[:: -(-rows // BLOCKS), :, :: -(-columns // BLOCKS)]
    ranges = blocks.max((1, 3)) - blocks.min((1, 3))
    return float((ranges >= STROKE).mean())
