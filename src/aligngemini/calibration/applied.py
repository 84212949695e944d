"""A calibration at work: branches and rules read against its thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aligngemini.branches.base import Branch
from aligngemini.calibration.file import CalibrationFile, moved
from aligngemini.evidence import Evidence, label_for
from aligngemini.fusion.base import Rule, thresholds
from aligngemini.images.item import Image


class CalibratedBranch:
    """A branch read against the thresholds of a calibration.

    `threshold_real` stays, unless `threshold` fell below it. Scores stay too, unless the
    calibration has a curve for them, which thresholds then follow: no verdict changes.
    """

    def __init__(self, branch: Branch, calibration: CalibrationFile) -> None:
        self.branch = branch
        self.calibration = calibration
        self.name = branch.name

    @property
    def fingerprint(self) -> str:
        """The branch's own: its numbers are."""
        return self.branch.fingerprint

    @property
    def model(self) -> str:
        """The branch's own, `name@fingerprint`."""
        return str(getattr(self.branch, "model", f"@{self.fingerprint}"))

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """See `Branch.judge`."""
        return [self.read(one) for one in self.branch.judge(images, heatmaps=heatmaps)]

    def read(self, evidence: Evidence) -> Evidence:
        """The same evidence under the calibration's thresholds."""
        if evidence.score is None or evidence.verdict is None:
            return evidence
        fake, real = thresholds(evidence)
        fake = self.calibration.threshold(self.name, fake)
        real = min(real, fake)
        known = self.calibration.branches[self.name]
        # A remark stands for a reason the score cannot overrule.
        label = evidence.verdict if evidence.remark else label_for(evidence.score, fake, real)
        curve = known.curve or (lambda score: score)
        return replace(
            evidence,
            verdict=label,
            score=curve(evidence.score),
            threshold=curve(fake),
            threshold_real=curve(real),
            false_alarm_rate=known.alarms / known.photos if known.photos else None,
            false_alarm_bound=None,
        )


class CalibratedRule:
    """A rule with thresholds of its own (a fusion file's), moved by a calibration."""

    def __init__(self, rule: Rule, calibration: CalibrationFile) -> None:
        self.rule = rule
        self.calibration = calibration
        self.name = rule.name

    def check(self, models: Mapping[str, str]) -> None:
        """See `Rule.check`."""
        self.rule.check(models)

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """See `Rule.fuse`."""
        fused = self.rule.fuse(branches)
        if fused.score is None or fused.threshold is None:
            return fused
        fake = moved(fused.threshold, self.calibration.shift)
        real = min(thresholds(fused)[1], fake)
        return replace(
            fused,
            verdict=label_for(fused.score, fake, real),
            threshold=fake,
            threshold_real=real,
            false_alarm_rate=self.calibration.alarms / self.calibration.photos,
            false_alarm_bound=None,
        )
