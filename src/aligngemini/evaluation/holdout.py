"""From the predictions of a leave-one-out study to tables, thresholds and a calibration.

A fold's fakes are compared with the same fold's photos only: scores of different folds come from
different weights.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from aligngemini.evaluation.metrics import Interval, auc, bootstrap, recall_at, threshold_at
from aligngemini.evaluation.predictions import Prediction
from aligngemini.evidence import Label, calibrated, label_for

VERDICTS: tuple[Label, ...] = ("fake", "undecided", "real")
FALSE_ALARM_RATE = 0.01
MISS_RATE = 0.10


@dataclass(frozen=True)
class Figures:
    """One generator group under one delivery, against photos of a source never trained on."""

    generator: str
    source: str
    delivery: str
    fakes: int
    photos: int
    auc: Interval
    recall_at_1: Interval
    recall_at_5: Interval


@dataclass(frozen=True)
class Thresholds:
    """Where a score becomes a verdict, and what the held-out images make of it.

    Attributes:
        scale: Of the logit, from a logistic fit with both classes weighted alike.
        bias: Likewise.
        fake: At most 1 % of the held-out photos reach it, under every delivery.
        real: At most 10 % of the held-out AI images lie below it, under every delivery.
    """

    scale: float
    bias: float
    fake: float
    real: float


def held_out_figures(predictions: Sequence[Prediction]) -> list[Figures]:
    """Figures of every fold and delivery, in the predictions' order."""
    table = []
    for fold, delivery in dict.fromkeys((p.fold, p.delivery) for p in predictions):
        part = [p for p in predictions if p.fold == fold and p.delivery == delivery]
        real, fake = logits(part, "real"), logits(part, "fake")
        table.append(
            Figures(
                generator=_joined(p.generator for p in part if p.label == "fake"),
                source=_joined(p.source for p in part if p.label == "real"),
                delivery=delivery,
                fakes=len(fake),
                photos=len(real),
                auc=bootstrap(auc, real, fake),
                recall_at_1=bootstrap(lambda r, f: recall_at(r, f, 0.01), real, fake),
                recall_at_5=bootstrap(lambda r, f: recall_at(r, f, 0.05), real, fake),
            )
        )
    return table


def mean_over_generators(table: Sequence[Figures], delivery: str) -> tuple[float, float, float]:
    """Mean AUC and recall at 1 % and 5 % false alarms, every fold counting once."""
    rows = [row for row in table if row.delivery == delivery]
    return (
        float(np.mean([row.auc.value for row in rows])),
        float(np.mean([row.recall_at_1.value for row in rows])),
        float(np.mean([row.recall_at_5.value for row in rows])),
    )


def fit_thresholds(predictions: Sequence[Prediction]) -> Thresholds:
    """Calibrate on held-out predictions of all folds together.

    Both thresholds are set for the worst delivery, so that they hold under each of them.
    """
    everything = np.array([p.logit for p in predictions])
    labels = np.array([p.label == "fake" for p in predictions])
    fit = LogisticRegression(C=np.inf, class_weight="balanced").fit(everything[:, None], labels)
    scale, bias = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    parts = [
        [p for p in predictions if p.delivery == delivery]
        for delivery in dict.fromkeys(p.delivery for p in predictions)
    ]

    def scores(part: Sequence[Prediction], label: str) -> np.ndarray:
        return np.asarray(calibrated(logits(part, label), scale, bias))

    # Of the scores, not the logits: the step above a logit is lost on its way to a score.
    fake = max(threshold_at(scores(part, "real"), FALSE_ALARM_RATE) for part in parts)
    # The mirror image: with the sign turned, fakes are what may rarely reach the threshold.
    real = min(-threshold_at(-scores(part, "fake"), MISS_RATE) for part in parts)
    return Thresholds(scale=scale, bias=bias, fake=fake, real=min(real, fake))


def verdict_shares(
    predictions: Sequence[Prediction], thresholds: Thresholds, delivery: str, label: str
) -> dict[Label, float]:
    """Which verdicts the held-out images of one class get at these thresholds, as shares of 1."""
    part = logits([p for p in predictions if p.delivery == delivery], label)
    scores = calibrated(part, thresholds.scale, thresholds.bias)
    verdicts = [label_for(score, thresholds.fake, thresholds.real) for score in scores]
    return {verdict: verdicts.count(verdict) / len(verdicts) for verdict in VERDICTS}


def logits(predictions: Sequence[Prediction], label: str) -> np.ndarray:
    """Logits of one class."""
    return np.array([p.logit for p in predictions if p.label == label])


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
