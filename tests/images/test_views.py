"""What a pixel expert gets to see: native tiles and one small square."""

import numpy as np
import pytest
from fixtures.drawn import flat, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from aligngemini.images.views import Tile, cut, grid, pad_to, textured_tiles, whole
from aligngemini.images.views import texture as texture_of

SIDES = st.integers(1, 70)


@settings(deadline=None)
@given(st.integers(16, 400), st.integers(16, 400), st.integers(2, 16), st.integers(1, 6))
def test_tiles_lie_inside_and_are_no_more_than_asked(height, width, size, most):
    tiles = grid(height, width, size, most)
    assert len(set(tiles)) == len(tiles)
    assert len(tiles) == min(most, -(-height // size)) * min(most, -(-width // size))
    for tile in tiles:
        assert 0 <= tile.top <= height - size
        assert 0 <= tile.left <= width - size


@settings(deadline=None)
@given(st.integers(16, 100), st.integers(16, 100), st.integers(5, 16))
def test_enough_tiles_cover_every_pixel(height, width, size):
    seen = np.zeros((height, width), bool)
    for tile in grid(height, width, size, most=20):
        seen[tile.top : tile.top + size, tile.left : tile.left + size] = True
    assert seen.all()


def test_few_tiles_are_spread_from_edge_to_edge():
    tiles = grid(100, 400, 10, most=3)
    assert sorted({tile.top for tile in tiles}) == [0, 45, 90]
    assert sorted({tile.left for tile in tiles}) == [0, 195, 390]
    assert [tile.left for tile in grid(10, 62, 10, most=4)] == [0, 17, 35, 52]


def test_image_of_one_tile_is_one_tile():
    assert grid(32, 32, 32, most=5) == [Tile(0, 0)]


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 64))
def test_padding_mirrors_and_keeps_what_was_there(height, width, size):
    pixels = texture(height, width)
    padded = pad_to(pixels, size)
    assert padded.shape == (max(height, size), max(width, size), 3)
    np.testing.assert_array_equal(padded[:height, :width], pixels)
    # The mirror stands behind the last row: rows run ... 1, 0 | 0, 1, ..., n - 1 | n - 1, ... 0 |.
    rows = np.arange(padded.shape[0]) % (2 * height)
    columns = np.arange(padded.shape[1]) % (2 * width)
    rows = np.minimum(rows, 2 * height - 1 - rows)
    columns = np.minimum(columns, 2 * width - 1 - columns)
    np.testing.assert_array_equal(padded, pixels[np.ix_(rows, columns)])


def test_large_image_is_not_copied():
    pixels = texture(40, 50)
    assert pad_to(pixels, 40) is pixels


def test_crops_are_the_pixels_untouched():
    pixels = texture(50, 60)
    crops = cut(pixels, [Tile(3, 7), Tile(34, 44)], 16)
    np.testing.assert_array_equal(crops[0], pixels[3:19, 7:23])
    np.testing.assert_array_equal(crops[1], pixels[34:50, 44:60])


def test_texture_is_the_mean_step_in_grey_levels():
    stairs = np.zeros((1, 8, 8, 3), np.uint8)
    stairs[0, :, :, 1] = np.arange(0, 80, 10)[:, None]
    assert texture_of(stairs) == pytest.approx([10.0])
    # Down is as much as up: differences of bytes must not wrap around.
    assert texture_of(stairs[:, ::-1]) == pytest.approx([10.0])
    assert texture_of(np.stack([flat(8, 8, 200)])) == pytest.approx([0.0])


def test_most_textured_tiles_come_first():
    pixels = flat(96, 96, 128)
    for rank, (top, left) in enumerate([(32, 64), (64, 0), (0, 32)]):
        pixels[top : top + 32, left : left + 32] = texture(32, 32, spread=60 / 2**rank)
    tiles = textured_tiles(pixels, 32, count=3, most=5)
    assert tiles == [Tile(32, 64), Tile(64, 0), Tile(0, 32)]


def test_equal_tiles_keep_the_order_of_the_grid():
    pixels = flat(160, 160, 9)
    pixels[::2, 96:128] = 99
    tiles = textured_tiles(pixels, 32, count=25, most=5)
    striped = [Tile(top, 96) for top in range(0, 160, 32)]
    assert tiles == striped + [tile for tile in grid(160, 160, 32, 5) if tile not in striped]


def test_no_more_tiles_than_the_image_has():
    assert len(textured_tiles(texture(40, 40), 32, count=9, most=5)) == 4


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (41, 90), (40, 40), (150, 170)])
def test_whole_view_is_the_centred_square(shape):
    pixels = texture(*shape)
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    square = PILImage.fromarray(pixels[top : top + side, left : left + side])
    expected = square.resize((16, 16), PILImage.Resampling.BICUBIC, reducing_gap=2.0)
    np.testing.assert_array_equal(whole(pixels, 16, filter_name="bicubic"), np.asarray(expected))


def test_whole_view_does_not_see_what_lies_beside_the_square():
    pixels = texture(40, 100)
    changed = pixels.copy()
    changed[:, :30], changed[:, 70:] = 0, 255
    np.testing.assert_array_equal(whole(changed, 16), whole(pixels, 16))


@settings(deadline=None, max_examples=50)
@given(SIDES, SIDES, st.integers(1, 40))
def test_whole_view_of_any_shape_is_square(height, width, size):
    view = whole(flat(height, width, 77), size)
    assert view.shape == (size, size, 3)
    assert np.ptp(view) == 0
    assert view[0, 0, 0] == 77
