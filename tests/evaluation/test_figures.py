"""Figures against scikit-learn and against their definitions, ties and all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    recall_score,
    roc_auc_score,
)

from aligngemini.evaluation import figures
from aligngemini.evaluation.figures import score_figures, share
from aligngemini.evaluation.metrics import auc, bootstrap, recall_at

# Few different values, so that ties are the rule; 0.5 and the ends of the scale among them.
SCORES = st.lists(
    st.integers(0, 8).map(lambda k: k / 8) | st.floats(0, 1), min_size=1, max_size=30
).map(np.array)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_figures_are_scikit_learns(real, fake):
    found = {name: one.value for name, one in score_figures(real, fake, draws=2).items()}
    truth = np.r_[np.zeros(len(real), int), np.ones(len(fake), int)]
    scores = np.r_[real, fake]
    called = (scores >= 0.5).astype(int)
    expected = {
        "real_accuracy": recall_score(truth, called, pos_label=0),
        "fake_accuracy": recall_score(truth, called),
        "balanced_accuracy": balanced_accuracy_score(truth, called),
        "accuracy": accuracy_score(truth, called),
        "ap": average_precision_score(truth, scores),
        "auc": roc_auc_score(truth, scores),
        "recall_at_1_oracle": recall_at(real, fake, 0.01),
        "recall_at_5_oracle": recall_at(real, fake, 0.05),
        "ece": calibration_error(truth, scores),
        "brier": brier_score_loss(truth, scores),
    }
    assert found == pytest.approx(expected, abs=1e-12)


def calibration_error(truth, scores):
    """Guo et al. 2017, equation 3, bin by bin."""
    total = 0.0
    for k in range(15):
        inside = [s * 15 >= k and (s * 15 < k + 1 or k == 14) for s in scores]
        if any(inside):
            total += sum(inside) * abs(scores[inside].mean() - truth[inside].mean())
    return total / len(scores)


@settings(deadline=None)
@given(SCORES, SCORES, st.integers(1, 60))
def test_recall_at_few_false_alarms_with_many_photos(real, fake, times):
    real = np.tile(real, times)
    found = score_figures(real, fake, draws=2)
    assert found["recall_at_1_oracle"].value == pytest.approx(recall_at(real, fake, 0.01))
    assert found["recall_at_5_oracle"].value == pytest.approx(recall_at(real, fake, 0.05))


def test_intervals_are_those_of_a_bootstrap_done_the_long_way():
    rng = np.random.default_rng(0)
    real, fake = rng.beta(2, 4, 150).round(2), rng.beta(4, 3, 100).round(2)
    found = score_figures(real, fake, draws=4000)
    metrics = {
        "auc": auc,
        "ap": lambda r, f: average_precision_score([0] * len(r) + [1] * len(f), [*r, *f]),
        "recall_at_5_oracle": lambda r, f: recall_at(r, f, 0.05),
        "brier": lambda r, f: ((r**2).sum() + ((1 - f) ** 2).sum()) / (len(r) + len(f)),
        "balanced_accuracy": lambda r, f: ((r < 0.5).mean() + (f >= 0.5).mean()) / 2,
    }
    for name, metric in metrics.items():
        slow = bootstrap(metric, real, fake, draws=1500, seed=7)
        width = slow.high - slow.low
        assert found[name].low == pytest.approx(slow.low, abs=0.15 * width), name
        assert found[name].high == pytest.approx(slow.high, abs=0.15 * width), name


def test_how_many_resamples_are_held_at_once_is_no_matter(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = rng.random(40), rng.random(30)
    at_once = score_figures(real, fake)
    monkeypatch.setattr(figures, "AT_ONCE", 1)
    assert score_figures(real, fake) == at_once


@pytest.mark.parametrize(
    ("real", "fake"),
    [([], [0.5]), ([0.5], []), ([np.nan], [0.5]), ([0.2], [1.01]), ([-0.01], [0.3])],
)
def test_what_is_no_probability_gives_no_figure(real, fake):
    with pytest.raises(ValueError, match=r"scores of both classes, all of them in \[0, 1\]"):
        score_figures(np.array(real, float), np.array(fake, float))


def test_a_share_has_the_interval_of_its_bootstrap():
    found = share(30, 100, draws=20_000)
    low, high = binom.ppf([0.025, 0.975], 100, 0.3) / 100
    assert found.value == 0.3
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.011)
    with pytest.raises(ValueError, match="share of nothing"):
        share(0, 0)
