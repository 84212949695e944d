"""How the branches' evidence becomes one verdict."""

from collections.abc import Mapping

from aligngemini.verdict import Evidence, Label


def fuse_or(branches: Mapping[str, Evidence]) -> tuple[Label | None, float | None]:
    """Logical OR (AlignGemini, section 3): fake as soon as one branch says fake.

    `undecided` wins over `real`, because a branch that saw nothing does not answer the doubt of
    another one.

    Args:
        branches: Evidence by branch name; branches without a verdict do not vote.

    Returns:
        The verdict (None when no branch has one) and the highest score of those that voted (None
        when none of them scores).
    """
    voters = [evidence for evidence in branches.values() if evidence.verdict is not None]
    scores = [evidence.score for evidence in voters if evidence.score is not None]
    score = max(scores, default=None)
    for label in ("fake", "undecided", "real"):
        if any(evidence.verdict == label for evidence in voters):
            return label, score
    return None, score


FUSIONS = {"or": fuse_or}
