"""Pixel figures against scikit-learn: random, empty and full masks."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score

from aligngemini.evaluation.segmentation import PixelCounts, count_pixels, pixel_auc

RNG = np.random.default_rng(0)
RANDOM = RNG.random((13, 17)) < 0.3
EMPTY, FULL = np.zeros((13, 17), bool), np.ones((13, 17), bool)
SCORES = np.round(RNG.random((13, 17)), 1)  # rounded, so that there are ties


@pytest.mark.parametrize("mask", [RANDOM, EMPTY, FULL], ids=["random", "empty", "full"])
@pytest.mark.parametrize("marked", [SCORES >= 0.5, EMPTY, FULL], ids=["some", "none", "all"])
def test_f1_and_iou_are_scikit_learns(mask, marked):
    counts = count_pixels(marked, mask)
    truth, guess = mask.ravel(), marked.ravel()
    assert counts.f1 == pytest.approx(f1_score(truth, guess, zero_division=1.0))
    assert counts.iou == pytest.approx(jaccard_score(truth, guess, zero_division=1.0))
    assert counts.marked_share == pytest.approx(marked.mean())


def test_pixel_auc_is_scikit_learns_ties_and_all():
    assert pixel_auc(SCORES, RANDOM) == pytest.approx(roc_auc_score(RANDOM.ravel(), SCORES.ravel()))


@pytest.mark.parametrize("mask", [EMPTY, FULL], ids=["empty", "full"])
def test_pixel_auc_of_one_class_has_no_value(mask):
    assert math.isnan(pixel_auc(SCORES, mask))


def test_sums_are_the_figures_of_all_pixels_together():
    one, other = count_pixels(SCORES >= 0.5, RANDOM), count_pixels(SCORES >= 0.8, ~RANDOM)
    both = np.concatenate([SCORES >= 0.5, SCORES >= 0.8]).ravel()
    truth = np.concatenate([RANDOM, ~RANDOM]).ravel()
    assert (one + other).f1 == pytest.approx(f1_score(truth, both))
    assert (one + other).iou == pytest.approx(jaccard_score(truth, both))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="must have one size"):
        count_pixels(EMPTY, np.zeros((13, 16), bool))
    with pytest.raises(ValueError, match="must have one size"):
        count_pixels(np.zeros((0, 3), bool), np.zeros((0, 3), bool))


def test_counts_cover_every_pixel():
    counts = count_pixels(SCORES >= 0.5, RANDOM)
    assert counts == PixelCounts(
        hits=int((RANDOM & (SCORES >= 0.5)).sum()),
        false=int((~RANDOM & (SCORES >= 0.5)).sum()),
        missed=int((RANDOM & (SCORES < 0.5)).sum()),
        passed=int((~RANDOM & (SCORES < 0.5)).sum()),
    )
