"""The attack on true backbones with random weights, checked against what the branch then says."""

import numpy as np
import pytest
from fixtures.drawn import texture
from fixtures.experts import CROP, expert_folder
from fixtures.models import brightness_folder

from aligngemini.branches.pixel import PixelBranch
from aligngemini.evaluation.robustness.pgd import Attacker
from aligngemini.runtimes.folder import ModelError, open_folder

EPSILONS = (0, 1, 2, 4, 8)
SIZES = [(80, 121), (40, 33), (CROP, CROP)]  # larger than the crop, smaller, as large


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return open_folder(expert_folder(tmp_path_factory.mktemp("m") / "tiny"))


@pytest.fixture(scope="module")
def branch(folder):
    return PixelBranch.load(folder.path, device="cpu")


@pytest.fixture(scope="module")
def attacker(folder):
    return Attacker(folder, device="cpu")


@pytest.mark.parametrize("towards", ["fake", "real"])
@pytest.mark.parametrize("size", SIZES)
def test_a_larger_ball_moves_the_score_further(attacker, branch, size, towards):
    pixels = texture(*size)
    found = attacker.attack(pixels, towards=towards, epsilons=EPSILONS, steps=8)
    sign = 1 if towards == "fake" else -1
    logits = sign * np.array([one.logit for one in found])
    assert (np.diff(logits) > 0).all()
    np.testing.assert_array_equal(found[0].pixels, pixels)
    # What counts is what the branch makes of the picture as a file holds it.
    judged = branch.logits([pixels, *(one.pixels for one in found)])
    assert judged[1:] == pytest.approx([one.logit for one in found], abs=1e-4)
    assert judged[1] == judged[0]


@pytest.mark.parametrize("size", SIZES)
def test_no_value_leaves_the_ball_and_nothing_outside_the_crop_moves(attacker, size):
    pixels = texture(*size, spread=90)  # black and white among it
    assert pixels.min() == 0
    assert pixels.max() == 255
    for one in attacker.attack(pixels, towards="fake", epsilons=(1, 3), steps=8):
        moved = np.abs(one.pixels.astype(int) - pixels)
        assert one.pixels.dtype == np.uint8
        assert one.pixels.shape == pixels.shape
        assert moved.max() == one.epsilon
        inside = np.zeros(size, bool)
        top, left = (round(max(0, side - CROP) / 2) for side in size)
        inside[top : top + CROP, left : left + CROP] = True
        assert not moved[~inside].any()
        assert (moved[inside].any(-1)).mean() > 0.5


@pytest.mark.parametrize("towards", ["fake", "real"])
def test_a_larger_ball_never_does_worse_however_few_gradients_it_gets(attacker, towards):
    for seed in range(2):
        pixels = texture(CROP, CROP, seed=seed)
        found = attacker.attack(pixels, towards=towards, epsilons=range(1, 25, 2), steps=1)
        logits = np.array([one.logit for one in found])
        assert (np.diff(logits if towards == "fake" else -logits) >= 0).all()


def test_it_finds_more_than_chance_does(attacker, branch):
    pixels = texture(CROP, CROP)
    (found,) = attacker.attack(pixels, towards="fake", epsilons=(4,), steps=10)
    rng = np.random.default_rng(0)
    corners = [
        np.clip(pixels + 4 * rng.choice([-1, 1], pixels.shape), 0, 255).astype(np.uint8)
        for _ in range(64)
    ]
    best_by_chance = max(branch.logits(corners)) - branch.logit(pixels)
    assert found.logit - branch.logit(pixels) > 2 * best_by_chance


def test_the_same_picture_is_attacked_the_same_way(attacker):
    one, other = (
        attacker.attack(texture(60, 60), towards="real", epsilons=(2,), steps=3)[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.pixels, other.pixels)


def test_what_has_no_gradients_or_other_views_is_refused(tmp_path):
    with pytest.raises(ModelError, match="needs weights for PyTorch"):
        Attacker(open_folder(brightness_folder(tmp_path / "onnx")))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"towards": "undecided"}, "expected fake or real"),
        ({"towards": "fake", "epsilons": (2, 1)}, "rising"),
        ({"towards": "fake", "epsilons": (-1,)}, "from 0 up"),
    ],
)
def test_a_wrong_question_is_refused(attacker, settings, says):
    with pytest.raises(ValueError, match=says):
        attacker.attack(texture(60, 60), **settings)
