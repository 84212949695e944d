"""Thresholds that hold a false-alarm rate with a stated confidence, whatever the scores look like.

The one assumption: the photos that are judged later are drawn like those calibrated on, and the
calibration photos independently of each other. Nothing is assumed of the detector.

Sources: one threshold out of order statistics is a tolerance limit (Wilks, Annals of Mathematical
Statistics 1941; as training-conditional conformal prediction: Vovk, 2012). Bounds on a
measured rate: Clopper and Pearson (Biometrika, 1934).
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binom  # type: ignore[import-untyped]  # comes with scikit-learn

Floats = npt.NDArray[np.float64]


class TooFewPhotosError(ValueError):
    """Too few photos for the guarantee that was asked for; the message says how many it takes."""


def photos_needed(rate: float, confidence: float) -> int:
    """The fewest photos on which a false-alarm rate can be guaranteed at all.

    With so many, the threshold lies above every one of them: `(1 - rate) ** n <= 1 - confidence`.

    Args:
        rate: False alarms allowed, in (0, 1).
        confidence: In (0, 1).
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate))


def guaranteed_threshold(photos: Floats, rate: float, confidence: float) -> float:
    """The lowest number that few enough photos lie above.

    With probability `confidence` over the draw of the photos, at most a share `rate` of all such
    photos lies *strictly above* what is returned: the k-th largest of the n numbers, with the
    largest k for which Binomial(n, rate) falls below k with probability `1 - confidence` at most.
    Ties make it safer.

    Args:
        photos: (n,) one number a photo, higher for more suspicious; minus infinity for a photo
            that cannot raise an alarm.
        rate: In (0, 1).
        confidence: In (0, 1).

    Raises:
        TooFewPhotosError: There are fewer than `photos_needed`.
        ValueError: A number is NaN.
    """
    photos = np.asarray(photos, np.float64)
    if np.isnan(photos).any():
        raise ValueError("a photo's number is NaN")
    rank = allowed_alarms(len(photos), rate, confidence) + 1
    # The k-th largest without sorting a million others.
    return float(np.partition(photos, len(photos) - rank)[len(photos) - rank])


def allowed_alarms(photos: int, rate: float, confidence: float) -> int:
    """How many of the calibration photos may raise an alarm.

    Raises:
        TooFewPhotosError: Not even none would do.
    """
    # binom.ppf finds the first count whose distribution function reaches 1 - confidence.
    count = int(binom.ppf(1 - confidence, photos, rate))
    while count >= 0 and binom.cdf(count, photos, rate) > 1 - confidence:
        count -= 1
    if count < 0:
        needed = photos_needed(rate, confidence)
        raise TooFewPhotosError(
            f"{photos} photos are too few to promise at most {rate:.2g} false alarms with "
            f"confidence {confidence:g}: it takes {needed}"
        )
    return count


def upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper bound on a rate, exact; 1 where nothing was tried."""
    return 1.0 if events == trials else float(beta.ppf(confidence, events + 1, trials - events))
