"""How the branches' evidence becomes one verdict."""

import math
from collections.abc import Mapping

from aligngemini.verdict import Evidence, Label


def fuse_or(branches: Mapping[str, Evidence]) -> tuple[Label | None, float | None]:
    """Logical OR (AlignGemini, section 3): fake as soon as one branch says fake.

    `undecided` wins over `real`, because a branch that saw nothing does not answer the doubt of
    another one.

    Args:
        branches: Evidence by branch name; branches without a verdict do not vote.

    Returns:
        The verdict (None when no branch has one), and of those that voted the score that goes
        furthest beyond its own threshold, or comes closest to it (None when none of them scores).
        Not the highest: 0.9 says less of an expert whose threshold is 0.98 than 0.6 of one whose
        threshold is 0.5.
    """
    voters = [evidence for evidence in branches.values() if evidence.verdict is not None]
    scorers = [evidence for evidence in voters if evidence.score is not None]
    score = max(scorers, key=_beyond_threshold).score if scorers else None
    for label in ("fake", "undecided", "real"):
        if any(evidence.verdict == label for evidence in voters):
            return label, score
    return None, score


def _beyond_threshold(evidence: Evidence) -> float:
    """How far a score lies above its threshold, in logits."""
    threshold = 0.5 if evidence.threshold is None else evidence.threshold
    return _logit(evidence.score or 0.0) - _logit(threshold)


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(clipped / (1 - clipped))


FUSIONS = {"or": fuse_or}
