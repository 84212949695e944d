"""Metrics against their definitions, spelled out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from aligngemini.evaluation.metrics import Interval, auc, bootstrap, recall_at, threshold_at

# Few different values, so that ties are the rule.
SCORES = st.lists(st.integers(-6, 6).map(lambda k: k / 4), min_size=1, max_size=40).map(np.array)
RATES = st.floats(0, 0.999)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_auc_counts_pairs_and_half_of_ties(real, fake):
    pairs = [(f > r) + 0.5 * (f == r) for f in fake for r in real]
    assert auc(real, fake) == pytest.approx(np.mean(pairs))
    assert auc(fake, real) == pytest.approx(1 - np.mean(pairs))


def test_auc_is_scikit_learns():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, 90), rng.normal(0.7, 2, 60)
    labels = [0] * 90 + [1] * 60
    assert auc(real, fake) == pytest.approx(roc_auc_score(labels, [*real, *fake]))


@settings(deadline=None)
@given(SCORES, RATES)
def test_threshold_holds_the_rate_and_is_the_lowest_that_does(real, rate):
    threshold = threshold_at(real, rate)
    allowed = math.floor(rate * len(real))
    assert (real >= threshold).sum() <= allowed
    assert (real >= np.nextafter(threshold, -np.inf)).sum() > allowed


@pytest.mark.parametrize(("rate", "above"), [(0.0, 0), (0.01, 1), (0.019, 1), (0.02, 2), (0.5, 50)])
def test_threshold_spends_what_the_rate_allows(rate, above):
    real = np.random.default_rng(0).permutation(100)
    assert (real >= threshold_at(real, rate)).sum() == above


@settings(deadline=None)
@given(SCORES, SCORES, RATES)
def test_recall_is_the_share_of_fakes_above_that_threshold(real, fake, rate):
    lowest = sorted(real, reverse=True)[math.floor(rate * len(real))]
    assert recall_at(real, fake, rate) == pytest.approx(np.mean([f > lowest for f in fake]))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_model_that_says_one_thing_recalls_nothing(kind):
    # In float32 the step above a score rounds back to it, and every tie would count as found.
    scores = np.full(50, 0.1, kind)
    assert recall_at(scores, scores, 0.05) == 0


@pytest.mark.parametrize("scores", [[], [0.1, math.nan]])
def test_no_figure_without_numbers(scores):
    good, bad = np.array([0.1, 0.2]), np.array(scores)
    for real, fake in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="none of them NaN"):
            auc(real, fake)
        with pytest.raises(ValueError, match="none of them NaN"):
            recall_at(real, fake, 0.01)
    with pytest.raises(ValueError, match="none of them NaN"):
        threshold_at(bad, 0.01)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth = 0.5 * (1 + math.erf(1 / 2))  # P(N(1, 1) > N(0, 1))
    covered = 0
    for trial in range(100):
        real, fake = rng.normal(0, 1, 40), rng.normal(1, 1, 40)
        interval = bootstrap(auc, real, fake, draws=100, seed=trial)
        assert interval.low <= interval.high
        covered += interval.low <= truth <= interval.high
    # Binomial(100, 0.95), less the known optimism of percentiles on 40 a class.
    assert 86 <= covered < 100


def test_interval_narrows_with_the_sample():
    rng = np.random.default_rng(0)
    widths = []
    for size in (20, 200, 2000):
        interval = bootstrap(auc, rng.normal(0, 1, size), rng.normal(1, 1, size), draws=100)
        widths.append(interval.high - interval.low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2] > 0


def test_both_classes_are_resampled():
    spread, one = np.arange(10.0), np.array([4.5])

    def mean_of_real(real, fake):
        return float(real.mean())

    def mean_of_fake(real, fake):
        return float(fake.mean())

    for metric, real, fake in ((mean_of_real, spread, one), (mean_of_fake, one, spread)):
        interval = bootstrap(metric, real, fake, draws=200)
        assert interval.value == 4.5
        assert interval.low < 3.5
        assert interval.high > 5.5


def test_interval_is_repeatable_and_reads_well():
    real, fake = np.arange(30.0), np.arange(10.0, 40.0)
    assert bootstrap(auc, real, fake, seed=3) == bootstrap(auc, real, fake, seed=3)
    assert bootstrap(auc, real, fake, seed=3) != bootstrap(auc, real, fake, seed=4)
    assert str(Interval(0.861, 0.8, 0.9)) == "0.86 (0.80-0.90)"
