"""Which branches need not run because the verdict is settled without them."""

from collections.abc import Mapping, Sequence
from itertools import product

from aligngemini.evidence import NOT_NEEDED, Evidence, Label
from aligngemini.fusion.base import Rule, join

# All there is to fear from a branch that did not run yet: the two ends of the scale, and nothing.
# Rules are monotone in a branch's score and label, so where both ends give one verdict, all between
# them does. The thresholds are not known before it ran, and therefore the most extreme ones.
EXTREMES = (
    Evidence(verdict="fake", score=1.0, threshold=0.0, threshold_real=0.0),
    Evidence(verdict="real", score=0.0, threshold=1.0, threshold_real=1.0),
    Evidence(),
)


def settled(rule: Rule, known: Mapping[str, Evidence], pending: Sequence[str]) -> Label | None:
    """The verdict, if it is the same whatever the pending branches will say; else None.

    Args:
        rule: Joins the branches.
        known: Evidence of the branches that ran.
        pending: Names of those that did not; one that gives no answer is reckoned with too.
    """
    labels = set()
    for answers in product(EXTREMES, repeat=len(pending)):
        labels.add(join(rule, {**known, **dict(zip(pending, answers, strict=True))})[0])
        if len(labels) > 1:
            return None
    return labels.pop()


def not_needed(rule: Rule, known: Mapping[str, Evidence], pending: Sequence[str]) -> str | None:
    """Why the pending branches need not run, in words, or None if one of them must."""
    label = settled(rule, known, pending)
    if label is None:
        return None
    said = [name for name, evidence in known.items() if evidence.verdict == label]
    verb = "says" if len(said) < 2 else "say"
    return f"{NOT_NEEDED}: {', '.join(said) or rule.name} {verb} {label}"
