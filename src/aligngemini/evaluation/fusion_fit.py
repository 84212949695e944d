"""Fitting a fusion rule on images whose labels are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from aligngemini.evaluation.guarantee import upper_bound
from aligngemini.evaluation.holdout import FALSE_ALARM_RATE, MISS_RATE
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evaluation.metrics import auc, threshold_at
from aligngemini.evidence import NOT_NEEDED, branch_kind
from aligngemini.fusion.base import FusionError
from aligngemini.fusion.fitted import (
    VERSION,
    Combination,
    FusionFile,
    counted_log_odds,
    fused_score,
)

Floats = npt.NDArray[np.float64]

HELD_OUT = 1 / 3  # share of the images that only measure
FEWEST = 10  # of each class, in each of the two parts
STEPS = 20  # of a weight between 0 and 1


@dataclass(frozen=True)
class _Image:
    """What fitting needs of an image: log-odds by branch, label, and what it was made from."""

    odds: Mapping[str, float]
    fake: bool
    group: str


def fit_fusion(
    images: Sequence[Labelled],
    *,
    rule: str = "learned",
    fitted_on: str = "",
    false_alarm_rate: float = FALSE_ALARM_RATE,
    seed: int = 0,
) -> FusionFile:
    """Fit weights and thresholds on two thirds of the images and measure them on the rest.

    `learned` is a logistic regression with both classes weighted alike and the usual ridge penalty
    (C = 1); a branch whose weight comes out negative is left out and the others are fitted again,
    so that no branch can lower the score by rising. `weighted` takes the weights, by kind of
    branch and in steps of 0.05, whose mean separates best (AUC).

    `threshold` is set where at most `false_alarm_rate` of the photos that were fitted on reach
    it, and never below 0.5; `threshold_real` where at most 10 % of the fakes lie below. A fake and
    the photo it was made from (the manifest's `pair`) are always in the same part.

    Args:
        images: Judged images with their labels.
        rule: `learned` or `weighted`.
        fitted_on: For the file: which images these are.
        false_alarm_rate: In [0, 1).
        seed: Of the split.

    Raises:
        FusionError: Branches were judged by several models or left out by a cascade, no branch
            scores, or there are fewer than 10 photos or fakes in one of the parts.
    """
    models = models_of(images)
    judged = [
        _Image(
            odds=counted_log_odds({name: image.verdict.branches[name] for name in present}),
            fake=image.row.label == "fake",
            group=image.row.pair or image.row.path,
        )
        for image in images
        if (present := [name for name in models if name in image.verdict.branches])
    ]
    fitted, held_out = _split(judged, seed)
    found = []
    for size in range(1, len(models) + 1):
        for names in combinations(models, size):
            part = _Part.of(fitted, names), _Part.of(held_out, names)
            if all(one.enough for one in part):
                found.append(_combination(names, *part, rule, false_alarm_rate))
    usable = tuple(one for one in found if one is not None)
    if not found:
        raise FusionError(_too_few(fitted, held_out))
    if not usable:
        raise FusionError(
            "no branch scores these fakes above these photos; there is nothing to fit"
        )
    return FusionFile(VERSION, rule, fitted_on, models, usable)


@dataclass(frozen=True)
class _Part:
    """Images on which all of some branches gave a score.

    Attributes:
        odds: (n, branches) log-odds.
        fake: (n,) which of them are fakes.
    """

    odds: Floats
    fake: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, images: Sequence[_Image], names: Sequence[str]) -> "_Part":
        chosen = [image for image in images if all(name in image.odds for name in names)]
        rows = [[image.odds[name] for name in names] for image in chosen]
        return cls(
            np.array(rows, float).reshape(len(rows), len(names)),
            np.array([image.fake for image in chosen], bool),
        )

    @property
    def enough(self) -> bool:
        return min(int(np.sum(self.fake)), int(np.sum(~self.fake))) >= FEWEST


def _combination(
    names: Sequence[str], fitted: _Part, held_out: _Part, rule: str, false_alarm_rate: float
) -> Combination | None:
    """The rule for these branches, or None if none of them is of use."""
    fit = _logistic if rule == "learned" else _best_mean
    weights, bias = fit(names, fitted)
    if not any(weights):
        return None
    by_name = dict(zip(names, weights, strict=True))

    def scores(part: _Part, fake: bool) -> Floats:
        rows = part.odds[part.fake == fake]
        return np.array(
            [
                fused_score(dict(zip(names, map(float, row), strict=True)), by_name, bias)
                for row in rows
            ]
        )

    # Never under a half: few photos that all score low are no reason to accuse the next one.
    threshold = max(0.5, threshold_at(scores(fitted, fake=False), false_alarm_rate))
    # The mirror image: with the sign turned, fakes are what may rarely reach the threshold.
    low = min(threshold, -threshold_at(-scores(fitted, fake=True), MISS_RATE))
    photos, fakes = scores(held_out, fake=False), scores(held_out, fake=True)
    alarms = int(np.sum(photos >= threshold))
    return Combination(
        weights=by_name,
        bias=bias,
        threshold=threshold,
        threshold_real=low,
        photos=len(photos),
        fakes=len(fakes),
        false_alarm_rate=alarms / len(photos),
        false_alarm_bound=upper_bound(alarms, len(photos)),
        miss_rate=float(np.mean(fakes < low)),
        recall=float(np.mean(fakes >= threshold)),
    )


def _logistic(names: Sequence[str], part: _Part) -> tuple[list[float], float]:
    weights, bias = np.zeros(len(names)), 0.0
    kept = list(range(len(names)))
    while kept:
        model = LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=1000)
        model.fit(part.odds[:, kept], part.fake)
        fitted = model.coef_[0]
        if fitted.min() >= 0:
            weights[kept], bias = fitted, float(model.intercept_[0])
            break
        del kept[int(fitted.argmin())]
    return weights.tolist(), bias


def _best_mean(names: Sequence[str], part: _Part) -> tuple[list[float], float]:
    kinds = list(dict.fromkeys(branch_kind(name) for name in names))
    of_kind = np.array([[branch_kind(name) == kind for name in names] for kind in kinds], float)
    of_kind /= of_kind.sum(axis=1, keepdims=True)
    grid = [
        np.array(steps) / STEPS
        for steps in product(range(STEPS + 1), repeat=len(kinds))
        if sum(steps) == STEPS
    ]
    # Of weights that separate alike the most even ones.
    grid.sort(key=lambda weights: float(np.sum(weights**2)))
    sums = [part.odds @ (weights @ of_kind) for weights in grid]
    best = int(np.argmax([auc(mean[~part.fake], mean[part.fake]) for mean in sums]))
    weights: list[float] = (grid[best] @ of_kind).tolist()
    return weights, 0.0


def models_of(images: Sequence[Labelled]) -> dict[str, str]:
    """`name@fingerprint` of each branch that scores.

    Raises:
        FusionError: A cascade left branches out, the scores of one come from several models, or
            none scores.
    """
    models: dict[str, str] = {}
    for image in images:
        for name, evidence in image.verdict.branches.items():
            if (evidence.skipped or "").startswith(NOT_NEEDED):
                raise FusionError(
                    f"{image.verdict.path} was judged with --cascade, which left {name} out: "
                    "judge again without it"
                )
            if evidence.score is None or evidence.model is None:
                continue
            if models.setdefault(name, evidence.model) != evidence.model:
                raise FusionError(
                    f"the {name} scores come from two models, {models[name]} and {evidence.model}: "
                    "judge all images with one"
                )
    if not models:
        raise FusionError("no image has a score of any branch; there is nothing to fit")
    return models


def _split(images: Sequence[_Image], seed: int) -> tuple[list[_Image], list[_Image]]:
    """Images to fit on and images to measure on, groups kept whole."""
    groups = list(dict.fromkeys(image.group for image in images))
    order = np.random.default_rng(seed).permutation(len(groups))
    apart = {groups[k] for k in order[: round(HELD_OUT * len(groups))]}
    return (
        [image for image in images if image.group not in apart],
        [image for image in images if image.group in apart],
    )


def _too_few(fitted: Sequence[_Image], held_out: Sequence[_Image]) -> str:
    counts = [sum(image.fake == fake for image in [*fitted, *held_out]) for fake in (False, True)]
    return (
        f"{counts[0]} photos and {counts[1]} fakes are too few: two thirds are fitted on and the "
        f"rest measures, and each part needs {FEWEST} of both that the branches scored"
    )
