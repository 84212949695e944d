"""Published experts look at one centred crop; small true backbones stand in for large ones."""

import numpy as np
import pytest
import torch
from fixtures.drawn import texture
from fixtures.experts import CROP, PATCH, expert_folder, rewrite, tiny_expert
from PIL import Image as PILImage

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.item import Image
from aligngemini.images.views import center_crop
from aligngemini.runtimes.folder import ModelError, seal_folder
from aligngemini.runtimes.preprocess import CLIP_MEAN, CLIP_STD

SIZES = [(CROP, CROP), (80, 120), (81, 123), (30, 200), (201, 33), (20, 21), (57, 55), (1, 1)]


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    return PixelBranch.load(
        expert_folder(tmp_path_factory.mktemp("m") / "tiny"), device="cpu", threads=1
    )


def reference_crop(pixels, size):
    """By Pillow, which fills what lies outside with zeros; offsets as torchvision has them."""
    height, width = pixels.shape[:2]
    left = -((size - width) // 2) if width < size else round((width - size) / 2)
    top = -((size - height) // 2) if height < size else round((height - size) / 2)
    return np.asarray(PILImage.fromarray(pixels).crop((left, top, left + size, top + size)))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_crop_is_centred_and_padded_with_zeros(height, width):
    pixels = texture(height, width)
    assert np.array_equal(center_crop(pixels, CROP), reference_crop(pixels, CROP))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_logit_is_that_of_the_expert_on_the_normalised_crop(branch, height, width):
    pixels = texture(height, width)
    crop = reference_crop(pixels, CROP).astype(np.float32) / 255
    normal = (crop - np.float32(CLIP_MEAN)) / np.float32(CLIP_STD)
    with torch.no_grad():
        output = tiny_expert()(torch.from_numpy(normal).permute(2, 0, 1)[None])
    assert branch.logit(pixels) == pytest.approx(output.logits.item(), abs=1e-5)


def test_a_batch_gives_what_single_images_give(branch):
    images = [texture(60 + k, 70 + 3 * k, seed=k) for k in range(20)]
    singly = [branch.logit(pixels) for pixels in images]
    assert np.ptp(singly) > 0.01
    assert branch.logits(images) == pytest.approx(singly, abs=1e-5)
    evidence = branch.judge([Image(pixels) for pixels in images])
    assert [e.score for e in evidence] == pytest.approx(1 / (1 + np.exp(-np.array(singly))))
    assert branch.judge([]) == []


def test_a_drawing_is_undecided(branch):
    (evidence,) = branch.judge([Image(np.full((90, 90, 3), 200, np.uint8))])
    assert (evidence.verdict, evidence.score is None) == ("undecided", False)
    assert "flat colour" in evidence.remark


@pytest.mark.parametrize(("height", "width"), [(56, 56), (80, 120), (30, 200), (20, 21), (400, 60)])
def test_heatmap_covers_the_image_patch_by_patch(branch, height, width):
    (evidence,) = branch.judge([Image(texture(height, width))], heatmaps=True)
    heat = evidence.heatmap
    assert heat.shape == (-(-height // PATCH), -(-width // PATCH))
    seen = heat[~np.isnan(heat)]
    assert ((seen >= 0) & (seen <= 1)).all()
    most = 3 * CROP  # three tiles along each axis
    assert np.isnan(heat).any() == (max(height, width) > most)


def test_heatmap_shows_the_experts_own_patches(branch):
    pixels = texture(CROP, CROP)
    normal = (pixels.astype(np.float32) / 255 - np.float32(CLIP_MEAN)) / np.float32(CLIP_STD)
    with torch.no_grad():
        output = tiny_expert()(torch.from_numpy(normal).permute(2, 0, 1)[None])
    assert branch.heatmap(pixels) == pytest.approx(output.patch_logits[0].sigmoid(), abs=1e-5)


def test_weights_of_another_kind_are_refused(tmp_path):
    folder = expert_folder(tmp_path / "tiny")
    rewrite(folder / "config.json", model_type="dinov2", backbone_config={"model_type": "nonesuch"})
    seal_folder(folder)
    with pytest.raises(ModelError, match="cannot load"):
        PixelBranch.load(folder, device="cpu")


def test_changed_weights_are_refused(tmp_path):
    folder = expert_folder(tmp_path / "tiny")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match=r"model\.safetensors does not match"):
        PixelBranch.load(folder, device="cpu")


def test_a_crop_that_is_no_multiple_of_the_patch_is_refused(tmp_path):
    folder = expert_folder(tmp_path / "tiny")
    rewrite(folder / "preprocess.json", crop_size=57)
    seal_folder(folder)
    with pytest.raises(ModelError, match="no multiple of patch_size"):
        PixelBranch.load(folder, device="cpu")


def test_cuda_is_no_wish_that_goes_unheard(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelError, match="no CUDA"):
        PixelBranch.load(expert_folder(tmp_path / "tiny"), device="cuda")
