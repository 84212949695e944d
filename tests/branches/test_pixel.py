"""The pixel branch, over a model whose answer can be worked out by hand."""

import math

import numpy as np
import pytest
from fixtures.drawn import flat, striped, texture
from fixtures.models import CALIBRATION, GAIN, PATCH, brightness_folder, write_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from aligngemini.branches.pixel import PixelBranch
from aligngemini.branches.pixel.crops_and_whole import HEATMAP_TILES
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError, open_folder, seal_folder
from aligngemini.runtimes.onnx import OnnxRuntime

CROP = 32
GAUGE = 1e-5


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    folder = brightness_folder(tmp_path_factory.mktemp("models") / "brightness")
    return PixelBranch.load(folder, device="cpu", threads=1)


def brightness_logit(pixels):
    return (float(np.mean(pixels, dtype=np.float64)) - 127.5) * GAIN


def score_of(logit):
    return float(1 / (1 + np.exp(-(logit * CALIBRATION["scale"] + CALIBRATION["bias"]))))


@pytest.mark.parametrize("grey", [60, 100, 126, 160])
def test_score_is_the_calibrated_logit(branch, grey):
    (evidence,) = branch.judge([Image(flat(48, 80, grey))])
    assert branch.logit(flat(48, 80, grey)) == pytest.approx((grey - 127.5) * GAIN, abs=GAUGE)
    assert evidence.score == pytest.approx(score_of((grey - 127.5) * GAIN), abs=GAUGE)


def test_label_follows_the_thresholds(branch):
    greys = (90, 117, 126, 135, 160)
    evidence = branch.judge([Image(striped(40, 40, grey)) for grey in greys])
    assert [e.verdict for e in evidence] == ["real", "undecided", "undecided", "fake", "fake"]
    assert {(e.threshold_real, e.threshold) for e in evidence} == {(0.3, 0.7)}
    assert {e.model for e in evidence} == {f"brightness@{branch.fingerprint}"}
    assert all(e.ms > 0 for e in evidence)


@pytest.mark.parametrize("grey", [118, 121, 127, 133, 140, 152])
def test_score_just_below_a_threshold_stays_below(branch, tmp_path, grey):
    pixels = striped(40, 40, grey)
    score = score_of(branch.logit(pixels))
    above = brightness_folder(tmp_path / "above", threshold=math.nextafter(score, 1))
    at = brightness_folder(tmp_path / "at", threshold=score)
    verdicts = [PixelBranch.load(f).judge([Image(pixels)])[0].verdict for f in (above, at)]
    assert verdicts == ["undecided", "fake"]


def test_logit_rests_on_the_textured_crops_and_the_whole(branch):
    pixels = flat(96, 128, 30)
    pixels[32:64, 64:96] = texture(32, 32, seed=1)
    pixels[64:96, 0:32] = texture(32, 32, seed=2)
    crops = [pixels[32:64, 64:96], pixels[64:96, 0:32]]
    square = PILImage.fromarray(pixels[:, 16:112])
    small = square.resize((16, 16), PILImage.Resampling.BILINEAR, reducing_gap=2.0)
    expected = (brightness_logit(crops) + brightness_logit(small)) / 2
    assert branch.logit(pixels) == pytest.approx(expected, abs=GAUGE)


def test_small_image_is_mirrored_for_the_crop_but_not_for_the_whole(branch):
    pixels = texture(20, 26, seed=3)
    mirrored = np.pad(pixels, ((0, 12), (0, 6), (0, 0)), mode="symmetric")
    square = PILImage.fromarray(pixels[:, 3:23])
    small = square.resize((16, 16), PILImage.Resampling.BILINEAR, reducing_gap=2.0)
    expected = (brightness_logit(mirrored) + brightness_logit(small)) / 2
    assert branch.logit(pixels) == pytest.approx(expected, abs=GAUGE)


def test_every_image_is_judged_alone_and_in_order(branch):
    images = [Image(texture(60, 70, seed=k)) for k in range(3)]
    together = [e.score for e in branch.judge(images)]
    alone = [branch.judge([image])[0].score for image in images]
    assert together == alone
    assert [e.score for e in branch.judge(images[::-1])] == together[::-1]
    assert len(set(together)) == 3


def test_score_is_the_same_with_and_without_a_heatmap(branch):
    image = Image(texture(100, 50))
    assert branch.judge([image], heatmaps=True)[0].score == branch.judge([image])[0].score


def test_bright_patch_lands_where_it_was_planted(branch):
    pixels = flat(128, 192, 40)
    pixels[72:88, 136:160] = 220
    heatmap = branch.heatmap(pixels)
    expected = np.full((16, 24), score_of((40 - 127.5) * GAIN))
    expected[9:11, 17:20] = score_of((220 - 127.5) * GAIN)
    np.testing.assert_allclose(heatmap, expected, atol=GAUGE)


def test_bright_spot_is_found_near_its_place_where_tiles_overlap(branch):
    pixels = flat(75, 109, 40)
    pixels[56:72, 88:104] = 220
    row, column = np.unravel_index(np.argmax(branch.heatmap(pixels)), (10, 14))
    # A tile that does not begin with a cell moves its patches by up to one.
    assert 56 / PATCH - 1 <= row < 72 / PATCH + 1
    assert 88 / PATCH - 1 <= column < 104 / PATCH + 1


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 8 * CROP), st.integers(1, 8 * CROP))
def test_heatmap_covers_the_image_with_one_value_a_patch(branch, height, width):
    heatmap = branch.heatmap(flat(height, width, 100))
    assert heatmap.shape == (-(-height // PATCH), -(-width // PATCH))
    np.testing.assert_allclose(heatmap, score_of((100 - 127.5) * GAIN), atol=GAUGE)


def test_heatmap_stays_within_zero_and_one(branch):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255
    heatmap = branch.heatmap(pixels)
    assert heatmap.dtype == np.float32
    assert 0 <= heatmap.min() < 0.01
    assert 0.99 < heatmap.max() <= 1


def test_between_the_tiles_of_a_huge_image_nothing_is_claimed(branch):
    side = CROP * HEATMAP_TILES
    heatmap = branch.heatmap(flat(2 * side, CROP, 100))
    assert heatmap.shape == (2 * side // PATCH, CROP // PATCH)
    seen = ~np.isnan(heatmap).any(axis=1)
    assert np.isnan(heatmap).any()
    assert (np.isnan(heatmap).all(axis=1) == ~seen).all()
    assert seen.sum() == side // PATCH
    assert seen[0]
    assert seen[-1]


def test_no_number_is_an_error_and_no_doubt(tmp_path):
    branch = PixelBranch.load(brightness_folder(tmp_path / "nan", gain=math.nan))
    (evidence,) = branch.judge([Image(flat(40, 40, 100))], heatmaps=True)
    assert (evidence.verdict, evidence.score, evidence.heatmap) == (None, None, None)
    assert evidence.error.code == "internal"


@pytest.mark.parametrize("gain", [1e3, -1e3])
def test_extreme_logits_give_scores_and_not_infinities(tmp_path, gain):
    branch = PixelBranch.load(brightness_folder(tmp_path / "steep", gain=gain))
    (evidence,) = branch.judge([Image(flat(40, 40, 255))], heatmaps=True)
    assert evidence.score == pytest.approx(1.0 if gain > 0 else 0.0, abs=1e-6)
    assert np.isfinite(evidence.heatmap).all()


def test_graph_that_takes_other_views_is_refused(tmp_path):
    folder = brightness_folder(tmp_path / "model")
    write_graph(folder / "model.onnx", crop_size=64, whole_size=16)
    seal_folder(folder)
    with pytest.raises(ModelError, match=r"take .*64.*preprocess\.json makes .*32"):
        PixelBranch.load(folder)


def test_fingerprint_is_the_folders(branch):
    assert branch.name == "pixel"
    assert branch.fingerprint == branch.folder.fingerprint
    assert len(branch.fingerprint) == 12


def test_heatmap_fades_patches_that_hardly_count(tmp_path):
    class Weighing(OnnxRuntime):
        """Patches in the left half of a crop weigh next to nothing."""

        def run(self, **inputs):
            outputs = super().run(**inputs)
            outputs["weights"][..., : outputs["weights"].shape[-1] // 2] = -10
            return outputs

    folder = open_folder(brightness_folder(tmp_path / "model"))
    branch = PixelBranch(folder, Weighing(folder.onnx, device="cpu", threads=1))
    heatmap = branch.heatmap(flat(CROP, CROP, 160))
    assert heatmap[:, :2].max() < 0.001
    assert heatmap[:, 2:] == pytest.approx(score_of((160 - 127.5) * GAIN), abs=GAUGE)


def test_heatmap_does_not_show_the_borders_of_tiles(tmp_path):
    class Bordered(OnnxRuntime):
        """As padding would have it: the outermost patches of a crop say something else."""

        def run(self, **inputs):
            outputs = super().run(**inputs)
            outputs["patches"][:, [0, -1], :] = 9
            outputs["patches"][:, :, [0, -1]] = 9
            return outputs

    folder = open_folder(brightness_folder(tmp_path / "model", crop_size=128))
    branch = PixelBranch(folder, Bordered(folder.onnx, device="cpu", threads=1))
    heatmap = branch.heatmap(flat(256, 256, 100))
    assert heatmap.max() == pytest.approx(score_of((100 - 127.5) * GAIN), abs=GAUGE)
