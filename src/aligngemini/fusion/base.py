"""What every fusion rule promises, and what holds under each of them."""

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from aligngemini.evidence import Evidence, Label, branch_kind

STRONGEST_FIRST: tuple[Label, ...] = ("fake", "undecided", "real")


class FusionError(ValueError):
    """A rule that is not there or does not fit the models; the message says what to do."""


class Rule(Protocol):
    """Joins the branches that look at the picture.

    Raising the score or the label of a branch must never lower the fused label: the cascade
    counts on it.

    Attributes:
        name: The record's `fusion`.
    """

    name: str

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """The joint answer.

        Args:
            branches: Evidence by name, without provenance; some may have no verdict or no score.

        Returns:
            `verdict`, None when no branch has one, and `score` in [0, 1] or None. A rule whose
            score is no branch's own also fills `threshold` and `threshold_real`, and `remark` where
            it could not judge.
        """
        ...

    def check(self, models: Mapping[str, str]) -> None:
        """Make sure that the rule fits the models it will join.

        Args:
            models: Fingerprint of each branch that scores, by the branch's name.

        Raises:
            FusionError: It does not.
        """
        ...


def join(rule: Rule, branches: Mapping[str, Evidence]) -> tuple[Label | None, Evidence]:
    """The verdict on one image, and what the rule itself says of it.

    The provenance branch stands outside every rule, for its verdicts rest on signatures and not on
    scores: whatever the scores, a trusted signature that says AI makes the verdict `fake`, and a
    signed statement that leaves doubt keeps it from being `real`.
    """
    stated = {name for name in branches if branch_kind(name) == "provenance"}
    fused = rule.fuse({name: branches[name] for name in branches if name not in stated})
    return strongest([fused.verdict, *(branches[name].verdict for name in stated)]), fused


def strongest(labels: Iterable[Label | None]) -> Label | None:
    """`fake` before `undecided` before `real`; None when nobody has a label."""
    labels = set(labels)
    return next((label for label in STRONGEST_FIRST if label in labels), None)


def abstained(branches: Mapping[str, Evidence], why: str) -> Evidence:
    """What a rule over scores says when it has none: doubt, if there was a verdict at all."""
    if all(evidence.verdict is None for evidence in branches.values()):
        return Evidence()
    return Evidence(verdict="undecided", remark=why)


def counted_score(evidence: Evidence) -> float | None:
    """The score that a rule over scores may use.

    None without a verdict, and of an image on which the branch's score means nothing: its verdict
    is then not the score's, and a remark says why.
    """
    if evidence.verdict is None or evidence.remark is not None:
        return None
    return evidence.score


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), finite."""
    clipped = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(clipped / (1 - clipped))


def from_log_odds(value: float) -> float:
    """The probability of log-odds, above 0 and below 1."""
    return 1 / (1 + math.exp(-min(max(value, -30.0), 30.0)))


def thresholds(evidence: Evidence) -> tuple[float, float]:
    """(fake, real) thresholds of a branch; a half where it names none."""
    fake = 0.5 if evidence.threshold is None else evidence.threshold
    return fake, fake if evidence.threshold_real is None else evidence.threshold_real
