"""The parts of an image a pixel expert looks at.

Crops are cut at native resolution and never resized; the whole view is the largest centred square
at one small size. Training and detection share these functions, so that they cannot drift.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.images.filters import FILTERS

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A square of the image, its top left corner in pixels of the (padded) image."""

    top: int
    left: int


def pad_to(pixels: Pixels, size: int) -> Pixels:
    """Mirror an image at its lower and right edge until both sides reach `size`.

    Mirrored pixels keep the texture's statistics, where black bars would add an edge.
    """
    missing = [max(0, size - side) for side in pixels.shape[:2]]
    if not any(missing):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")


def grid(height: int, width: int, size: int, most: int) -> list[Tile]:
    """Tiles spread evenly over an image: side by side where they fit, overlapping at the end.

    Args:
        height: Of the image, at least `size`.
        width: Of the image, at least `size`.
        size: Side of a tile.
        most: Tiles along each axis at the most; a larger image is sampled, not covered.
    """
    rows = np.linspace(0, height - size, min(most, -(-height // size))).round().astype(int)
    columns = np.linspace(0, width - size, min(most, -(-width // size))).round().astype(int)
    return [Tile(int(top), int(left)) for top in rows for left in columns]


def cut(pixels: Pixels, tiles: list[Tile], size: int) -> Pixels:
    """(N, size, size, 3) uint8 crops, in the order of the tiles."""
    return np.stack([pixels[t.top : t.top + size, t.left : t.left + size] for t in tiles])


def texture(crops: Pixels) -> npt.NDArray[np.float32]:
    """Mean absolute vertical step of the green channel of each crop, in grey levels.

    A cheap measure of how much there is to see: sky and studio walls carry no trace of a decoder.
    """
    green = crops[..., 1].astype(np.int16)
    steps: npt.NDArray[np.float32] = np.abs(np.diff(green, axis=1)).mean((1, 2), dtype=np.float32)
    return steps


def flat_share(pixels: Pixels) -> float:
    """Share of pixels that equal their right-hand neighbour to the bit, in [0, 1].

    Noise keeps it low in photos, JPEG or not; drawings, charts and screenshots are mostly flat.
    About 256 rows, spread evenly, stand for the image.
    """
    rows = pixels[:: max(1, len(pixels) // 256)]
    red, green, blue = np.moveaxis(rows[:, 1:] == rows[:, :-1], -1, 0)
    return float((red & green & blue).mean())


def textured_tiles(pixels: Pixels, size: int, count: int, most: int) -> list[Tile]:
    """The `count` tiles of the grid with the most texture, most textured first."""
    height, width = pixels.shape[:2]
    tiles = grid(height, width, size, most)
    order = np.argsort(-texture(cut(pixels, tiles, size)), kind="stable")
    return [tiles[k] for k in order[:count]]


def whole(pixels: Pixels, size: int, *, filter_name: str = "bilinear") -> Pixels:
    """The largest centred square, resized to (size, size, 3).

    A square, because squeezing other shapes would tell the classes apart by aspect ratio.
    """
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = PILImage.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size), FILTERS[filter_name], reducing_gap=2.0))


def center_crop(pixels: Pixels, size: int) -> Pixels:
    """The centred (size, size, 3) square, never resized; zeros around what is smaller.

    An odd remainder falls as torchvision's `CenterCrop` lets it fall, on which published experts
    were measured: of padding, one more below and to the right; of cropping, the half rounded to
    even.
    """
    height, width = pixels.shape[:2]
    missing = [(max(0, size - side) // 2, -(-max(0, size - side) // 2)) for side in (height, width)]
    if any(after for _, after in missing):
        pixels = np.pad(pixels, (*missing, (0, 0)))
    top, left = (round((side - size) / 2) for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]
