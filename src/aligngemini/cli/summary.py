"""What there is to say once all is done."""

from collections import Counter

from aligngemini.report import words
from aligngemini.verdict import Verdict


class Summary:
    """Counts verdicts and remembers what every record would repeat.

    Attributes:
        counts: Inputs by kind.
        thresholds: (real, fake) thresholds by branch.
        false_alarm_rates: Share of held-out photos that reach the threshold, by branch; None where
            nobody measured it.
        skipped: Reason by branch that was not run.
    """

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.counts: Counter[words.Kind] = Counter()
        self.thresholds: dict[str, tuple[float, float]] = {}
        self.false_alarm_rates: dict[str, float | None] = {}
        self.skipped: dict[str, str] = {}

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.counts[words.kind_of(verdict)] += 1
        for name, evidence in verdict.branches.items():
            if evidence.skipped is not None:
                self.skipped[name] = evidence.skipped
            if evidence.threshold is not None and evidence.threshold_real is not None:
                self.thresholds[name] = (evidence.threshold_real, evidence.threshold)
                self.false_alarm_rates[name] = evidence.false_alarm_rate

    @property
    def total(self) -> int:
        """Inputs so far."""
        return self.counts.total()

    def headline(self) -> str:
        """The counts in one line."""
        inputs = "1 input" if self.total == 1 else f"{self.total} inputs"
        parts = [f"{self.counts[kind]} {words.KIND_WORDS[kind]}" for kind in words.KINDS]
        shown = [part for kind, part in zip(words.KINDS, parts, strict=True) if self.counts[kind]]
        return f"{inputs}: {', '.join(shown)}." if shown else f"{inputs}."

    def remarks(self, not_images: int) -> list[str]:
        """What a reader must know beside the counts, one sentence or two a line.

        Args:
            not_images: Files in folders that were left out because they are no images.
        """
        lines = []
        if self.counts["undecided"]:
            lines.append(self._undecided())
        lines += [_threshold_words(name, rate) for name, rate in self.false_alarm_rates.items()]
        if self.counts["real"]:
            lines.append("No sign found is no proof: nobody can prove a photo real.")
        for name, reason in self.skipped.items():
            lines.append(f"The {name} branch was not run: {reason}.")
        if not_images:
            files = "1 file was" if not_images == 1 else f"{not_images} files were"
            lines.append(f"{files} left out of the folders: not images.")
        return lines

    def _undecided(self) -> str:
        text = "Undecided: photos and AI images both score like this, and it counts for neither"
        scales = (
            f"{name} score from {words.number(low, high)} up to {words.number(high, low)}"
            for name, (low, high) in self.thresholds.items()
        )
        between = ", ".join(scales)
        return f"{text} ({between})." if between else f"{text}."


def _threshold_words(branch: str, rate: float | None) -> str:
    if rate is None:
        return f"Nobody measured yet how many photos reach the {branch} threshold."
    return f"The {branch} threshold was set where {words.share(rate)} of held-out photos reach it."
