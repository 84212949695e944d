from io import BytesIO

import numpy as np
import pytest
from PIL import Image as PILImage

from aligngemini.images.item import Image
from aligngemini.report.overlay import COLOURS, heatmap_png, preview_jpeg, save_overlay


def grey(width, height, value=90):
    return Image(np.full((height, width, 3), value, np.uint8))


def alpha_of(png):
    return np.asarray(PILImage.open(BytesIO(png)).convert("RGBA"))[..., 3]


def coloured(path):
    """How far each pixel of an overlay is from grey."""
    pixels = np.asarray(PILImage.open(path)).astype(int)
    return pixels.max(axis=2) - pixels.min(axis=2)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4001), (5000, 7)])
def test_preview_keeps_the_shape(size):
    preview = PILImage.open(BytesIO(preview_jpeg(grey(*size))))
    assert preview.format == "JPEG"
    assert max(preview.size) == 512
    longer = int(np.argmax(size))
    expected = max(1, round(512 * size[1 - longer] / size[longer]))
    assert abs(preview.size[1 - longer] - expected) <= 1


def test_preview_is_not_enlarged():
    assert PILImage.open(BytesIO(preview_jpeg(grey(33, 21)))).size == (33, 21)


def test_preview_shows_the_image():
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, 450:] = (200, 40, 40)
    preview = np.asarray(PILImage.open(BytesIO(preview_jpeg(Image(pixels), 90)))).astype(int)
    assert np.abs(preview[30, 70] - (200, 40, 40)).max() < 12
    assert preview[30, 20].max() < 12


def test_preview_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        preview_jpeg(grey(9, 9), 0)


@pytest.mark.parametrize("size", [(641, 479), (33, 977), (1000, 50), (2500, 1777)])
@pytest.mark.parametrize("grid", [(7, 5), (3, 11)])
@pytest.mark.parametrize("corner", ["first", "middle", "last"])
def test_hot_patch_lies_where_it_was_planted(tmp_path, size, grid, corner):
    rows, columns = grid
    row, column = {
        "first": (0, 0),
        "middle": (rows // 2, columns // 2),
        "last": (rows - 1, columns - 1),
    }[corner]
    heatmap = np.zeros(grid, np.float32)
    heatmap[row, column] = 1.0
    save_overlay(grey(*size), heatmap, tmp_path / "o.png")
    found = coloured(tmp_path / "o.png")
    height, width = found.shape
    rows_lit, columns_lit = np.nonzero(found > 0.9 * found.max())
    assert found.max() > 60
    assert abs(rows_lit.mean() / height - (row + 0.5) / rows) < 0.3 / rows + 1 / height
    assert abs(columns_lit.mean() / width - (column + 0.5) / columns) < 0.3 / columns + 1 / width


def test_where_nobody_looked_stays_as_it_was(tmp_path):
    heatmap = np.ones((4, 6), np.float32)
    heatmap[:, 3:] = np.nan
    save_overlay(grey(601, 401), heatmap, tmp_path / "o.png")
    found = coloured(tmp_path / "o.png")
    assert (found[:, 302:] == 0).all()
    assert (found[:, :299] > 60).all()  # and NaN does not eat into what was seen
    alpha = alpha_of(heatmap_png(heatmap))
    half = alpha.shape[1] // 2
    assert (alpha[:, half + 1 :] == 0).all()
    assert (alpha[:, : half - 1] > 200).all()


def test_nan_pulls_no_neighbour_down(tmp_path):
    heatmap = np.full((4, 4), 0.8, np.float32)
    plain = alpha_of(heatmap_png(heatmap))
    heatmap[0, 0] = np.nan
    beside = alpha_of(heatmap_png(heatmap))
    assert set(np.unique(beside)) == {0, plain.max()}


def test_nothing_seen_draws_nothing():
    assert not alpha_of(heatmap_png(np.full((3, 3), np.nan, np.float32))).any()


def test_low_is_transparent_and_values_out_of_range_are_held():
    assert not alpha_of(heatmap_png(np.full((3, 3), 0.2))).any()
    assert not alpha_of(heatmap_png(np.full((3, 3), -5.0))).any()
    strongest = alpha_of(heatmap_png(np.full((3, 3), 1.0)))
    assert (alpha_of(heatmap_png(np.full((3, 3), np.inf))) == strongest).all()


def test_colour_map_is_monotonic():
    colours = COLOURS.astype(int)
    luma = colours[:, :3] @ np.array([299, 587, 114])
    assert (np.diff(luma) >= 0).all()
    assert (luma[4:] > luma[:-4]).all()
    assert (np.diff(colours[:, 3]) >= 0).all()
    assert colours[0, 3] == 0
    assert 180 < colours[-1, 3] < 255  # the image shows through even at its strongest


def test_heatmap_png_is_small_whatever_comes(tmp_path):
    noise = np.random.default_rng(0).uniform(size=(700, 1100))
    png = heatmap_png(noise)
    assert PILImage.open(BytesIO(png)).size == (128, 81)
    assert len(png) < 20_000


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3), (0, 5)])
def test_what_is_no_heatmap_is_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="a heatmap is"):
        heatmap_png(np.zeros(shape))
    with pytest.raises(ValueError, match="a heatmap is"):
        save_overlay(grey(9, 9), np.zeros(shape), tmp_path / "o.png")
    assert not list(tmp_path.iterdir())


def test_overlay_is_capped_and_never_enlarged(tmp_path):
    save_overlay(grey(4096, 1000), np.zeros((2, 2)), tmp_path / "big.png")
    save_overlay(grey(31, 17), np.zeros((2, 2)), tmp_path / "small.png")
    assert PILImage.open(tmp_path / "big.png").size == (2048, 500)
    assert PILImage.open(tmp_path / "small.png").size == (31, 17)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.png", "small.png"]


def test_every_colour_in_an_overlay_is_the_heatmaps(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[...] = (255, 220, 60)
    save_overlay(Image(pixels), np.zeros((4, 6)), tmp_path / "o.png")
    assert not coloured(tmp_path / "o.png").any()
