"""Reading a manipulation set: every row's masks, and one clear error for each that has none."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.datasets.manipulation_set import (
    ManipulationSetError,
    load_masks,
    read_manipulation_set,
)

LEFT, RIGHT = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
LEFT[:, :20], RIGHT[:, 30:] = True, True


@pytest.fixture
def folder(tmp_path):
    for name, mask in (("left", LEFT), ("right", RIGHT)):
        Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / f"{name}.png")
    return tmp_path


def row(kind, *, mask="", moved="", label="fake"):
    extra = {"manipulation": kind, "mask_moved": moved}
    return Row("a.png", label, "vae", "camera", "val", mask=mask, extra=extra)


def read(folder, *rows, suffix="parquet"):
    manifest = folder / f"manifest.{suffix}"
    write_manifest(rows, manifest)
    return read_manipulation_set(manifest)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_become_samples(folder, suffix):
    samples = read(
        folder,
        row("none", label="real"),
        row("vae-region", mask="left.png"),
        row("splice", moved="right.png", label="real"),
        row("full"),
        row("inpaint", mask="left.png", moved="right.png"),
        suffix=suffix,
    )
    found = [load_masks(sample, 40, 50) for sample in samples]
    nothing, everything = np.zeros_like(LEFT), np.ones_like(LEFT)
    expected = [
        (nothing, nothing),
        (LEFT, nothing),
        (nothing, RIGHT),
        (everything, nothing),
        (LEFT, RIGHT),
    ]
    for masks, pair in zip(found, expected, strict=True):
        assert masks.shape == (40, 50, 2)
        assert masks.dtype == bool
        np.testing.assert_array_equal(np.moveaxis(masks, -1, 0), pair)
    assert [sample.full for sample in samples] == [False, False, False, True, False]
    assert [sample.label for sample in samples] == ["real", "fake", "real", "fake", "fake"]
    first = samples[0]
    assert (first.path, first.generator) == (str(folder / "a.png"), "vae")
    assert (first.source, first.split, first.manipulation) == ("camera", "val", "none")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row("swirl"), "manipulation is 'swirl'"),
        (row(""), "manipulation is ''"),
        (row("vae-region"), "needs a mask in the column 'mask'"),
        (row("copy-move", mask="left.png"), "needs a mask in the column 'mask_moved'"),
        (row("none", mask="left.png"), "none takes no mask"),
        (row("full", moved="left.png"), "full takes no mask"),
    ],
)
def test_a_row_that_cannot_be_is_named(folder, wrong, said):
    with pytest.raises(ManipulationSetError, match=r"manifest\.parquet, row 2: ") as error:
        read(folder, row("none"), wrong)
    assert said in str(error.value)


def test_a_mask_of_another_size_is_refused(folder):
    (sample,) = read(folder, row("vae-region", mask="left.png"))
    with pytest.raises(ManipulationSetError, match=r"50 x 40 pixels and its image 40 x 50"):
        load_masks(sample, 50, 40)


def test_a_mask_without_region_is_refused(folder):
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(folder / "empty.png")
    (sample,) = read(folder, row("splice", moved="empty.png"))
    with pytest.raises(ManipulationSetError, match=r"empty\.png marks no pixel"):
        load_masks(sample, 40, 50)


def test_a_mask_that_is_not_there_is_refused(folder):
    (sample,) = read(folder, row("vae-region", mask="left.png"))
    gone = replace(sample, generated=str(folder / "gone.png"))
    with pytest.raises(ManipulationSetError, match=r"gone\.png cannot be used: there is no"):
        load_masks(gone, 40, 50)
