"""Tiles cover an image, and their maps become one map without seams."""

from itertools import pairwise

import numpy as np
import pytest
from fixtures.drawn import texture

from aligngemini.branches.gamma import tiling
from aligngemini.branches.gamma.tiling import Mosaic, cut_tile, lay_out
from aligngemini.runtimes.preprocess import Tiles

SETTINGS = Tiles(tile_size=64, map_stride=4, overlap=16)
SIZES = [(64, 64), (65, 63), (300, 260), (257, 1001), (33, 500), (1, 1), (64, 1280)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_tiles_cover_the_image_and_overlap(height, width):
    layout = lay_out(height, width, SETTINGS)
    assert (layout.height, layout.width) == (-(-height // 4), -(-width // 4))
    for firsts, cells in ((layout.rows, layout.height), (layout.columns, layout.width)):
        assert firsts[0] == 0
        assert firsts[-1] == max(0, cells - layout.size)
        assert all(0 < b - a <= layout.size - 4 for a, b in pairwise(firsts))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_tile_shows_the_pixels_of_its_place(height, width):
    pixels = texture(height, width)
    layout = lay_out(height, width, SETTINGS)
    for tile in layout:
        cut = cut_tile(pixels, tile, layout)
        assert cut.shape == (64, 64, 3)
        inside = pixels[4 * tile.top :, 4 * tile.left :][:64, :64]
        assert np.array_equal(cut[: inside.shape[0], : inside.shape[1]], inside)


def test_what_is_missing_is_mirrored():
    pixels = texture(40, 60)
    (tile,) = layout = lay_out(40, 60, SETTINGS)
    cut = cut_tile(pixels, tile, layout)
    assert np.array_equal(cut[40:64, :60], pixels[:15:-1])
    assert np.array_equal(cut[:40, 60:], pixels[:, :55:-1])


@pytest.mark.parametrize(("rows", "columns"), [(40, 40), (1, 5000), (5000, 1), (3, 100), (2, 2)])
@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_no_more_tiles_than_allowed_spread_over_all(rows, columns, most):
    settings = Tiles(tile_size=64, map_stride=4, overlap=0, max_tiles=most)
    layout = lay_out(64 * rows, 64 * columns, settings)
    assert len(list(layout)) == len(layout.rows) * len(layout.columns) <= most
    assert len(list(layout)) >= min(most, rows * columns) / 2
    if len(layout.columns) > 1:
        assert layout.columns[-1] == layout.width - layout.size


def mosaic_of(layout, maps_of):
    mosaic = Mosaic(layout, 2)
    for tile in layout:
        mosaic.add(tile, maps_of(tile))
    return mosaic.finish()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("overlap", [0, 4, 32])
def test_a_constant_answer_gives_a_constant_map(height, width, overlap):
    layout = lay_out(height, width, Tiles(64, 4, overlap))
    maps = mosaic_of(layout, lambda tile: np.full((2, 16, 16), 0.3, np.float32))
    assert maps.shape == (2, layout.height, layout.width)
    assert maps == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_answers_that_agree_are_kept_in_their_place(height, width):
    layout = lay_out(height, width, SETTINGS)
    rng = np.random.default_rng(0)
    truth = rng.random((2, layout.height + 16, layout.width + 16), dtype=np.float32)

    def answer(tile):
        return truth[:, tile.top : tile.top + 16, tile.left : tile.left + 16]

    maps = mosaic_of(layout, answer)
    assert maps == pytest.approx(truth[:, : layout.height, : layout.width], abs=1e-5)


def test_where_tiles_disagree_there_is_no_step():
    layout = lay_out(64, 112, SETTINGS)  # two tiles, four cells of both

    def answer(tile):
        return np.full((2, 16, 16), float(tile.left > 0), np.float32)

    row = mosaic_of(layout, answer)[0, 7]
    assert (row[:12] == 0).all()
    assert (row[16:] == 1).all()
    assert (np.diff(row[11:17]) > 0).all()
    assert np.diff(row).max() < 0.5
    assert row[11:17] == pytest.approx(1 - row[16:10:-1], abs=1e-6)  # neither goes before the other


def test_the_border_of_a_tile_hardly_counts_inside_the_image():
    layout = lay_out(64, 304, SETTINGS)
    answer = np.zeros((2, 16, 16), np.float32)
    answer[:, :, [0, -1]] = 1
    row = mosaic_of(layout, lambda tile: answer)[0, 7]
    assert row[[0, -1]] == pytest.approx(1)  # there is nothing else
    assert row[1:-1].max() < 0.1


def test_between_tiles_nobody_looked():
    layout = lay_out(64, 64 * 10, Tiles(64, 4, 0, max_tiles=4))
    maps = mosaic_of(layout, lambda tile: np.ones((2, 16, 16), np.float32))
    assert np.isnan(maps).mean() == pytest.approx(0.6)
    assert np.nanmin(maps) == 1


def test_maps_of_large_images_are_coarser_and_no_larger(monkeypatch):
    monkeypatch.setattr(tiling, "MAX_CELLS", 2000)
    settings = Tiles(tile_size=64, map_stride=4, overlap=16)
    fine, coarse = lay_out(160, 200, settings), lay_out(640, 800, settings)
    assert (fine.cell, coarse.cell) == (4, 16)
    assert fine.height * fine.width == coarse.height * coarse.width == 2000
    assert (coarse.size, coarse.overlap) == (4, 1)
    steps = np.linspace(0, 1, 16, dtype=np.float32)
    maps = mosaic_of(coarse, lambda tile: np.broadcast_to(steps, (2, 16, 16)))
    assert maps[0, 0, 0] == pytest.approx(steps[:4].mean())
