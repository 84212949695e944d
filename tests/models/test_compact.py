"""The compact expert: its filters, its pooling, the geometry of its maps."""

import numpy as np
import pytest
import torch
from fixtures.drawn import texture
from scipy import ndimage

from aligngemini.models.compact import (
    CompactExpert,
    CompactGraph,
    ResidualBank,
    ViewConfig,
    ViewNetwork,
    pool,
)

NATIVE = ViewConfig(widths=(6, 6, 8), strides=(2, 1, 2), bands=3)
WHOLE = ViewConfig(widths=(4, 6), strides=(2, 2), bands=2, picture=True)
GAINS = (20.0, 12.0, 8.0)


def tensor(pixels):
    """(H, W, 3) to (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


@pytest.fixture
def expert():
    torch.manual_seed(0)
    return CompactExpert(NATIVE, WHOLE).eval()


def reference_residuals(pixels, bands):
    """Band-pass planes by scipy, band after band, colours within a band."""
    planes, level = [], pixels.astype(np.float64) / 255
    for band in range(bands):
        spread = np.zeros(2 ** (band + 1) + 1)
        spread[[0, 2**band, 2 ** (band + 1)]] = 0.25, 0.5, 0.25
        smooth = level
        for axis in (0, 1):
            smooth = ndimage.correlate1d(smooth, spread, axis=axis, mode="constant")
        planes.append(np.clip((level - smooth) * GAINS[band], -1, 1))
        level = smooth
    return np.concatenate(planes, axis=2).transpose(2, 0, 1)


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_residuals_are_those_of_an_independent_filter(bands):
    pixels = texture(48, 56, spread=8)
    got = ResidualBank(bands, picture=False)(tensor(pixels))[0].numpy()
    expected = reference_residuals(pixels, bands)
    assert got.shape == expected.shape == (3 * bands, 48, 56)
    inside = np.s_[:, 7:-7, 7:-7]
    np.testing.assert_allclose(got[inside], expected[inside], atol=2e-5)
    assert 0.05 < np.abs(expected[inside]).mean() < 0.95


def test_constant_image_leaves_no_residual():
    residual = ResidualBank(3, picture=False)(torch.full((1, 3, 40, 40), 200.0))
    assert residual[:, :, 7:-7, 7:-7].abs().max() < 1e-4


def test_colours_do_not_mix():
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[..., 1] = texture(32, 32)[..., 1]
    residual = ResidualBank(3, picture=False)(tensor(pixels))[0]
    strength = residual.abs().amax((1, 2)).reshape(3, 3)
    assert (strength[:, [0, 2]] == 0).all()
    assert (strength[:, 1] > 0.1).all()


def test_picture_comes_first_from_minus_one_to_one():
    bank = ResidualBank(1, picture=True)
    assert bank.channels == 6
    pixels = torch.stack([torch.full((16, 16), grey) for grey in (0.0, 127.5, 255.0)])[None]
    planes = bank(pixels)[0]
    np.testing.assert_allclose(planes[:3].amax((1, 2)), [-1, 0, 1])
    np.testing.assert_allclose(planes[:3].amin((1, 2)), [-1, 0, 1])


def test_residuals_survive_bfloat16():
    pixels = tensor(texture(32, 32, spread=3))
    bank = ResidualBank(3, picture=False)
    full = bank(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = bank(pixels)
    assert (full.dtype, narrow.dtype) == (torch.float32, torch.bfloat16)
    # Rounded once, at the end: eight bits of a value of at most 1.
    assert (narrow.float() - full).abs().max() <= 2**-8


def test_bfloat16_scores_are_close(expert):
    crops, whole = tensor(texture(64, 64))[None], tensor(texture(48, 48))
    with torch.no_grad():
        full = expert(crops, whole)
        with torch.autocast("cpu", torch.bfloat16):
            narrow = expert(crops, whole)
    for view in ("logits", "native", "whole"):
        assert narrow[view] == pytest.approx(full[view], abs=0.02)


def test_pool_is_the_mean_by_weight():
    logits = torch.tensor([[1.0, 2.0, 4.0], [8.0, 0.0, 0.0]])
    weights = torch.tensor([[0.0, 0.0, 0.0], [np.log(3.0), 0.0, -np.inf]])
    assert pool(logits, weights).tolist() == pytest.approx([7 / 3, 8 * 3 / 4])


def test_pool_does_not_mind_huge_weights_or_a_shift():
    logits = torch.tensor([[1.0, -2.0, 5.0]])
    assert pool(logits, torch.tensor([[0.0, 0.0, 1e4]])).item() == 5
    weights = torch.tensor([[0.1, 0.7, -0.4]])
    shifted = pool(logits, weights + 300).item()
    assert shifted == pytest.approx(pool(logits, weights).item(), abs=1e-4)


@pytest.mark.parametrize(("side", "cells"), [(64, 16), (62, 16), (61, 16), (60, 15)])
def test_map_has_a_patch_per_stride(side, cells):
    network = ViewNetwork(NATIVE).eval()
    logits, weights = network(torch.zeros(2, 3, side, 32))
    assert logits.shape == weights.shape == (2, cells, 8)


def test_patch_answers_for_what_lies_under_it(expert):
    quiet = torch.full((1, 3, 128, 128), 120.0)
    changed = quiet.clone()
    changed[..., 64:68, 96:100] = tensor(texture(4, 4))
    with torch.no_grad():
        difference = (expert.native(changed)[0] - expert.native(quiet)[0])[0].abs()
    row, column = np.unravel_index(int(difference.argmax()), difference.shape)
    assert abs(row - 16) <= 1
    assert abs(column - 24) <= 1
    far = torch.ones_like(difference, dtype=torch.bool)
    far[11:22, 19:30] = False
    assert difference[far].max() == 0


def test_score_is_the_mean_of_both_views(expert):
    crops, whole = torch.rand(2, 3, 3, 32, 32) * 255, torch.rand(2, 3, 32, 32) * 255
    result = expert(crops, whole)
    torch.testing.assert_close(result["logits"], (result["native"] + result["whole"]) / 2)
    assert "loss" not in result


def test_crops_of_an_image_stay_with_it(expert):
    crops, whole = torch.rand(3, 2, 3, 32, 32) * 255, torch.rand(3, 3, 32, 32) * 255
    with torch.no_grad():
        together = expert(crops, whole)["native"]
        alone = [expert(crops[k : k + 1], whole[k : k + 1])["native"] for k in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_order_of_the_crops_does_not_matter(expert):
    crops, whole = torch.rand(1, 4, 3, 32, 32) * 255, torch.rand(1, 3, 32, 32) * 255
    with torch.no_grad():
        torch.testing.assert_close(
            expert(crops, whole)["logits"], expert(crops.flip(1), whole)["logits"]
        )


def test_loss_is_the_cross_entropy_of_each_view_with_softened_labels(expert):
    crops, whole = torch.rand(2, 1, 3, 32, 32) * 255, torch.rand(2, 3, 32, 32) * 255
    result = expert(crops, whole, labels=torch.tensor([1.0, 0.0]))
    expected = 0.0
    for view in ("native", "whole"):
        p = torch.sigmoid(result[view])
        for chance, target in zip(p, (0.98, 0.02), strict=True):
            expected -= (target * chance.log() + (1 - target) * (1 - chance).log()).item() / 2
    assert result["loss"].item() == pytest.approx(expected, rel=1e-4)


def test_both_views_learn(expert):
    crops, whole = torch.rand(2, 1, 3, 32, 32) * 255, torch.rand(2, 3, 32, 32) * 255
    expert.train()(crops, whole, labels=torch.tensor([1.0, 0.0]))["loss"].backward()
    for name, parameter in expert.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("count", [1, 3])
def test_graph_gives_the_experts_numbers(expert, count):
    crops = np.stack([texture(32, 32, seed=k) for k in range(count)])
    whole = texture(32, 32, seed=9)[None]
    graph = CompactGraph(expert)
    with torch.no_grad():
        logit, patches, weights = graph(torch.from_numpy(crops), torch.from_numpy(whole))
        expected = expert(
            torch.from_numpy(crops.transpose(0, 3, 1, 2))[None],
            torch.from_numpy(whole.transpose(0, 3, 1, 2)),
        )
    torch.testing.assert_close(logit, expected["logits"])
    assert patches.shape == weights.shape == (count, 8, 8)


def test_graph_is_made_for_detection():
    expert = CompactExpert(NATIVE, WHOLE).train()
    CompactGraph(expert)
    assert not any(module.training for module in expert.modules())
