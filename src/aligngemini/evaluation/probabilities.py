"""Scores that mean what they say: temperature and isotonic scaling, and what they are worth.

Temperature scaling: Guo et al., ICML 2017. Isotonic: Zadrozny and Elkan, KDD 2002. Both classes
weigh alike, as if photos and fakes were equally frequent: no data set says how often a user meets a
fake.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from aligngemini.calibration import Curve, Quality

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FOLDS = 5
BINS = 15
FEWEST = 10
"""Of each class: fewer say nothing of a curve."""
STEEPNESS = 0.02
"""Least slope of a curve in log-odds, so that no two scores become one."""
REACH = 8.0
"""Log-odds that a curve's ends are held to: an empty bin is no certainty."""


def quality(scores: Floats, fake: Flags) -> Quality:
    """Of scores in [0, 1] with known labels."""
    weights = _balanced(fake)
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    mass = np.bincount(bins, weights, BINS)
    off = np.bincount(bins, weights * (scores - fake), BINS)
    ece = float(np.abs(off).sum() / mass.sum())
    return Quality(ece, float(np.average((scores - fake) ** 2, weights=weights)))


def temperature(odds: Floats, fake: Flags) -> Curve:
    """One factor on the log-odds, by maximum likelihood.

    Args:
        odds: (n,) log-odds of scores.
        fake: (n,) labels.
    """
    model = LogisticRegression(C=1e6, fit_intercept=False, class_weight="balanced")
    model.fit(odds[:, None], fake)
    factor = max(STEEPNESS, float(model.coef_[0, 0]))
    return Curve((-1.0, 1.0), (-factor, factor))


def isotonic(odds: Floats, fake: Flags) -> Curve:
    """The monotone curve of least squared error, as straight pieces in log-odds."""
    model = IsotonicRegression(out_of_bounds="clip")
    model.fit(odds, fake, sample_weight=_balanced(fake))
    knots = np.unique(np.r_[model.X_thresholds_, odds.min(), odds.max()])
    share = np.clip(model.predict(knots), 1e-9, 1 - 1e-9)
    levels = np.clip(np.log(share / (1 - share)), -REACH, REACH)
    if len(knots) == 1:
        knots, levels = np.array([knots[0], knots[0] + 1]), np.repeat(levels, 2)
    rising = np.maximum.accumulate(levels - STEEPNESS * knots) + STEEPNESS * knots
    return Curve(tuple(map(float, knots)), tuple(map(float, rising)))


SCALINGS: dict[str, Callable[[Floats, Flags], Curve]] = {
    "temperature": temperature,
    "isotonic": isotonic,
}


def compare(odds: Floats, fake: Flags, *, seed: int = 0) -> dict[str, Quality]:
    """Quality of the scores as they are and under each scaling, on images it was not fitted on.

    Args:
        odds: (n,) log-odds of one branch's scores.
        fake: (n,) labels; `FEWEST` of each class at least.
        seed: Of the folds.

    Returns:
        By `as is`, `temperature` and `isotonic`.
    """
    found = {"as is": quality(_probability(odds), fake)}
    fold = np.empty(len(fake), int)
    rng = np.random.default_rng(seed)
    for label in (False, True):  # both classes in every fold
        count = int((fake == label).sum())
        fold[fake == label] = rng.permutation(count) % FOLDS
    for name, fit in SCALINGS.items():
        held_out = np.empty(len(fake))
        for number in range(FOLDS):
            inside = fold == number
            held_out[inside] = fit(odds[~inside], fake[~inside]).of_odds(odds[inside])
        found[name] = quality(_probability(held_out), fake)
    return found


def _balanced(fake: Flags) -> Floats:
    share = fake.mean()
    return np.asarray(np.where(fake, 0.5 / max(share, 1e-12), 0.5 / max(1 - share, 1e-12)))


def _probability(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
