"""Images the pixel expert was not measured on get no verdict out of its score."""

import numpy as np
import pytest

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.item import Image
from aligngemini.images.views import flat_share


@pytest.fixture(scope="module")
def branch() -> PixelBranch:
    return PixelBranch.load("compact", device="cpu", threads=1)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_drawings_are_undecided_with_the_reason(branch: PixelBranch) -> None:
    drawing = np.full((300, 400, 3), (255, 106, 0), np.uint8)
    drawing[100:150, 50:90] = 0
    [evidence] = branch.judge([Image(drawing)])
    assert evidence.verdict == "undecided"
    assert "flat colour" in (evidence.remark or "")
    assert "flat colour" in evidence.to_dict()["remark"]


@pytest.mark.parametrize(("height", "width"), [(159, 600), (600, 159)])
def test_images_smaller_than_a_crop_are_undecided(
    branch: PixelBranch, height: int, width: int
) -> None:
    [evidence] = branch.judge([Image(noise(height, width))])
    assert evidence.verdict == "undecided"
    assert "160 pixels" in (evidence.remark or "")


def test_the_smallest_image_in_scope_is_judged_by_its_score(branch: PixelBranch) -> None:
    [evidence] = branch.judge([Image(noise(160, 160))])
    assert evidence.remark is None
    assert "remark" not in evidence.to_dict()


def test_flat_share_counts_equal_neighbours() -> None:
    assert flat_share(noise(64, 64)) < 0.01
    assert flat_share(np.zeros((64, 64, 3), np.uint8)) == 1.0
    halves = noise(64, 101)
    halves[:, 50:] = 7  # 50 of 100 pairs of neighbours are equal
    assert flat_share(halves) == pytest.approx(0.5, abs=0.01)
