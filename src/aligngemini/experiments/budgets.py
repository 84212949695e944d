"""Fusion rules at one budget of false alarms: thresholds set on photos, verdicts on anything."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from aligngemini.evaluation.metrics import threshold_at
from aligngemini.evidence import Evidence, calibrated, label_for
from aligngemini.experiments.small_expert import Scores
from aligngemini.fusion.base import Rule

ByBranch: TypeAlias = Mapping[str, Scores]
"""(N,) scores of N images, by branch."""

GRID = 200  # rates tried between none and all


def probabilities(logits: ByBranch, photos: ByBranch, fakes: ByBranch) -> dict[str, Scores]:
    """P(fake) of logits by a logistic fit for each branch, both classes weighted alike.

    Args:
        logits: Of the images asked for.
        photos: Logits of photos to fit on.
        fakes: Logits of fakes to fit on.
    """
    found = {}
    for name, values in logits.items():
        both = np.concatenate([photos[name], fakes[name]])[:, None]
        labels = np.repeat([0, 1], [len(photos[name]), len(fakes[name])])
        fit = LogisticRegression(class_weight="balanced").fit(both, labels)
        slope = max(float(fit.coef_[0, 0]), 1e-6)  # a branch may know nothing of these fakes
        found[name] = np.asarray(calibrated(values, slope, float(fit.intercept_[0])))
    return found


def evidence(scores: ByBranch, thresholds: Mapping[str, float]) -> list[dict[str, Evidence]]:
    """What the branches say of each image at these thresholds, as fusion rules take it."""
    count = len(next(iter(scores.values())))
    return [
        {
            name: Evidence(
                verdict=label_for(float(values[k]), thresholds[name], thresholds[name]),
                score=float(values[k]),
                threshold=thresholds[name],
                threshold_real=thresholds[name],
            )
            for name, values in scores.items()
        }
        for k in range(count)
    ]


def called_fake(
    rule: Rule, scores: ByBranch, thresholds: Mapping[str, float]
) -> npt.NDArray[np.bool_]:
    """(N,) whether the rule calls an image fake."""
    return np.array([rule.fuse(one).verdict == "fake" for one in evidence(scores, thresholds)])


def within_budget(rule: Rule, photos: ByBranch, budget: float) -> dict[str, float]:
    """Thresholds at which a rule calls at most this share of photos fake.

    Every branch is given the same false-alarm rate of its own, the highest one that keeps the
    rule within its budget: under OR less than the budget, under a vote more.

    Args:
        rule: Joins the branches.
        photos: P(fake) of the photos.
        budget: In (0, 1).
    """
    low, high = 0, GRID - 1  # of GRID; no alarms at all are always within
    while low < high:
        middle = (low + high + 1) // 2
        if called_fake(rule, photos, _at_rate(photos, middle / GRID)).mean() <= budget:
            low = middle
        else:
            high = middle - 1
    return _at_rate(photos, low / GRID)


def _at_rate(photos: ByBranch, rate: float) -> dict[str, float]:
    return {name: min(1.0, threshold_at(values, rate)) for name, values in photos.items()}
