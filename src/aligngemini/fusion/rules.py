"""The rules that need no fitting: `or`, `vote` and `weighted`."""

from collections.abc import Mapping

from aligngemini.evidence import Evidence, Label, branch_kind, label_for
from aligngemini.fusion.base import (
    abstained,
    counted_score,
    from_log_odds,
    log_odds,
    strongest,
    thresholds,
)


class Unfitted:
    """A rule that joins any models."""

    def check(self, models: Mapping[str, str]) -> None:
        """Nothing to check."""


class Or(Unfitted):
    """See `fuse_or`."""

    name = "or"

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """See `Rule.fuse`."""
        verdict, score = fuse_or(branches)
        return Evidence(verdict=verdict, score=score)


class Vote(Unfitted):
    """What more than half of the branches that have a verdict say, else `undecided`.

    An `undecided` branch counts for neither side, and still as one of those that vote: one `fake`
    beside one `undecided` is no majority. With two branches both must agree.

    The score is that of the branch the majority hangs on: ordered by how far they go beyond their
    own thresholds, the one that makes it more than half. Of one branch it is the branch's own, of
    two the lower.
    """

    name = "vote"

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """See `Rule.fuse`."""
        voters = [evidence for evidence in branches.values() if evidence.verdict is not None]
        if not voters:
            return Evidence()
        labels = [evidence.verdict for evidence in voters]
        sides: tuple[Label, ...] = ("fake", "real")
        winners = [label for label in sides if 2 * labels.count(label) > len(labels)]
        scorers = [evidence for evidence in voters if evidence.score is not None]
        scorers.sort(key=_beyond_threshold, reverse=True)
        return Evidence(
            verdict=winners[0] if winners else "undecided",
            score=scorers[len(scorers) // 2].score if scorers else None,
        )


class Weighted(Unfitted):
    """The weighted mean of the branches' log-odds, read against the same mean of their thresholds.

    Where all branches agree, theirs is the verdict; where they do not, the one that lies further
    from its threshold prevails. Branches that gave no score count for nothing, and the others'
    weights for more.
    """

    name = "weighted"

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """Set the weights.

        Args:
            weights: By kind of branch, 0 or more; kinds not named weigh 1. Several experts of one
                kind share its weight.

        Raises:
            ValueError: A weight is negative.
        """
        self.weights = dict(weights or {})
        if min(self.weights.values(), default=0.0) < 0:
            raise ValueError(f"a weight is negative: {self.weights}")

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """See `Rule.fuse`."""
        counted = {
            name: evidence
            for name, evidence in branches.items()
            if counted_score(evidence) is not None and self._of_kind(name) > 0
        }
        if not counted:
            return abstained(branches, "no branch gave a score to weigh")
        weights = self.shares(counted)
        score = _mean(weights, {name: one.score or 0.0 for name, one in counted.items()})
        fake = _mean(weights, {name: thresholds(one)[0] for name, one in counted.items()})
        real = _mean(weights, {name: thresholds(one)[1] for name, one in counted.items()})
        labels = {one.verdict for one in counted.values()}
        rates = [one.false_alarm_rate for one in counted.values()]
        return Evidence(
            # Not from the means where all agree: rounding may carry a score across its threshold.
            verdict=labels.pop() if len(labels) == 1 else label_for(score, fake, real),
            score=from_log_odds(score),
            threshold=from_log_odds(fake),
            threshold_real=from_log_odds(real),
            # Of one branch alone all this is the branch's; nobody measured what several make of it.
            false_alarm_rate=rates[0] if len(rates) == 1 else None,
        )

    def shares(self, names: Mapping[str, object]) -> dict[str, float]:
        """The weight of each of these branches, together 1."""
        kinds = [branch_kind(name) for name in names]
        raw = {name: self._of_kind(name) / kinds.count(branch_kind(name)) for name in names}
        total = sum(raw.values())
        return {name: weight / total for name, weight in raw.items()}

    def _of_kind(self, name: str) -> float:
        return self.weights.get(branch_kind(name), 1.0)


def fuse_or(branches: Mapping[str, Evidence]) -> tuple[Label | None, float | None]:
    """Logical OR (AlignGemini, section 3): fake as soon as one branch says fake.

    `undecided` wins over `real`, because a branch that saw nothing does not answer the doubt of
    another one.

    Args:
        branches: Evidence by branch name; branches without a verdict do not vote.

    Returns:
        The verdict (None when no branch has one), and the score of the branch it comes from; of
        several, that which goes furthest beyond its own threshold or comes closest to it (of those
        with another verdict, where none of these scores; None where nobody does). Not the highest:
        0.9 says less of an expert whose threshold is 0.98 than 0.6 of one whose threshold is 0.5.
    """
    voters = [evidence for evidence in branches.values() if evidence.verdict is not None]
    label = strongest(evidence.verdict for evidence in voters)
    scorers = [evidence for evidence in voters if evidence.score is not None]
    deciding = [evidence for evidence in scorers if evidence.verdict == label] or scorers
    return label, max(deciding, key=_beyond_threshold).score if deciding else None


def _beyond_threshold(evidence: Evidence) -> float:
    """How far a score lies above its threshold, in log-odds."""
    return log_odds(evidence.score or 0.0) - log_odds(thresholds(evidence)[0])


def _mean(weights: Mapping[str, float], probabilities: Mapping[str, float]) -> float:
    """Weighted mean, in log-odds."""
    return sum(weight * log_odds(probabilities[name]) for name, weight in weights.items())
