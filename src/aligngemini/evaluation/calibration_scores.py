"""Scores of many images as arrays, and whether a rule would call each of them fake."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aligngemini.calibration import CalibrationError, moved
from aligngemini.evaluation.fusion_fit import models_of
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evidence import Evidence, branch_kind
from aligngemini.fusion.base import Rule, counted_score, thresholds
from aligngemini.fusion.fitted import FittedRule
from aligngemini.fusion.rules import Vote, Weighted

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FUSED = "fused"
"""The one column of a rule that has scores and thresholds of its own."""
CLIP = 1e-12  # as `fusion.base.log_odds` does


@dataclass(frozen=True)
class Scores:
    """What the branches say of n images.

    Attributes:
        names: Of the b branches, or `FUSED` alone.
        models: `name@fingerprint` by branch.
        scores: (n, b) P(fake); NaN where a branch gave none.
        counts: (n, b) whether the branch has a verdict that rests on its score. The others have
            none, or said `undecided` for a reason that no score overrules.
        votes: (n, b) whether it has a verdict at all.
        stated: (n, b) whether it says `fake` without a score that counts, as a server does that
            gives labels only: no threshold changes that.
        thresholds: (b,) the branches' own `fake` thresholds.
        fake: (n,) the labels.
    """

    names: tuple[str, ...]
    models: Mapping[str, str]
    scores: Floats
    counts: Flags
    votes: Flags
    stated: Flags
    thresholds: Floats
    fake: Flags

    def of(self, chosen: Flags) -> "Scores":
        """Some of the images."""
        return replace(
            self,
            scores=self.scores[chosen],
            counts=self.counts[chosen],
            votes=self.votes[chosen],
            stated=self.stated[chosen],
            fake=self.fake[chosen],
        )

    def margins(self, offsets: Mapping[str, float]) -> Floats:
        """(n, b) how far, in log-odds, scores lie above thresholds; infinite where none counts."""
        shifts = np.array([offsets.get(name, 0.0) for name in self.names])
        odds = log_odds_of(np.where(self.counts, self.scores, 0.5))
        margins = odds - log_odds_of(self.thresholds) - shifts
        return np.where(self.counts, margins, np.where(self.stated, np.inf, -np.inf))

    def moved(self, shift: float, offsets: Mapping[str, float]) -> Floats:
        """(b,) the thresholds under a calibration, to the last digit as `detect` reads them."""
        return np.array(
            [
                moved(float(threshold), shift + offsets.get(name, 0.0))
                for name, threshold in zip(self.names, self.thresholds, strict=True)
            ]
        )

    def alarms(self, rule: Rule, shift: float, offsets: Mapping[str, float]) -> Flags:
        """(n,) which images the rule calls fake under a calibration."""
        reached = self.counts & (self.scores >= self.moved(shift, offsets))
        if isinstance(rule, Vote):
            return np.asarray(2 * (reached | self.stated).sum(1) > self.votes.sum(1))
        if isinstance(rule, Weighted):
            # The mean of what the thresholds leave, and where all agree their own word.
            margins = self._weighted(rule, self.moved(shift, offsets))
            unanimous = (reached == self.counts).all(1) & self.counts.any(1)
            return np.asarray(unanimous | ((margins >= 0) & reached.any(1)))
        return np.asarray((reached | self.stated).any(1))

    def fused_margins(self, rule: Rule, offsets: Mapping[str, float]) -> Floats:
        """(n,) the common shift of all thresholds up to which the rule calls an image fake."""
        margins = self.margins(offsets)
        if isinstance(rule, Vote):
            # More than half of those that vote: of two the lower margin, of three the middle one.
            descending = -np.sort(-margins, axis=1)
            needed = self.votes.sum(1) // 2
            rows = np.arange(len(margins))
            last = np.minimum(needed, margins.shape[1] - 1)
            return np.where(needed < margins.shape[1], descending[rows, last], -np.inf)
        if isinstance(rule, Weighted):
            return self._weighted(rule, self.thresholds)
        return np.asarray(margins.max(1))

    def _weighted(self, rule: Weighted, against: Floats) -> Floats:
        """(n,) weighted mean of the margins that count, by the rule's weights."""
        kinds = [branch_kind(name) for name in self.names]
        raw = np.array([rule.weights.get(kind, 1.0) for kind in kinds])
        same = np.array([[a == b for a in kinds] for b in kinds], float)
        # Experts of one kind share its weight: those that answered.
        weights = np.where(self.counts, raw / np.maximum(self.counts @ same, 1), 0.0)
        margins = log_odds_of(np.where(self.counts, self.scores, 0.5)) - log_odds_of(against)
        total = weights.sum(1)
        mean = (weights * margins).sum(1) / np.where(total > 0, total, 1)
        return np.where(total > 0, mean, -np.inf)


def collect(images: Sequence[Labelled], rule: Rule) -> Scores:
    """The scores of judged images.

    Args:
        images: Those with a verdict; others are not counted.
        rule: That is to be calibrated.

    Raises:
        CalibrationError: No image has a verdict, a branch gives labels without scores, or its
            thresholds differ from image to image.
        FusionError: Branches were judged by several models or left out by a cascade, or none
            scores.
    """
    judged = [image for image in images if image.verdict.verdict is not None]
    if not judged:
        raise CalibrationError("no image has a verdict; there is nothing to calibrate on")
    models = models_of(judged)
    fake = np.array([image.row.label == "fake" for image in judged])
    if isinstance(rule, FittedRule):
        return _on_one_threshold(models, [rule.fuse(_looking(image)) for image in judged], fake)
    names = tuple(models)
    missing = Evidence()
    columns = [[image.verdict.branches.get(name, missing) for image in judged] for name in names]
    others = {
        name
        for image in judged
        for name, one in _looking(image).items()
        if name not in models and one.verdict is not None
    }
    if others:
        raise CalibrationError(
            f"the {' and '.join(sorted(others))} branch gives labels without scores, and no "
            "threshold can be set on those: leave it out"
        )
    return _scores(names, models, columns, fake)


def _looking(image: Labelled) -> dict[str, Evidence]:
    """The branches that look at the picture."""
    return {name: one for name, one in image.verdict.branches.items() if one.signals is None}


def _scores(
    names: tuple[str, ...],
    models: Mapping[str, str],
    columns: Sequence[Sequence[Evidence]],
    fake: Flags,
) -> Scores:
    def table(value: Callable[[Evidence], Any]) -> npt.NDArray[Any]:
        made: npt.NDArray[Any] = np.array([[value(one) for one in column] for column in columns]).T
        return made

    scores = table(lambda one: np.nan if one.score is None else one.score)
    counts = table(lambda one: counted_score(one) is not None)
    votes = table(lambda one: one.verdict is not None)
    stated = table(lambda one: one.verdict == "fake") & ~counts
    own = []
    for name, column in zip(names, columns, strict=True):
        found = {thresholds(one)[0] for one in column if counted_score(one) is not None}
        if len(found) > 1:
            raise CalibrationError(
                f"the {name} branch was read against several thresholds ({_listed(found)}): judge "
                "all images by one detector"
            )
        # A branch that never scored keeps a half, which is never read.
        own.append(min(found, default=0.5))
    return Scores(names, models, scores, counts, votes, stated, np.array(own), fake)


def _on_one_threshold(models: Mapping[str, str], column: Sequence[Evidence], fake: Flags) -> Scores:
    """A fitted rule has a threshold for each set of branches: brought to one half, in log-odds."""
    against = log_odds_of(np.array([thresholds(one)[0] for one in column]))
    counts = np.array([one.score is not None for one in column])
    odds = log_odds_of(np.array([one.score if one.score is not None else 0.5 for one in column]))
    relative = 1 / (1 + np.exp(-(odds - against)))
    votes = np.array([one.verdict is not None for one in column])
    columns = (relative[:, None], counts[:, None], votes[:, None], np.zeros_like(votes)[:, None])
    return Scores((FUSED,), models, *columns, np.array([0.5]), fake)


def log_odds_of(probability: Floats) -> Floats:
    """ln(p / (1 - p)) of an array, finite; as `fusion.base.log_odds`."""
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _listed(numbers: set[float]) -> str:
    return ", ".join(f"{number:.4g}" for number in sorted(numbers)[:4])
