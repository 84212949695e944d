"""The figures of one subset with their bootstrap intervals, fast enough for 100,000 scores.

scikit-learn's functions would be called for each of 500 resamples and take minutes. Here scores are
sorted once, and a resample only changes how often each of them counts; tests hold the figures to
scikit-learn's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aligngemini.evaluation.metrics import Interval

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

DRAWS = 500
SEED = 0
HALF = 0.5
BINS = 15  # of equal width, for the calibration error (Guo et al., ICML 2017)
AT_ONCE = 200_000


def score_figures(
    real: Floats, fake: Floats, *, draws: int = DRAWS, seed: int = SEED
) -> dict[str, Interval]:
    """Figures that rest on the scores of both classes.

    Args:
        real: P(fake) of photos, in [0, 1]; at least one.
        fake: P(fake) of fakes; at least one.
        draws: Resamples, of each class by itself.
        seed: Of the resampling.

    Returns:
        `real_accuracy`, `fake_accuracy`, `balanced_accuracy` and `accuracy` at 0.5; `ap` and `auc`;
        `recall_at_1_oracle` and `recall_at_5_oracle` (threshold as `metrics.threshold_at` sets it
        on these photos); `ece` (15 bins) and `brier`. Percentile intervals of 95 %.

    Raises:
        ValueError: A class has no score, or one that is no probability.
    """
    for scores in (real, fake):
        if not len(scores) or not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError("figures need scores of both classes, all of them in [0, 1]")
    sorted_scores = _Sorted.of(real, fake)
    values = sorted_scores.figures(*sorted_scores.counts)
    resampled = [sorted_scores.figures(*counts) for counts in sorted_scores.resamples(draws, seed)]
    return {
        name: interval(float(value[0]), np.concatenate([part[name] for part in resampled]))
        for name, value in values.items()
    }


def share(events: int, trials: int, *, draws: int = DRAWS, seed: int = SEED) -> Interval:
    """A share with the interval of its bootstrap: resampling yes and no is a binomial draw.

    Raises:
        ValueError: There were no trials.
    """
    if trials < 1:
        raise ValueError("a share of nothing")
    return interval(events / trials, share_draws(events, trials, draws=draws, seed=seed))


def share_draws(events: int, trials: int, *, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """(draws,) resampled shares."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.binomial(trials, events / trials, draws) / trials)


def interval(value: float, resampled: Floats) -> Interval:
    """A figure with the percentiles of its resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class _Sorted:
    """The distinct scores of both classes.

    Attributes:
        scores: (g,) from the highest down.
        real: Which of them each photo has.
        fake: Which of them each fake has.
    """

    scores: Floats
    real: Counts
    fake: Counts

    @classmethod
    def of(cls, real: Floats, fake: Floats) -> "_Sorted":
        ascending, places = np.unique(np.concatenate([real, fake]), return_inverse=True)
        places = len(ascending) - 1 - places
        return cls(ascending[::-1], places[: len(real)], places[len(real) :])

    @property
    def counts(self) -> tuple[Counts, Counts]:
        """How many photos and fakes have each score: two of (1, g)."""
        size = len(self.scores)
        return (
            np.bincount(self.real, minlength=size)[None],
            np.bincount(self.fake, minlength=size)[None],
        )

    def resamples(self, draws: int, seed: int) -> Iterator[tuple[Counts, Counts]]:
        """The same of resamples, some at a time: two of (some, g)."""
        generators = [np.random.default_rng([seed, k]) for k in range(2)]
        some = max(1, AT_ONCE // (len(self.real) + len(self.fake)))
        for start in range(0, draws, some):
            size = min(some, draws - start)
            yield (
                self._drawn(self.real, size, generators[0]),
                self._drawn(self.fake, size, generators[1]),
            )

    def _drawn(self, places: Counts, draws: int, rng: np.random.Generator) -> Counts:
        size = len(self.scores)
        drawn = places[rng.integers(len(places), size=(draws, len(places)))]
        drawn += size * np.arange(draws)[:, None]
        return np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size)

    def figures(self, real: Counts, fake: Counts) -> dict[str, Floats]:
        """Figures for each row of counts.

        Args:
            real: (n, g) how often each score counts among the photos.
            fake: (n, g) likewise among the fakes.
        """
        reals, fakes = np.cumsum(real, axis=1), np.cumsum(fake, axis=1)  # this score or a higher
        photos, total = reals[:, -1], reals[:, -1] + fakes[:, -1]
        alarms, hits = (_up_to(sums, int((self.scores >= HALF).sum())) for sums in (reals, fakes))
        real_accuracy, fake_accuracy = 1 - alarms / photos, hits / fakes[:, -1]
        below = photos[:, None] - reals + real / 2  # photos under a fake, those level by half
        precision = fakes / np.maximum(reals + fakes, 1)
        # Sums of products and no matrix product: BLAS would start threads, and be slower here.
        squares = (real * self.scores**2 + fake * (1 - self.scores) ** 2).sum(axis=1)
        return {
            "real_accuracy": real_accuracy,
            "fake_accuracy": fake_accuracy,
            "balanced_accuracy": (real_accuracy + fake_accuracy) / 2,
            "accuracy": (photos - alarms + hits) / total,
            "ap": (fake * precision).sum(axis=1) / fakes[:, -1],
            "auc": (fake * below).sum(axis=1) / (photos * fakes[:, -1]),
            "recall_at_1_oracle": _recall(reals, fakes, 0.01),
            "recall_at_5_oracle": _recall(reals, fakes, 0.05),
            "ece": self._calibration_error(real, fake) / total,
            "brier": squares / total,
        }

    def _calibration_error(self, real: Counts, fake: Counts) -> Floats:
        """Sum over the bins of |expected fakes - fakes|."""
        bins = np.minimum((self.scores * BINS).astype(int), BINS - 1)
        starts = np.flatnonzero(np.diff(bins, prepend=BINS))
        gaps = np.add.reduceat((real + fake) * self.scores - fake, starts, axis=1)
        return np.asarray(np.abs(gaps).sum(axis=1))


def _up_to(sums: Counts, count: int) -> Counts:
    """The sum over the first scores."""
    return sums[:, count - 1] if count else np.zeros(len(sums), np.int64)


def _recall(reals: Counts, fakes: Counts, false_alarm_rate: float) -> Floats:
    """Share of fakes above every score that would let in too many photos."""
    allowed = np.floor(false_alarm_rate * reals[:, -1])
    reached = (reals <= allowed[:, None]).sum(axis=1)
    found = np.where(reached > 0, fakes[np.arange(len(fakes)), reached - 1], 0)
    return np.asarray(found / fakes[:, -1])
