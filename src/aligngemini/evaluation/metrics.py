"""Detection metrics with their uncertainty."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.floating]
Metric: TypeAlias = Callable[[Scores, Scores], float]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """`0.86 (0.81-0.90)`."""
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def auc(real: Scores, fake: Scores) -> float:
    """Area under the ROC curve: how often a fake scores above a real one; ties count half.

    Raises:
        ValueError: A class has no score, or one that is NaN.
    """
    real, fake = np.sort(_checked(real)), _checked(fake)
    below, up_to = (np.searchsorted(real, fake, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(real)))


def threshold_at(real: Scores, false_alarm_rate: float) -> float:
    """The lowest threshold that at most this share of the real images reaches.

    Args:
        real: Scores of real images, any scale; higher means more likely fake.
        false_alarm_rate: In [0, 1).

    Returns:
        A number just above one of the scores: `score >= threshold` holds for at most
        `floor(rate * n)` of them. Compare in float64: the step above it is lost in float32.

    Raises:
        ValueError: There is no score, or one that is NaN.
    """
    ordered = np.sort(_checked(real))[::-1]
    allowed = int(np.floor(false_alarm_rate * len(ordered)))
    return float(np.nextafter(ordered[allowed], np.inf))


def recall_at(real: Scores, fake: Scores, false_alarm_rate: float) -> float:
    """Share of fakes at or above the threshold that `threshold_at` gives.

    Raises:
        ValueError: A class has no score, or one that is NaN.
    """
    return float(np.mean(_checked(fake) >= threshold_at(real, false_alarm_rate)))


def bootstrap(
    metric: Metric, real: Scores, fake: Scores, *, draws: int = 500, seed: int = 0
) -> Interval:
    """A metric with a percentile bootstrap interval, both classes resampled.

    Args:
        metric: A function of real and fake scores.
        real: Scores of real images.
        fake: Scores of fakes.
        draws: Resamples.
        seed: Of the resampling.
    """
    rng = np.random.default_rng(seed)
    values = [
        metric(rng.choice(real, len(real)), rng.choice(fake, len(fake))) for _ in range(draws)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(metric(real, fake)), float(low), float(high))


def _checked(scores: Scores) -> npt.NDArray[np.float64]:
    checked = np.asarray(scores, dtype=np.float64)
    if checked.size == 0 or np.isnan(checked).any():
        raise ValueError("a metric needs scores of both classes, none of them NaN")
    return checked
