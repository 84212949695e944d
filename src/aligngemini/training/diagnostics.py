"""What goes wrong with detectors, looked for at the end of every training run.

A detector that does well on its own data may go by the files' format instead of their pixels, know
one decoder and no other, call half of all photos fake, or give everything one answer. Each of these
is a number here, with a limit and what to do beyond it. They are small measurements on what the
run's data has: they find what is grossly wrong, and are no benchmark.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest  # type: ignore[import-untyped]  # comes with scikit-learn

from aligngemini.evaluation.metrics import Interval, auc

OK, LOOK, NOT_MEASURED = "ok", "look", "not measured"

TRAINED_ON, HELD_OUT, UNSEEN = "trained on", "held out", "of unseen generators"
"""Groups of images: `UNSEEN` are held-out fakes by generators that none of the run was."""

AS_IS = "as is"
EVENED = "evened out"
"""What was no JPEG compressed as an image of the other class was."""
ALIKE = (EVENED, "JPEG 90", "JPEG 75")
"""Deliveries under which both classes are one format; the first that was measured is taken."""

FEWEST = 10
DRAWS = 200  # of the bootstrap


class NotMeasuredError(Exception):
    """A check that cannot be made on this data; the message says why."""


@dataclass(frozen=True)
class Scored:
    """One image under one delivery, and its score.

    Attributes:
        group: `TRAINED_ON`, `HELD_OUT` or `UNSEEN`.
        label: `real` or `fake`.
        delivery: What it went through first.
        score: P(fake) in [0, 1]; NaN where the model gave no number.
        model: Which of several weights gave it: scores of different weights are not compared.
        grade: Of a fake, how plain its faults are: `gross`, `subtle`, or empty.
    """

    group: str
    label: str
    delivery: str
    score: float
    model: str = ""
    grade: str = ""


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: What is looked for.
        verdict: `OK`, `LOOK` beyond the limit, or `NOT_MEASURED`.
        note: What to do, of `look`; why not, of `not measured`; else empty.
        value: The number; None where not measured, as the next three.
        low: End of its 95 % interval.
        high: Likewise.
        limit: Up to which it is `ok`.
        images: In words, what it was measured on.
    """

    name: str
    verdict: str
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    images: str = ""


class Scores:
    """The scores of a run's images, and the threshold they are read against."""

    def __init__(self, scored: Iterable[Scored], threshold: float) -> None:
        self.all = list(scored)
        self.threshold = threshold

    def take(
        self,
        label: str,
        groups: Sequence[str] = (HELD_OUT, UNSEEN),
        delivery: str = AS_IS,
        grade: str | None = None,
    ) -> list[Scored]:
        """Images of one label.

        Raises:
            NotMeasuredError: They are too few, or the model answered with no number.
        """
        found = [
            one
            for one in self.all
            if one.label == label
            and one.group in groups
            and one.delivery == delivery
            and grade in (None, one.grade)
        ]
        if len(found) < FEWEST:
            kind = "photos" if label == "real" else f"{grade} fakes" if grade else "fakes"
            raise NotMeasuredError(
                f"{len(found)} {kind} {' or '.join(groups)}"
                f"{'' if delivery == AS_IS else f', {delivery}'}; it takes {FEWEST}"
            )
        if np.isnan([one.score for one in found]).any():
            raise NotMeasuredError("the model's answers are no numbers: the training diverged")
        return found

    def deliveries(self, label: str, groups: Sequence[str] = (HELD_OUT, UNSEEN)) -> list[str]:
        """Names of what images of a label and group went through, `AS_IS` left out."""
        names = (o.delivery for o in self.all if o.label == label and o.group in groups)
        return [name for name in dict.fromkeys(names) if name != AS_IS]

    def alike(self) -> str:
        """The delivery under which both classes are one format.

        Raises:
            NotMeasuredError: There is none.
        """
        found = self.deliveries("fake")
        for name in ALIKE:
            if name in found:
                return name
        raise NotMeasuredError("nothing was measured with both classes in one format")


Measurement: TypeAlias = tuple[Interval, str]


@dataclass(frozen=True)
class Check:
    """One thing to look for.

    Attributes:
        name: As in `Finding`.
        measure: Gives the number and what it was measured on, or raises `NotMeasuredError`.
        limit: Up to which the number is no worry.
        advice: What to do beyond it.
    """

    name: str
    measure: Callable[[Scores], Measurement]
    limit: float
    advice: str


def run_checks(checks: Iterable[Check], scores: Scores) -> list[Finding]:
    """Make each check; one that fails is a finding too, and ends nothing."""
    return [_run(check, scores) for check in checks]


def all_not_measured(checks: Iterable[Check], why: str) -> list[Finding]:
    """What is left to say where no image could be scored."""
    return [Finding(check.name, NOT_MEASURED, why) for check in checks]


def _run(check: Check, scores: Scores) -> Finding:
    try:
        number, images = check.measure(scores)
    except NotMeasuredError as reason:
        return Finding(check.name, NOT_MEASURED, str(reason))
    except Exception as error:  # a finished training is not lost over a figure about it
        return Finding(check.name, NOT_MEASURED, f"failed: {error!r}")
    worry = not number.value <= check.limit
    return Finding(
        name=check.name,
        verdict=LOOK if worry else OK,
        note=check.advice if worry else "",
        value=number.value,
        low=number.low,
        high=number.high,
        limit=check.limit,
        images=images,
    )


def called_fake(scored: Sequence[Scored], threshold: float) -> Interval:
    """Share of images that reach the threshold, with its exact 95 % interval."""
    count = sum(one.score >= threshold for one in scored)
    interval = binomtest(count, len(scored)).proportion_ci(method="exact")
    return Interval(count / len(scored), float(interval.low), float(interval.high))


def share(scored: Sequence[Scored], threshold: float) -> float:
    """The same without the interval."""
    return float(np.mean([one.score >= threshold for one in scored]))


def separation(photos: Sequence[Scored], fakes: Sequence[Scored]) -> float:
    """AUC; of several models, the mean of theirs.

    Raises:
        NotMeasuredError: No model scored images of both.
    """
    real, fake = _by_model(photos), _by_model(fakes)
    areas = [auc(real[name], fake[name]) for name in real if name in fake]
    if not areas:
        raise NotMeasuredError("no model scored images of both classes")
    return float(np.mean(areas))


def difference(
    measure: Callable[..., float], *parts: Sequence[Scored], draws: int = DRAWS
) -> Interval:
    """A number out of several sets of images, with a percentile bootstrap interval.

    Args:
        measure: Of as many lists of `Scored` as there are parts.
        parts: Each resampled by itself.
        draws: Resamples.
    """
    rng = np.random.default_rng(0)
    values = []
    for _ in range(draws):
        drawn = [[part[k] for k in rng.integers(len(part), size=len(part))] for part in parts]
        try:
            values.append(measure(*drawn))
        except NotMeasuredError:  # a draw without images of one of several models
            continue
    if not values:
        raise NotMeasuredError("no model scored images of both classes")
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(measure(*parts)), float(low), float(high))


def _by_model(scored: Sequence[Scored]) -> Mapping[str, npt.NDArray[np.float64]]:
    found: dict[str, list[float]] = {}
    for one in scored:
        found.setdefault(one.model, []).append(one.score)
    return {name: np.array(scores) for name, scores in found.items()}
