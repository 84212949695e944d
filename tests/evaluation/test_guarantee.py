"""The guarantee, tried: over many calibrations the rate is exceeded no more often than promised."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from aligngemini.evaluation.guarantee import (
    TooFewPhotosError,
    allowed_alarms,
    guaranteed_threshold,
    photos_needed,
    upper_bound,
)

TRIALS = 1000


def exceeded(method, photos, rate, confidence, draw):
    """How often, over simulated calibrations, the true rate above the threshold is too high.

    Uniform scores: the true rate above t is 1 - t.
    """
    rng = np.random.default_rng(photos)
    thresholds = [method(draw(rng, photos), rate, confidence) for _ in range(TRIALS)]
    return int(np.sum(1 - np.array(thresholds) > rate))


def within(count, confidence):
    """Whether so many failures are what the promise allows (one-sided exact test, 1 in 10,000)."""
    return binomtest(count, TRIALS, 1 - confidence, alternative="greater").pvalue > 1e-4


@pytest.mark.parametrize(
    ("photos", "rate", "confidence"),
    [(299, 0.01, 0.95), (1000, 0.01, 0.95), (500, 0.05, 0.9), (60, 0.05, 0.95), (2000, 0.1, 0.99)],
)
def test_the_rate_is_exceeded_no_more_often_than_the_confidence_allows(photos, rate, confidence):
    count = exceeded(guaranteed_threshold, photos, rate, confidence, lambda rng, n: rng.random(n))
    assert within(count, confidence)
    # And it is not bought by being far too strict: next to the promise with many photos.
    if photos >= 1000:
        assert count > 0.3 * (1 - confidence) * TRIALS


def test_a_method_that_promises_too_much_is_caught_by_the_same_test():
    """The plain empirical quantile, which is what most tools use."""

    def quantile(scores, rate, confidence):
        return np.quantile(scores, 1 - rate)

    count = exceeded(quantile, 1000, 0.01, 0.95, lambda rng, n: rng.random(n))
    assert not within(count, 0.95)


def test_one_alarm_more_than_allowed_is_caught_too():
    def greedy(scores, rate, confidence):
        count = allowed_alarms(len(scores), rate, confidence) + 3
        return np.sort(scores)[::-1][count]

    count = exceeded(greedy, 299, 0.01, 0.95, lambda rng, n: rng.random(n))
    assert not within(count, 0.95)


def test_it_holds_for_scores_with_ties():
    """Scores in steps of 0.05: the true rate above a step is known exactly."""

    def rounded(rng, n):
        return np.floor(rng.random(n) * 20) / 20

    rng = np.random.default_rng(0)
    thresholds = np.array(
        [guaranteed_threshold(rounded(rng, 400), 0.06, 0.95) for _ in range(TRIALS)]
    )
    assert within(int(np.sum(0.95 - thresholds > 0.06 + 1e-9)), 0.95)


@pytest.mark.parametrize("photos", [59, 60, 299, 300, 473, 1000, 12345])
@pytest.mark.parametrize(("rate", "confidence"), [(0.01, 0.95), (0.05, 0.95), (0.2, 0.5)])
def test_allowed_alarms_against_the_definition(photos, rate, confidence):
    counts = np.arange(photos + 1)
    fit = counts[binom.cdf(counts, photos, rate) <= 1 - confidence]
    if len(fit):
        assert allowed_alarms(photos, rate, confidence) == fit[-1]
    else:
        with pytest.raises(TooFewPhotosError, match=f"takes {photos_needed(rate, confidence)}"):
            allowed_alarms(photos, rate, confidence)


def test_the_fewest_photos_are_enough_and_one_less_is_not():
    for rate, confidence in ((0.01, 0.95), (0.001, 0.99), (0.05, 0.9)):
        needed = photos_needed(rate, confidence)
        assert allowed_alarms(needed, rate, confidence) == 0
        with pytest.raises(TooFewPhotosError):
            allowed_alarms(needed - 1, rate, confidence)
    assert photos_needed(0.01, 0.95) == 299  # the well-known one


def test_photos_that_cannot_raise_an_alarm_count_as_photos():
    photos = np.full(400, -np.inf)
    assert guaranteed_threshold(photos, 0.01, 0.95) == -np.inf
    photos[:2] = 5.0
    assert guaranteed_threshold(photos, 0.01, 0.95) == 5.0


def test_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        guaranteed_threshold(np.array([0.1] * 400 + [np.nan]), 0.01, 0.95)


def test_the_bound_covers_the_true_rate():
    rng = np.random.default_rng(1)
    events = rng.binomial(200, 0.07, TRIALS)
    missed = sum(upper_bound(int(count), 200, 0.9) < 0.07 for count in events)
    assert within(missed, 0.9)
    assert upper_bound(0, 0) == 1.0
