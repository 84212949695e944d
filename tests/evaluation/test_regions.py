"""Whole images with known masks, through a model whose maps read colours."""

import math

import numpy as np
import pytest
from fixtures.drawn import png
from fixtures.gammas import colour_folder
from PIL import Image
from sklearn.metrics import f1_score

from aligngemini.branches.gamma import GammaBranch
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import Sample
from aligngemini.evaluation.regions import measure_images, region_figures, to_pixels

SIZE = (100, 150)  # no multiple of a tile or of a cell


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    return GammaBranch.load(colour_folder(tmp_path_factory.mktemp("colours") / "m"), device="cpu")


@pytest.fixture
def sample(tmp_path):
    """Writes a picture that is red (generated) or green (moved) in a box, and that box's mask."""

    def write(kind, box=None, *, painted=None, name=None):
        name = name or kind
        pixels, mask = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)
        if box is not None:
            rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
            mask[rows, columns] = 255
        if painted is not None:
            rows, columns = slice(painted[1], painted[3]), slice(painted[0], painted[2])
            pixels[rows, columns, 1 if kind == "splice" else 0] = 255
        (tmp_path / f"{name}.png").write_bytes(png(pixels))
        Image.fromarray(mask).save(tmp_path / f"{name}-mask.png")
        path = str(tmp_path / f"{name}-mask.png")
        return Sample(
            path=str(tmp_path / f"{name}.png"),
            generated=path if kind == "vae-region" else None,
            moved=path if kind == "splice" else None,
            full=kind == "full",
            manipulation=kind,
            generator="",
            source="",
            split="val",
            label="real" if kind == "none" else "fake",
        )

    return write


def test_a_region_is_measured_where_it_is(branch, sample):
    box = (40, 20, 100, 60)
    (found,) = measure_images(branch, [sample("vae-region", box, painted=box)], ["as is"])
    assert found.counts["generated"].f1 == found.counts["either"].f1 == 1
    assert found.aucs["generated"] == 1
    assert found.counts["moved"].marked_share == 0
    assert found.counts["generated"].hits == 60 * 40
    assert math.isnan(found.aucs["moved"])


def test_partly_found_is_scikit_learns_f1(branch, sample):
    box, painted = (40, 20, 100, 60), (40, 40, 120, 80)
    (found,) = measure_images(branch, [sample("splice", box, painted=painted)], ["as is"])
    truth, guess = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    truth[20:60, 40:100], guess[40:80, 40:120] = True, True
    assert found.counts["moved"].f1 == pytest.approx(f1_score(truth.ravel(), guess.ravel()))


def test_masks_shrink_with_their_image(branch, sample):
    box = (40, 16, 104, 64)
    (found,) = measure_images(branch, [sample("splice", box, painted=box)], ["half size"])
    counts = found.counts["moved"]
    assert counts.hits + counts.missed == 32 * 24
    assert counts.f1 > 0.9


def test_a_full_fake_is_all_region(branch, sample):
    everything = (0, 0, SIZE[1], SIZE[0])
    (found,) = measure_images(branch, [sample("full", painted=everything)], ["as is"])
    assert found.counts["generated"].f1 == 1
    assert found.counts["generated"].hits == SIZE[0] * SIZE[1]
    assert math.isnan(found.aucs["generated"])


def test_figures_by_manipulation_and_delivery(branch, sample):
    box, half = (40, 20, 100, 60), (40, 20, 100, 40)
    everything = [
        sample("none", name="clean"),
        sample("none", name="spotted", painted=(0, 0, 60, 48)),
        sample("vae-region", box, painted=box),
        sample("splice", box, painted=half),
    ]
    steps = []
    measured = measure_images(
        branch, everything, ["as is", "JPEG 90"], step=lambda: steps.append(1)
    )
    assert len(steps) == 4
    rows = {(row.delivery, row.manipulation): row for row in region_figures(measured)}
    assert len(rows) == 6
    none, region, splice = (rows["as is", name] for name in ("none", "vae-region", "splice"))
    assert none.images == 2
    assert none.marked == pytest.approx(60 * 48 / (SIZE[0] * SIZE[1]) / 2)
    assert math.isnan(none.f1)
    assert math.isnan(none.image_auc)
    assert (region.f1, region.iou, region.pixel_auc) == (1, 1, 1)
    assert splice.f1 == pytest.approx(2 * 0.5 / 1.5)
    assert splice.iou == pytest.approx(0.5)
    assert region.image_auc == 0.75  # as high as the spotted photo, above the clean one
    assert rows["JPEG 90", "vae-region"].f1 > 0.9


def test_cells_nobody_looked_at_mark_nothing():
    values = np.array([[0.25, np.nan], [np.nan, 0.75]], np.float32)
    full = to_pixels(values, 3, 5, 4)
    assert full.shape == (5, 4)
    np.testing.assert_array_equal(full[:3, :3], 0.25)
    np.testing.assert_array_equal(full[3:, 3:], 0.75)
    np.testing.assert_array_equal(full[:3, 3:], 0)


def test_an_image_that_cannot_be_read_is_named(branch, sample, tmp_path):
    broken = sample("none")
    (tmp_path / "none.png").write_bytes(b"no picture")
    with pytest.raises(ManifestError, match=r"none\.png cannot be used"):
        measure_images(branch, [broken], ["as is"])
