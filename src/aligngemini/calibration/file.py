"""The calibration file.

`aligngemini calibrate` writes the file (see `evaluation.calibrate`). It moves the `fake` thresholds
of all branches together, so that the *fused* verdict holds a false-alarm rate on photos like those
it was set on. It fits the very models it was made with and refuses others.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aligngemini.calibration.drift import ScoreHistogram
from aligngemini.fusion.base import from_log_odds, log_odds
from aligngemini.settings import SettingsError, from_mapping, write_json
from aligngemini.verdict import Guarantee

VERSION = 1
LOWEST = 0.5
"""No `fake` threshold goes below it: photos that all score low do not make the next one suspect."""


class CalibrationError(ValueError):
    """A calibration that cannot be made or used; the message says what to do."""


@dataclass(frozen=True)
class Curve:
    """A rising curve from log-odds to log-odds, straight between its knots and beyond them.

    Attributes:
        knots: Log-odds of a branch's score, rising; two at least.
        levels: Log-odds of what it means, one a knot, rising.
    """

    knots: tuple[float, ...]
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.knots) < 2 or len(self.knots) != len(self.levels):
            raise SettingsError("a curve needs two knots at least, and a level for each")
        if min(np.diff(self.knots)) <= 0 or min(np.diff(self.levels)) <= 0:
            raise SettingsError("a curve's knots and levels must rise")

    def of_odds(self, odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The curve at (n,) log-odds."""
        knots, levels = np.array(self.knots), np.array(self.levels)
        piece = np.clip(np.searchsorted(knots, odds) - 1, 0, len(knots) - 2)
        slope = np.diff(levels)[piece] / np.diff(knots)[piece]
        return np.asarray(levels[piece] + slope * (odds - knots[piece]))

    def __call__(self, score: float) -> float:
        """The curve at a score in [0, 1], as a probability."""
        return from_log_odds(float(self.of_odds(np.array([log_odds(score)]))[0]))


@dataclass(frozen=True)
class Quality:
    """How far scores are from probabilities, both classes weighing alike.

    Attributes:
        ece: Expected calibration error, 15 bins of equal width; 0 at best.
        brier: Mean squared error; 0 at best, 0.25 for a score of one half always.
    """

    ece: float
    brier: float


@dataclass(frozen=True)
class BranchCalibration:
    """What was found of one branch.

    Attributes:
        threshold: Scores from here up are `fake`.
        alone: The threshold that would hold the same guarantee for this branch by itself; None
            where none does.
        photos: Photos it scored.
        alarms: How many of them reach `threshold`.
        recall: Share of the fakes it scored that reach `threshold`; None without fakes.
        histogram: Photos by score, in `len(histogram)` bins of equal width over [0, 1].
        quality: Of the scores `as is` and under each scaling, on images that was not fitted on;
            empty without enough fakes.
        scaling: Name of the scaling whose curve is `curve`; None for scores as they are.
        curve: What is made of the branch's scores, and of its thresholds with them.
    """

    threshold: float
    alone: float | None
    photos: int
    alarms: int
    recall: float | None
    histogram: tuple[int, ...]
    quality: dict[str, Quality] = field(default_factory=dict)
    scaling: str | None = None
    curve: Curve | None = None


@dataclass(frozen=True)
class GroupCalibration:
    """What the thresholds do to the photos of one group.

    Attributes:
        column: Of the manifest, or `format` or `size`.
        value: The group's name.
        photos: How many there are.
        alarms: How many of them are called fake.
        bound: With the file's confidence, no larger share of such photos is.
        promised: Whether the guarantee was asked for in this group and holds there by itself.
    """

    column: str
    value: str
    photos: int
    alarms: int
    bound: float
    promised: bool


@dataclass(frozen=True)
class CalibrationFile:
    """What a calibration file holds.

    Attributes:
        version: Of the file's form.
        made: Date, ISO 8601.
        fitted_on: In words, the images.
        fusion: The rule whose verdict is guaranteed: its name, or `name@fingerprint` of its file.
        models: `name@fingerprint` by branch; the thresholds fit no other models.
        max_false_alarms: Share of photos that may be called fake, in (0, 1).
        confidence: That no larger share is, in (0, 1).
        photos: Photos with a verdict, on which this was set.
        alarms: How many of them are called fake.
        fakes: Fakes with a verdict, likewise; 0 where none were given.
        recall: Share of those called fake, or None.
        shift: Added to the log-odds of every branch's `fake` threshold.
        offsets: Added besides, by branch.
        branches: By name.
        groups: Where groups were asked for.
        reference: Photos by score and branch, as `ScoreHistogram.to_dict` writes them, to compare
            later photos with; empty in files of earlier versions.
    """

    version: int
    made: str
    fitted_on: str
    fusion: str
    models: dict[str, str]
    max_false_alarms: float
    confidence: float
    photos: int
    alarms: int
    fakes: int
    recall: float | None
    shift: float
    offsets: dict[str, float]
    branches: dict[str, BranchCalibration]
    groups: tuple[GroupCalibration, ...] = field(default=())
    reference: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise SettingsError(
                f"version {self.version}; this program reads {VERSION}: calibrate again"
            )
        if not (0 < self.max_false_alarms < 1 and 0 < self.confidence < 1):
            raise SettingsError("max_false_alarms and confidence must lie between 0 and 1")
        if set(self.branches) != set(self.models):
            raise SettingsError("branches and models must name the same branches")
        for counts in self.reference.values():
            ScoreHistogram.from_dict(counts)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever anything in the file does."""
        values = asdict(self)
        if not self.reference:
            del values["reference"]  # a file from before keeps the fingerprint it had
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def guarantee(self) -> Guarantee:
        """What it promises, as each record states it."""
        return Guarantee(
            name=f"calibration@{self.fingerprint}",
            max_false_alarms=self.max_false_alarms,
            confidence=self.confidence,
            photos=self.photos,
            fitted_on=self.fitted_on,
            made=self.made,
        )

    def check(self, models: Mapping[str, str], fusion: str) -> None:
        """Make sure that this is the detector it was made with.

        Args:
            models: `name@fingerprint` of each branch that scores, by the branch's name.
            fusion: As `fusion` above.

        Raises:
            CalibrationError: It is another one.
        """
        if fusion != self.fusion:
            raise CalibrationError(
                f"the calibration guarantees the verdict of --fusion {self.fusion}, not of "
                f"{fusion}: give that rule, or calibrate again"
            )
        for name in sorted({*models, *self.models}):
            ours, theirs = self.models.get(name), models.get(name)
            if ours is None:
                raise CalibrationError(
                    f"the calibration knows no branch {name}: leave it out, or calibrate again"
                )
            if theirs is None:
                raise CalibrationError(
                    f"the calibration was made with a branch {name} ({ours}): give it, or "
                    "calibrate again"
                )
            if ours.rpartition("@")[2] != theirs.rpartition("@")[2]:
                raise CalibrationError(
                    f"the calibration was made with the {name} model {ours}, and this one is "
                    f"{theirs}: take that model, or calibrate again"
                )

    def threshold(self, name: str, threshold: float) -> float:
        """A branch's `fake` threshold under this calibration, in place of its own."""
        return moved(threshold, self.shift + self.offsets.get(name, 0.0))


def moved(threshold: float, shift: float) -> float:
    """A threshold moved by so much in log-odds, and not below `LOWEST` unless it was before."""
    lowest = min(threshold, LOWEST)
    return max(lowest, from_log_odds(log_odds(threshold) + shift))


def read_calibration(path: Path) -> CalibrationFile:
    """Read a calibration file.

    Raises:
        CalibrationError: It cannot be read, or is none.
    """
    try:
        return from_mapping(CalibrationFile, json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CalibrationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # of JSON, UTF-8 and settings alike
        raise CalibrationError(f"{path} is no calibration of this version: {error}") from error


def write_calibration(file: CalibrationFile, path: Path) -> None:
    """Write a calibration file, whole or not at all.

    Raises:
        OSError: The disk would not take it.
    """
    write_json(asdict(file), path)
