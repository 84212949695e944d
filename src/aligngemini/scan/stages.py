"""One detector in several processes: each stage runs some branches, and the last one fuses.

Whatever the number of stages, `Detector` joins the evidence and `ScanJudge` writes the record, so
that they are those of one process that runs every branch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aligngemini.detector import ORDER, Detector
from aligngemini.evidence import Evidence, Problem, branch_kind
from aligngemini.isolation_worker import ask
from aligngemini.scan.judge import Answer, Identity, ScanJudge, identity_of
from aligngemini.scan.pools import Pool, part_of

if TYPE_CHECKING:
    from aligngemini.branches.base import Branch
    from aligngemini.calibration import CalibrationFile
    from aligngemini.fusion import Rule
    from aligngemini.images.item import Image
    from aligngemini.runner import DetectorOptions
    from aligngemini.scan.items import ScanItem

CHANGED = Problem("unreadable", "it changed while it was judged: scan again")


@dataclass(frozen=True)
class Facts:
    """What a detector must know of a branch that is loaded elsewhere.

    Attributes:
        name: Of the branch.
        fingerprint: Likewise.
        model: `name@fingerprint`.
    """

    name: str
    fingerprint: str
    model: str


@dataclass(frozen=True)
class Part:
    """What a pool has loaded.

    Attributes:
        branches: Those it runs.
        skipped: Kinds of branches it does not run, with the reason a record gives.
    """

    branches: tuple[Facts, ...]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class Joining:
    """How the evidence of all pools becomes one verdict.

    Attributes:
        options: The whole detector's.
        rule: What `options.fusion` names, opened.
        calibration: What `options.calibration` names, read.
    """

    options: DetectorOptions
    rule: Rule
    calibration: CalibrationFile | None = None

    def detector(self, branches: Iterable[Branch], skipped: Mapping[str, str]) -> Detector:
        """The detector of these branches.

        Args:
            branches: All there are, in any order but experts among themselves.
            skipped: See `Detector`; kinds of which there is a branch are passed over.

        Raises:
            FusionError: (a ValueError) The rule was fitted on other models.
            CalibrationError: (a ValueError) The calibration was made with another detector.
        """
        # As `Detector.load` has them: sums and ties depend on it.
        branches = sorted(branches, key=lambda branch: ORDER.index(branch_kind(branch.name)))
        there = {branch_kind(branch.name) for branch in branches}
        return Detector(
            branches,
            fusion=self.rule,
            cascade=self.options.cascade,
            skipped={kind: reason for kind, reason in skipped.items() if kind not in there},
            calibration=self.calibration,
        )

    def identity(self, parts: Sequence[Part]) -> Identity:
        """Which detector the pools are together.

        Raises:
            ValueError: As `detector`.
        """
        branches = [GivenBranch(facts) for part in parts for facts in part.branches]
        return identity_of(self.detector(branches, parts[-1].skipped), self.options)


@dataclass(frozen=True)
class Work:
    """One input on its way through the stages.

    Attributes:
        item: The input.
        sha256: Of its bytes, once a stage has read them.
        evidence: What the stages so far found, by branch.
        seconds: Time by stage of `Answer.seconds`, over all pools.
        answer: The end of it.
    """

    item: ScanItem
    sha256: str | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    answer: Answer | None = None

    def failed(self, problem: Problem) -> Work:
        """The same input, given up."""
        return self.answered(Answer(self.item.address, self.item.stamp, problem=problem))

    def spent(self, answer: Answer) -> dict[str, float]:
        """Time by stage, with that of a pool's answer."""
        spent = Counter(self.seconds)
        spent.update(answer.seconds)
        return dict(spent)

    def answered(self, answer: Answer) -> Work:
        """The same input with its answer, and without what led there."""
        answer = replace(answer, seconds=self.spent(answer))
        return Work(replace(self.item, read=None), answer=answer)


@dataclass(frozen=True)
class Stage:
    """What the workers of one pool do; called in each of them, it loads the pool's branches.

    Attributes:
        joining: How verdicts are made.
        pool: Which branches are run here.
        given: Branches that earlier stages ran.
        fingerprint: Of the whole detector; None before the last stage, which makes the records.
        threads: CPU threads a forward pass may use.
    """

    joining: Joining
    pool: Pool
    given: tuple[Facts, ...] = ()
    fingerprint: str | None = None
    threads: int = 1

    def __call__(self) -> FirstStages | LastStage:
        """Load.

        Raises:
            ModelError: As `Detector.load`.
            ValueError: As `Detector.load`; or the models are not those that the scan began with.
        """
        branches, skipped = load_part(self.joining.options, self.pool, self.threads)
        if self.fingerprint is None:
            return FirstStages(branches, self.joining)
        given = [GivenBranch(facts) for facts in self.given]
        detector = self.joining.detector([*given, *branches], skipped)
        judge = ScanJudge(
            self.joining.options, known=ask, fingerprint=self.fingerprint, detector=detector
        )
        return LastStage(judge, given)


def load_part(
    options: DetectorOptions, pool: Pool, threads: int
) -> tuple[list[Branch], dict[str, str]]:
    """The branches of a pool, and why there are no others.

    Raises:
        ModelError: As `Detector.load`.
    """
    loaded = part_of(options, pool).load(threads)
    branches = [one for one in loaded.branches if branch_kind(one.name) in pool.kinds]
    return branches, loaded.skipped


def describe_part(options: DetectorOptions, pool: Pool) -> Part:
    """What a pool will load, found out by loading it once.

    Raises:
        ModelError: As `Detector.load`.
    """
    branches, skipped = load_part(options, pool, threads=1)
    return Part(tuple(map(_facts, branches)), skipped)


class FirstStages:
    """Adds the evidence of some branches to a `Work`."""

    def __init__(self, branches: Sequence[Branch], joining: Joining) -> None:
        self._kept = [_KeptBranch(branch) for branch in branches]
        detector = Detector(self._kept)
        detector.fusion = joining.rule.name  # what a record says that already ends here
        self._judge = ScanJudge(joining.options, known=ask, detector=detector)

    def __call__(self, work: Work) -> Work:
        """The same input with more evidence, or with its answer if it cannot be judged."""
        if work.answer is not None:
            return work
        for branch in self._kept:
            branch.evidence = None
        answer = self._judge(work.item)
        found = {branch.name: branch.evidence for branch in self._kept}
        evidence = {name: one for name, one in found.items() if one is not None}
        if len(evidence) < len(found) or answer.record is None:
            return work.answered(answer)
        if work.sha256 not in (None, answer.sha256):
            return work.failed(CHANGED)
        return replace(
            work,
            sha256=answer.sha256,
            evidence={**work.evidence, **evidence},
            seconds=work.spent(answer),
        )


class LastStage:
    """Judges a `Work` with the branches that are left, and fuses."""

    def __init__(self, judge: ScanJudge, given: Sequence[GivenBranch]) -> None:
        self._judge = judge
        self._given = given

    def __call__(self, work: Work) -> Work:
        """The same input with its answer."""
        if work.answer is not None:
            return work
        for branch in self._given:
            branch.evidence = work.evidence[branch.name]
        answer = self._judge(work.item)
        if work.sha256 not in (None, answer.sha256):
            return work.failed(answer.problem or CHANGED)
        return work.answered(answer)


class GivenBranch:
    """Stands in a detector for a branch that an earlier stage ran."""

    def __init__(self, facts: Facts) -> None:
        self.name = facts.name
        self.fingerprint = facts.fingerprint
        self.model = facts.model
        self.evidence: Evidence | None = None

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """What that stage found of the image at hand."""
        if self.evidence is None:
            raise RuntimeError(f"no evidence of the branch {self.name} is at hand")
        return [self.evidence for _ in images]


class _KeptBranch:
    """A branch whose latest evidence is kept."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.name = branch.name
        self.evidence: Evidence | None = None

    @property
    def fingerprint(self) -> str:
        return self.branch.fingerprint

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        found = self.branch.judge(images, heatmaps=heatmaps)
        self.evidence = found[-1] if found else None
        return found


def _facts(branch: Branch) -> Facts:
    model = getattr(branch, "model", f"{branch.name}@{branch.fingerprint}")
    return Facts(branch.name, branch.fingerprint, model)
