"""What there is to say once all is done."""

from collections import Counter

from aligngemini.evidence import MILD_CHANGES, NOT_NEEDED
from aligngemini.report import words
from aligngemini.verdict import Guarantee, Verdict


class Summary:
    """Counts verdicts and remembers what every record would repeat.

    Attributes:
        counts: Inputs by kind.
        thresholds: (real, fake) thresholds by branch.
        false_alarms: Share of held-out photos that reach the threshold and its upper bound, by
            branch; None where nobody measured it.
        skipped: Reason by branch that was not run.
        not_needed: Inputs by branch that a cascade left out of them.
        edited: Inputs with signs of nothing but a change in a part.
        tried: Inputs judged again under mild changes.
        out_of_scope: Inputs that are undecided because they are no photo and nothing like it.
        turned: Those of them whose verdict one of the changes turned.
        guarantee: What the calibration promises, if there is one.
    """

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self.counts: Counter[words.Kind] = Counter()
        self.thresholds: dict[str, tuple[float, float]] = {}
        self.false_alarms: dict[str, tuple[float | None, float | None]] = {}
        self.skipped: dict[str, str] = {}
        self.not_needed: Counter[str] = Counter()
        self.edited = 0
        self.tried = 0
        self.turned = 0
        self.out_of_scope = 0
        self.guarantee: Guarantee | None = None

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.counts[words.kind_of(verdict)] += 1
        self.guarantee = verdict.guarantee or self.guarantee
        self.edited += words.edited(verdict)
        if verdict.verdict == "undecided" and verdict.scope is not None:
            self.out_of_scope += bool(verdict.scope.reasons)
        self.tried += verdict.stability is not None
        self.turned += verdict.stability is not None and verdict.stability.flips > 0
        for name, evidence in verdict.branches.items():
            if (evidence.skipped or "").startswith(NOT_NEEDED):
                self.not_needed[name] += 1
            elif evidence.skipped is not None:
                self.skipped[name] = evidence.skipped
        # The scores that verdicts are read from: the rule's own, or else the branches'.
        scores = verdict.branches if verdict.fused is None else {verdict.fusion: verdict.fused}
        for name, evidence in scores.items():
            if evidence.threshold is not None and evidence.threshold_real is not None:
                self.thresholds[name] = (evidence.threshold_real, evidence.threshold)
                self.false_alarms[name] = evidence.false_alarm_rate, evidence.false_alarm_bound

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
        if self.edited:
            lines.append(
                f"Of those with signs, {self.edited} showed {words.EDITED_WORDS}, and no more."
            )
        if self.counts["undecided"] > self.out_of_scope:
            lines.append(self._undecided())
        if self.out_of_scope:
            lines.append(
                f"Out of scope: {self.out_of_scope}; drawings, charts, screenshots, pages of text, "
                "on which scores do not count."
            )
        if self.guarantee is not None:
            lines.append(f"Promised: {words.guarantee_words(self.guarantee)}.")
        else:
            lines += [_threshold_words(name, *shares) for name, shares in self.false_alarms.items()]
        if self.counts["real"]:
            lines.append("No sign found is no proof: nobody can prove a photo real.")
        for name, reason in self.skipped.items():
            lines.append(f"The {name} branch was not run: {reason}{_remedy(name)}.")
        for name, count in self.not_needed.items():
            lines.append(f"The {name} branch was not needed for {count} of {self.total} inputs.")
        if self.tried:
            lines.append(
                f"Mild changes tried: {', '.join(MILD_CHANGES)}. Verdicts that one of them turns: "
                f"{self.turned} of {self.tried}."
            )
        if not_images:
            files = "1 file was" if not_images == 1 else f"{not_images} files were"
            lines.append(f"{files} left out of the folders: not images.")
        return lines

    def _undecided(self) -> str:
        text = "Undecided: photos and AI images both score like this, and it counts for neither"
        scales = (
            f"{name} score from {words.number(low, high)} up to {words.number(high, low)}"
            for name, (low, high) in self.thresholds.items()
            if low < high
        )
        between = ", ".join(scales)
        return f"{text} ({between})." if between else f"{text}."


def _remedy(branch: str) -> str:
    """How to have a branch run that was not."""
    return "; --semantic MODEL adds one" if branch == "semantic" else ""


def _threshold_words(branch: str, rate: float | None, bound: float | None) -> str:
    if rate is None:
        return f"Nobody measured yet how many photos reach the {branch} threshold."
    if bound is not None:
        return (
            f"Of held-out photos {words.share(rate)} reach the {branch} threshold; with 95 % "
            f"confidence no more than {words.share(bound)} of such photos do."
        )
    return f"The {branch} threshold was set where {words.share(rate)} of held-out photos reach it."
