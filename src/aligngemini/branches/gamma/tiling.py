"""A whole image through a model of fixed tiles: where the tiles lie, and one map of their maps."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aligngemini.images.views import Tile
from aligngemini.runtimes.preprocess import Tiles

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]

MAX_CELLS = 1 << 20
"""Of a map: 16 megapixels at a stride of 4; coarser beyond, so that memory stays flat."""


@dataclass(frozen=True)
class Layout:
    """Where the tiles of one image lie, on the cells of its maps.

    Attributes:
        cell: Side of a cell of the image's maps, pixels: the model's stride, or a multiple.
        size: Side of a tile, cells.
        height: Of the maps, cells; the last row may reach beyond the image.
        width: Likewise.
        rows: First row of each line of tiles.
        columns: First column of each.
        overlap: Cells along which a tile fades into its neighbour.
    """

    cell: int
    size: int
    height: int
    width: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    overlap: int

    def __iter__(self) -> Iterator[Tile]:
        """Tiles in cells, line by line."""
        return (Tile(row, column) for row in self.rows for column in self.columns)


def lay_out(height: int, width: int, settings: Tiles) -> Layout:
    """Cover an image with tiles that overlap, or spread the most there may be over it.

    Args:
        height: Of the image, pixels.
        width: Likewise.
        settings: Of the model.
    """
    cell = settings.map_stride * _coarser(height, width, settings)
    size = settings.tile_size // cell
    overlap = -(-settings.overlap // cell)
    cells = -(-height // cell), -(-width // cell)
    counts = [1 if n <= size else -(-(n - overlap) // (size - overlap)) for n in cells]
    counts = _at_most(settings.max_tiles, *counts)
    rows, columns = (
        tuple(np.linspace(0, max(0, n - size), count).round().astype(int).tolist())
        for n, count in zip(cells, counts, strict=True)
    )
    return Layout(cell, size, *cells, rows, columns, overlap)


def cut_tile(pixels: Pixels, tile: Tile, layout: Layout) -> Pixels:
    """One tile at native resolution, mirrored where it reaches beyond the image."""
    side = layout.size * layout.cell
    top, left = tile.top * layout.cell, tile.left * layout.cell
    inside = pixels[top : top + side, left : left + side]
    missing = [(0, side - length) for length in inside.shape[:2]]
    if not any(after for _, after in missing):
        return inside
    return np.pad(inside, (*missing, (0, 0)), mode="symmetric")


class Mosaic:
    """Maps of an image, put together from those of its tiles while they come.

    Neighbours fade into each other where they overlap, for a cell at a tile's border has seen only
    one side of its surroundings.
    """

    def __init__(self, layout: Layout, maps: int) -> None:
        """Begin with nothing seen.

        Args:
            layout: Where the tiles lie.
            maps: How many maps each tile brings.
        """
        self.layout = layout
        self._total = np.zeros((maps, layout.height, layout.width), np.float32)
        self._weight = np.zeros((layout.height, layout.width), np.float32)
        fade = _fade(layout.size, layout.overlap)
        self._window = fade[:, None] * fade

    def add(self, tile: Tile, maps: Map) -> None:
        """Put one tile in its place.

        Args:
            tile: Where it lies, cells.
            maps: (maps, h, w) in [0, 1] at the model's own stride.
        """
        size = self.layout.size
        finer = maps.shape[1] // size
        blocks = maps.reshape(len(maps), size, finer, size, finer)
        values = blocks.mean((2, 4)) * self._window
        bottom = min(self.layout.height, tile.top + size)
        right = min(self.layout.width, tile.left + size)
        rows, columns = slice(tile.top, bottom), slice(tile.left, right)
        self._total[:, rows, columns] += values[:, : bottom - tile.top, : right - tile.left]
        self._weight[rows, columns] += self._window[: bottom - tile.top, : right - tile.left]

    def finish(self) -> Map:
        """(maps, height, width) in [0, 1], NaN where no tile lay. The mosaic is used up."""
        with np.errstate(invalid="ignore"):
            self._total /= self._weight
        return np.clip(self._total, 0, 1, out=self._total)


def _coarser(height: int, width: int, settings: Tiles) -> int:
    """How many of the model's cells one cell of the image's maps stands for, along each axis."""
    per_tile = settings.tile_size // settings.map_stride
    divisors = (n for n in range(1, per_tile + 1) if per_tile % n == 0)
    cells = (height / settings.map_stride) * (width / settings.map_stride)
    return next((n for n in divisors if cells <= MAX_CELLS * n * n), per_tile)


def _at_most(most: int, rows: int, columns: int) -> list[int]:
    """The same shape of a grid with no more than `most` tiles."""
    if rows * columns <= most:
        return [rows, columns]
    rows = min(most, max(1, int(rows * math.sqrt(most / (rows * columns)))))
    return [rows, min(columns, most // rows)]


def _fade(size: int, overlap: int) -> Map:
    """Weights of a line of cells: 1 inside, down a cosine towards both ends, never 0."""
    steps = np.arange(size, dtype=np.float32) + 0.5
    to_border = np.minimum(steps, size - steps)
    along = np.minimum(1, to_border / max(overlap, 0.5))
    fade: Map = np.sin(along * np.float32(np.pi / 2)) ** 2
    return fade
