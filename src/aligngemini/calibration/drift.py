"""Whether the images that come in still score as those did that thresholds were set on.

A calibration promises something of images like its own. This compares the scores of two sets of
images, one branch at a time, by the largest difference of their cumulative shares (the statistic of
Kolmogorov and Smirnov). The p-value is the two-sample form of the Dvoretzky-Kiefer-Wolfowitz bound
(Wei and Dudley, Statistics and Probability Letters, 2012): `2 exp(-2 d^2 nm / (n + m))`, which for
small values is the classical one and needs no table. From 100 scores each, exact p-values are above
it by 0.2 % of themselves at the most (sets of equal size; of other sizes none was found above it).

What is compared must be comparable. The calibration's scores are those of photos, so a stream is
held against them only where it is known to be photos; any stream can be held against its own past.
All of it takes images as independent: a day that is one series of frames differs from any other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.fusion.base import from_log_odds
from aligngemini.settings import SettingsError

LAST = 140
EDGES = np.array([from_log_odds(k / 10) for k in range(1 - LAST, LAST)])
"""Scores between the bins, a tenth of log-odds apart. Stored histograms rest on it: it stays."""
PLACES = {str(k): k + LAST for k in range(-LAST, LAST)}
MOST = 2**53
"""Of one bin; beyond it a file is damaged."""

ALPHA = 0.01
FEWEST = 100
TOLERANCE = 0.1
BEFORE = "the images before"
CALIBRATED_ON = "the photos calibrated on"


class ScoreHistogram:
    """How many scores lie in each of fixed bins; adding up histograms loses nothing.

    Attributes:
        counts: (2 * LAST,) integers: below the first edge, between two, from the last one up.
    """

    def __init__(self) -> None:
        self.counts: npt.NDArray[np.int64] = np.zeros(len(EDGES) + 1, np.int64)

    @classmethod
    def of(cls, scores: npt.ArrayLike) -> "ScoreHistogram":
        """The histogram of many scores, each P(fake) in [0, 1]."""
        made = cls()
        places = np.searchsorted(EDGES, np.asarray(scores, np.float64), side="right")
        made.counts += np.bincount(places, minlength=len(made.counts))
        return made

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ScoreHistogram":
        """What `to_dict` gave.

        Raises:
            SettingsError: It is something else.
        """
        made = cls()
        for name, count in values.items():
            place = PLACES.get(name)
            if place is None or type(count) is not int or not 0 <= count <= MOST:
                raise SettingsError(f"{name!r}: {count!r} is no count of a score histogram")
            made.counts[place] = count
        return made

    @property
    def total(self) -> int:
        """Scores counted."""
        return int(self.counts.sum())

    def add(self, score: float) -> None:
        """Count one score, P(fake) in [0, 1]."""
        self.counts[bisect_right(EDGES, score)] += 1

    def merge(self, other: "ScoreHistogram") -> "ScoreHistogram":
        """Both together, as a new one."""
        made = ScoreHistogram()
        made.counts = self.counts + other.counts
        return made

    def to_dict(self) -> dict[str, int]:
        """Counts that are not 0, for JSON.

        Under `k` stand the scores whose log-odds lie from k/10 up to (k + 1)/10, and all beyond
        under the first and the last.
        """
        return {
            name: int(self.counts[place]) for name, place in PLACES.items() if self.counts[place]
        }


@dataclass(frozen=True)
class Drift:
    """What the comparison of two sets of scores says.

    Attributes:
        statistic: `effect` times the square root of `nm / (n + m)`.
        p_value: Bound on the chance of such a difference between two sets drawn alike.
        effect: Largest difference of the shares of images that reach a score, in [0, 1].
        warned: Whether the difference is large, and no chance.
        sentence: All of it in words.
    """

    statistic: float
    p_value: float
    effect: float
    warned: bool
    sentence: str


def drift(
    reference: ScoreHistogram,
    current: ScoreHistogram,
    *,
    alpha: float = ALPHA,
    fewest: int = FEWEST,
    tolerance: float = TOLERANCE,
    compared_with: str = BEFORE,
) -> Drift:
    """Compare the scores of two sets of images.

    The hypothesis is that both were drawn alike, image by image. It is dropped, with a warning,
    where the p-value is `alpha` at most and the effect `tolerance` at least: of a million images
    any difference is significant, and most mean nothing.

    Args:
        reference: Scores to compare with.
        current: Of the images in question.
        alpha: Chance of a warning where nothing changed, for this one comparison.
        fewest: With fewer scores on either side, nothing is said.
        tolerance: Effect from which a difference matters.
        compared_with: What `reference` is, in the sentence.
    """
    n, m = reference.total, current.total
    if min(n, m) < fewest:
        which = f"{m:,} images" if m < fewest else f"{n:,} of {compared_with}"
        return Drift(0.0, 1.0, 0.0, False, f"too few to compare: {which}; it takes {fewest}")
    reach = [1 - np.cumsum(one.counts)[:-1] / one.total for one in (reference, current)]
    place = int(np.argmax(np.abs(reach[1] - reach[0])))
    effect = float(abs(reach[1] - reach[0])[place])
    statistic = effect * (n * m / (n + m)) ** 0.5
    p_value = min(1.0, 2 * float(np.exp(-2 * statistic**2)))
    warned = p_value <= alpha and effect >= tolerance
    then, now = (float(share[place]) for share in reach)
    verdict = f"scores are no longer those of {compared_with}" if warned else "no drift to speak of"
    return Drift(
        statistic,
        p_value,
        effect,
        warned,
        f"{verdict}: {now:.1%} of {m:,} images score {EDGES[place]:.3g} or more, and {then:.1%} of "
        f"{compared_with}",
    )


def watch(
    days: Mapping[str, ScoreHistogram],
    reference: ScoreHistogram | None = None,
    *,
    alpha: float = ALPHA,
    streams: int = 1,
    fewest: int = FEWEST,
    tolerance: float = TOLERANCE,
) -> dict[str, Drift]:
    """Compare each day's scores with a reference, or with the days before it.

    However many days there are, the chance of any warning where nothing ever changes is `alpha` at
    most: the k-th comparison gets `alpha / (k (k + 1))`. Days of too few images are joined with
    those after them. Without a reference, days are compared with all before them that were not
    warned of: so a change for good is warned of for good, and a slow one is seen late.

    Args:
        days: Scores by day, the days' names in the order of time. Leave out a day that is not over:
            looking at it again as it grows costs more false warnings than promised.
        reference: The calibration's photos, for a stream known to be photos; None for the stream's
            own past.
        alpha: Chance of any warning, over all days and all `streams`.
        streams: How many such series are watched together, such as branches.
        fewest: See `drift`.
        tolerance: See `drift`.

    Returns:
        By day, or first and last day where several were joined. Those at the end that are too few
        are left out, and so is the first of a stream compared with its past.
    """
    found: dict[str, Drift] = {}
    past = reference
    for name, current in _joined(days, fewest):
        if past is None:
            past = current
            continue
        look = len(found) + 1
        found[name] = drift(
            past,
            current,
            alpha=alpha / streams / (look * (look + 1)),
            fewest=fewest,
            tolerance=tolerance,
            compared_with=BEFORE if reference is None else CALIBRATED_ON,
        )
        if reference is None and not found[name].warned:
            past = past.merge(current)
    return found


def counted_scores(record: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a `detect` record that a histogram counts, by branch.

    A branch without a verdict is left out, and one that had a reason not to go by its score:
    calibrations do not count those either.
    """
    return {
        name: float(branch["score"])
        for name, branch in record.get("branches", {}).items()
        if branch.get("score") is not None
        and branch.get("verdict") is not None
        and branch.get("remark") is None
    }


def _joined(
    days: Mapping[str, ScoreHistogram], fewest: int
) -> Iterable[tuple[str, ScoreHistogram]]:
    """Days, small ones joined until they have `fewest` scores; what is left over is dropped."""
    first, gathered = "", ScoreHistogram()
    for day, histogram in days.items():
        first = first or day
        gathered = gathered.merge(histogram)
        if gathered.total >= fewest:
            yield (day if first == day else f"{first} to {day}"), gathered
            first, gathered = "", ScoreHistogram()
