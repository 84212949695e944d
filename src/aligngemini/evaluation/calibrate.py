"""Setting thresholds on a user's own images, so that the fused verdict holds a promise.

The `fake` thresholds of all branches are moved together, by one shift in log-odds: then whether
the rule calls a photo fake depends on one number, its fused margin, and the shift is the order
statistic that `guarantee.guaranteed_threshold` gives. Where fakes are given too, some more ways to
share the false alarms out between the branches are tried, and the one that finds most fakes is
taken; each way is a family of settings in the sense of Learn then Test (Angelopoulos et al., 2021,
arXiv 2110.01052), and the confidence is shared out between them (Bonferroni).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit  # type: ignore[import-untyped]  # comes with scikit-learn

from aligngemini.calibration import (
    VERSION,
    BranchCalibration,
    CalibrationError,
    CalibrationFile,
    GroupCalibration,
    moved,
)
from aligngemini.calibration.drift import ScoreHistogram
from aligngemini.evaluation.calibration_scores import FUSED, Flags, Scores, collect, log_odds_of
from aligngemini.evaluation.guarantee import (
    TooFewPhotosError,
    allowed_alarms,
    guaranteed_threshold,
    photos_needed,
    upper_bound,
)
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evaluation.probabilities import FEWEST, SCALINGS, compare
from aligngemini.fusion.base import Rule
from aligngemini.fusion.fitted import FittedRule
from aligngemini.fusion.rules import Or, Weighted

BINS = 20
FAVOURED = (1.0, 3.0)
"""Log-odds by which all branches but one are made stricter, in the ways beside the even one."""
NUDGES = (1e-9, 1e-6, 1e-4, 1e-2)
"""Log-odds to go beyond the last photo: more where scores saturate and digits run out."""
LOWEST_SHIFT = -30.0
"""Log-odds; no score lies lower."""

Groups = Mapping[str, npt.NDArray[np.str_]]


@dataclass(frozen=True)
class Promise:
    """What is asked for: no more than `rate` false alarms, with `confidence`; both in (0, 1)."""

    rate: float
    confidence: float

    def shared(self, ways: int) -> "Promise":
        """What each of several must hold, so that all hold together."""
        return Promise(self.rate, 1 - (1 - self.confidence) / ways)


def calibrate(
    images: Sequence[Labelled],
    rule: Rule,
    promise: Promise,
    *,
    groups: Groups | None = None,
    scaling: str | None = None,
) -> CalibrationFile:
    """Find the thresholds and say what they do.

    Args:
        images: Judged images with their labels; fakes may be missing. Those without a verdict are
            not counted: the promise is about photos that are judged.
        rule: Whose verdict the promise is about.
        promise: False alarms allowed, and how sure that must be.
        groups: By column, the group of each of `images`. The promise then holds in each group that
            has photos enough for it, and in all of those together.
        scaling: Name of one of `probabilities.SCALINGS`, to make probabilities of the branches'
            scores; needs fakes, and a rule that asks for verdicts alone.

    Returns:
        The file, its `made` and `fitted_on` empty.

    Raises:
        TooFewPhotosError: There are too few photos.
        CalibrationError: No thresholds can be set, see `collect`; or photos score as high as
            scores go.
        FusionError: See `collect`.
    """
    if scaling and rule.name not in ("or", "vote"):
        raise CalibrationError(
            f"scores cannot be scaled under {rule.name}, which reckons with them: leave the "
            "scaling out, or take the rule or"
        )
    scores = collect(images, rule)
    judged = np.array([image.verdict.verdict is not None for image in images])
    found = {column: values[judged] for column, values in (groups or {}).items()}
    file = calibrate_scores(scores, rule, promise, groups=found)
    if scores.names == (FUSED,):
        # A fitted rule reads scores, not the branches' own verdicts: their thresholds stay.
        scores = collect(images, Or())
        branches = _branches(scores, (0.0, {}), promise)
        file = replace(file, models=dict(scores.models), branches=branches)
    scaled, reference = {}, {}
    for k, name in enumerate(scores.names):
        scaled[name] = _scaled(file.branches[name], scores, k, scaling)
        reference[name] = _reference(scaled[name], scores, k)
    return replace(file, branches=scaled, reference=reference)


def calibrate_scores(
    scores: Scores,
    rule: Rule,
    promise: Promise,
    *,
    groups: Groups | None = None,
) -> CalibrationFile:
    """The thresholds for scores that are arrays already; see `calibrate`."""
    photos, fakes = scores.of(~scores.fake), scores.of(scores.fake)
    members = _members(groups or {}, scores.fake)
    shift, offsets = _best_way(photos, fakes, rule, promise, members)
    alarms = photos.alarms(rule, shift, offsets)
    found = fakes.alarms(rule, shift, offsets)
    fused = scores.names == (FUSED,)
    return CalibrationFile(
        version=VERSION,
        made="",
        fitted_on="",
        fusion=rule.model if isinstance(rule, FittedRule) else rule.name,
        models={} if fused else dict(scores.models),
        max_false_alarms=promise.rate,
        confidence=promise.confidence,
        photos=len(photos.fake),
        alarms=int(alarms.sum()),
        fakes=len(fakes.fake),
        recall=float(found.mean()) if len(found) else None,
        shift=shift,
        offsets=dict(offsets),
        branches={} if fused else _branches(scores, (shift, offsets), promise),
        groups=tuple(
            _group(column, value, alarms[inside], promise)
            for (column, value), inside in members.items()
        ),
    )


def _best_way(
    photos: Scores,
    fakes: Scores,
    rule: Rule,
    promise: Promise,
    members: Mapping[tuple[str, str], Flags],
) -> tuple[float, Mapping[str, float]]:
    """The shift and the offsets that keep the promise and find most fakes."""
    ways = _ways(photos.names, rule) if len(fakes.fake) else [{}]
    if len(photos.fake) < photos_needed(promise.rate, promise.shared(len(ways)).confidence):
        ways = [{}]  # enough photos for one way at most
    each = promise.shared(len(ways))
    allowed_alarms(len(photos.fake), each.rate, each.confidence)  # or there are too few photos
    best: tuple[float, float, Mapping[str, float]] | None = None
    for offsets in ways:
        shift = _shift(photos, rule, offsets, each, members)
        recall = float(fakes.alarms(rule, shift, offsets).mean()) if len(fakes.fake) else 0.0
        if best is None or recall > best[0]:
            best = recall, shift, offsets
    assert best is not None  # noqa: S101 - there is always the even way
    return best[1], best[2]


def _ways(names: Sequence[str], rule: Rule) -> list[dict[str, float]]:
    """Offsets to try: none, and each branch in turn favoured over the others."""
    if len(names) < 2 or isinstance(rule, Weighted):
        return [{}]
    return [
        {},
        *(
            {other: strictness for other in names if other != name}
            for name in names
            for strictness in FAVOURED
        ),
    ]


def _shift(
    photos: Scores,
    rule: Rule,
    offsets: Mapping[str, float],
    promise: Promise,
    members: Mapping[tuple[str, str], Flags],
) -> float:
    """The smallest shift that keeps the promise among all photos and in every group."""
    margins = photos.fused_margins(rule, offsets)
    limit = guaranteed_threshold(margins, promise.rate, promise.confidence)
    in_groups = promise.shared(max(1, len(members)))
    held: dict[tuple[str, str] | None, int] = {
        None: allowed_alarms(len(margins), promise.rate, promise.confidence)
    }
    for group, inside in members.items():
        try:
            least = guaranteed_threshold(margins[inside], promise.rate, in_groups.confidence)
        except TooFewPhotosError:
            continue  # said in the file: its promise does not hold by itself
        held[group] = allowed_alarms(int(inside.sum()), promise.rate, in_groups.confidence)
        limit = max(limit, least)
    # No score lies above minus infinity: then the thresholds may fall to their lowest.
    limit = max(limit, LOWEST_SHIFT)
    for nudge in NUDGES if np.isfinite(limit) else ():
        shift = limit + nudge
        if photos.names == (FUSED,):
            shift = max(0.0, shift)
        alarms = photos.alarms(rule, shift, offsets)
        if all(
            (alarms if group is None else alarms[members[group]]).sum() <= count
            for group, count in held.items()
        ):
            return shift
    raise CalibrationError(
        "too many photos are called fake whatever the thresholds (they score as high as scores go, "
        "or a branch states it without a score): these models cannot hold that promise on them"
    )


def _branches(
    scores: Scores, moved_by: tuple[float, Mapping[str, float]], promise: Promise
) -> dict[str, BranchCalibration]:
    """What the thresholds do to each branch by itself."""
    shift, offsets = moved_by
    found = {}
    for k, name in enumerate(scores.names):
        threshold = float(scores.moved(shift, offsets)[k])
        reached = scores.counts[:, k] & (scores.scores[:, k] >= threshold)
        scored = scores.counts[:, k] & ~scores.fake
        of_fakes = reached[scores.counts[:, k] & scores.fake]
        counts, _ = np.histogram(scores.scores[scored, k], BINS, (0.0, 1.0))
        found[name] = BranchCalibration(
            threshold=threshold,
            alone=_alone(scores, k, promise),
            photos=int((scores.votes[:, k] & ~scores.fake).sum()),
            alarms=int((reached & ~scores.fake).sum()),
            recall=float(of_fakes.mean()) if len(of_fakes) else None,
            histogram=tuple(int(count) for count in counts),
        )
    return found


def _scaled(
    branch: BranchCalibration, scores: Scores, k: int, scaling: str | None
) -> BranchCalibration:
    """With what its scores are worth with and without scaling, and the curve asked for."""
    counted = scores.counts[:, k]
    fake = scores.fake[counted]
    if min(int(fake.sum()), int((~fake).sum())) < FEWEST:
        if scaling:
            raise CalibrationError(
                f"scaling the scores of {scores.names[k]} needs {FEWEST} photos and {FEWEST} fakes"
            )
        return branch
    odds = log_odds_of(scores.scores[counted, k])
    curve = SCALINGS[scaling](odds, fake) if scaling else None
    return replace(branch, quality=compare(odds, fake), scaling=scaling, curve=curve)


def _reference(branch: BranchCalibration, scores: Scores, k: int) -> dict[str, int]:
    """The photos' scores as detection gives them under the calibration, to compare later ones."""
    odds = log_odds_of(scores.scores[scores.counts[:, k] & ~scores.fake, k])
    return ScoreHistogram.of(expit(branch.curve.of_odds(odds) if branch.curve else odds)).to_dict()


def _alone(scores: Scores, k: int, promise: Promise) -> float | None:
    """The threshold that keeps the promise for one branch by itself, or None."""
    photos = scores.votes[:, k] & ~scores.fake
    margins = scores.margins({})[photos, k]
    try:
        limit = guaranteed_threshold(margins, promise.rate, promise.confidence)
    except TooFewPhotosError:
        return None
    if limit == np.inf:
        return None
    return moved(float(scores.thresholds[k]), max(limit, LOWEST_SHIFT) + NUDGES[1])


def _members(groups: Groups, fake: Flags) -> dict[tuple[str, str], Flags]:
    """Which of the photos belong to each group."""
    found = {}
    for column, values in groups.items():
        of_photos = values[~fake]
        for value in np.unique(of_photos):
            found[column, str(value)] = of_photos == value
    return found


def _group(column: str, value: str, alarms: Flags, promise: Promise) -> GroupCalibration:
    bound = upper_bound(int(alarms.sum()), len(alarms), promise.confidence)
    return GroupCalibration(
        column, value, len(alarms), int(alarms.sum()), bound, bound <= promise.rate
    )
