"""A picture of a few rows of a manipulation set: photo, result, masks side by side."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from aligngemini.datasets.manifest import Row
from aligngemini.datasets.manipulation_set import UNTOUCHED, Sample, load_masks
from aligngemini.datasets.manipulations.base import Mask, Pixels
from aligngemini.images.decode import decode, read_bytes

CELL = (240, 180)  # width and height, pixels
LINE = 16  # pixels, of text
GAP = 6
ACROSS = 2  # rows of the manifest side by side
TITLE = "photo | result | generated pixels red, moved pixels blue"

_INK, _PAPER = (30, 30, 30), (255, 255, 255)


def draw_contact_sheet(samples: Sequence[Sample], pairs: Sequence[str]) -> PILImage.Image:
    """Draw the sheet.

    Args:
        samples: What to show, in this order.
        pairs: The untouched photo of each; empty where there is none.
    """
    font = ImageFont.load_default()
    strip = 3 * CELL[0] + 4 * GAP, CELL[1] + LINE + GAP
    lines = -(-len(samples) // ACROSS)
    sheet = PILImage.new("RGB", (ACROSS * strip[0], LINE + GAP + lines * strip[1]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), TITLE, _INK, font)
    for number, (sample, pair) in enumerate(zip(samples, pairs, strict=True)):
        left, top = number % ACROSS * strip[0], LINE + GAP + number // ACROSS * strip[1]
        said = ", ".join(filter(None, [sample.manipulation, sample.generator, sample.label]))
        draw.text(
            (left + GAP, top), said.encode("latin-1", "replace").decode("latin-1"), _INK, font
        )
        for column, pixels in enumerate(_cells(sample, pair)):
            if pixels is not None:
                cell = PILImage.fromarray(pixels)
                cell.thumbnail(CELL)
                sheet.paste(cell, (left + GAP + column * (CELL[0] + GAP), top + LINE))
    return sheet


def tinted(pixels: Pixels, masks: Mask) -> Pixels:
    """A dim grey picture with generated pixels in red and moved ones in blue.

    Args:
        pixels: (H, W, 3) uint8.
        masks: (H, W, 2) bool, generated and moved.
    """
    dim = np.repeat(pixels.mean(axis=2, keepdims=True) / 2, 3, axis=2)
    dim[..., [0, 2]] += masks * 127.0
    return dim.astype(np.uint8)


def choose_rows(rows: Sequence[Row], each: int = 4) -> list[Row]:
    """The first few edited rows of every manipulation and generator, kind after kind."""
    chosen: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        kind = str(row.extra["manipulation"])
        if kind != UNTOUCHED:
            chosen.setdefault((kind, row.generator), []).append(row)
    return [row for _, group in sorted(chosen.items()) for row in group[:each]]


def _cells(sample: Sample, pair: str) -> Iterator[Pixels | None]:
    yield _pixels(pair) if pair else None
    result = _pixels(sample.path)
    yield result
    yield tinted(result, load_masks(sample, *result.shape[:2]))


def _pixels(path: str) -> Pixels:
    return decode(read_bytes(path), path=path).pixels
