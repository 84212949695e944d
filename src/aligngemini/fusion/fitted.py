"""Rules that were fitted on scores, and the small file that holds one.

The fused score is P(fake) by a weighted sum of the branches' log-odds. Every set of branches that
may give a score has a sum and thresholds of its own: when a branch is missing or fails, what was
fitted without it is used (pattern submodels: Mercaldo and Blume, Biostatistics 2020), so that the
thresholds hold whoever answered. Nothing is imputed.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from aligngemini.evidence import Evidence, label_for
from aligngemini.fusion.base import FusionError, abstained, counted_score, from_log_odds, log_odds
from aligngemini.settings import SettingsError, from_mapping, write_json

VERSION = 1
RULES = ("learned", "weighted")
MAX_LOG_ODDS = 10.0  # beyond, a score says how a model saturates, not how sure it may be


@dataclass(frozen=True)
class Combination:
    """The weighted sum for one set of branches.

    Attributes:
        weights: Of each branch's log-odds, by its name; 0 or more. A branch with weight 0 is known
            and adds nothing.
        bias: Added to the sum.
        threshold: Fused scores from here up are `fake`.
        threshold_real: Fused scores below are `real`.
        photos: Held-out photos that were judged by all these branches.
        fakes: Held-out fakes likewise.
        false_alarm_rate: Share of those photos that reach `threshold`.
        false_alarm_bound: With 95 % confidence the true share is not above this.
        miss_rate: Share of those fakes below `threshold_real`.
        recall: Share of those fakes that reach `threshold`.
    """

    weights: dict[str, float]
    bias: float
    threshold: float
    threshold_real: float
    photos: int
    fakes: int
    false_alarm_rate: float
    false_alarm_bound: float
    miss_rate: float
    recall: float

    def __post_init__(self) -> None:
        if min(self.weights.values(), default=-1.0) < 0:
            raise SettingsError(f"weights {self.weights}: one a branch, none below 0")
        if not 0 <= self.threshold_real <= self.threshold <= 1:
            raise SettingsError(
                f"thresholds {self.threshold_real} and {self.threshold}: the first must not be "
                "above the second, and both must lie in [0, 1]"
            )


@dataclass(frozen=True)
class FusionFile:
    """What a fusion file holds.

    Attributes:
        version: Of the file's form.
        rule: `learned` or `weighted`.
        fitted_on: In words, the images the numbers come from.
        models: `name@fingerprint` by branch; the rule fits no other models.
        combinations: One for each set of branches that could be fitted.
    """

    version: int
    rule: str
    fitted_on: str
    models: dict[str, str]
    combinations: tuple[Combination, ...]

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise SettingsError(f"version {self.version}; this program reads {VERSION}: fit again")
        if self.rule not in RULES:
            raise SettingsError(f"rule {self.rule!r}; known: {', '.join(RULES)}")


class FittedRule:
    """`learned` or `weighted`, out of a file.

    Attributes:
        name: The file's rule.
        model: `name@fingerprint` of the file.
    """

    def __init__(self, file: FusionFile) -> None:
        """Take what a file holds."""
        self.name = file.rule
        self.file = file
        self.model = f"{file.rule}@{fingerprint(file)}"
        self._by_branches = {frozenset(one.weights): one for one in file.combinations}

    @classmethod
    def read(cls, path: Path) -> "FittedRule":
        """Read a fusion file.

        Raises:
            FusionError: It cannot be read, or is none.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(from_mapping(FusionFile, values))
        except OSError as error:
            raise FusionError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:  # of JSON, UTF-8 and settings alike
            raise FusionError(f"{path} is no fusion file of this version: {error}") from error

    def check(self, models: Mapping[str, str]) -> None:
        """Make sure that these are the models the rule was fitted on; see `Rule.check`.

        A branch that is not there is no error: the combination without it is used.
        """
        known = {name: model.rpartition("@")[2] for name, model in self.file.models.items()}
        for name, found in models.items():
            if name not in known:
                raise FusionError(
                    f"the rule was fitted on {', '.join(known)}, and not on a branch {name}: "
                    "leave that out, or fit again"
                )
            if known[name] != found:
                raise FusionError(
                    f"the rule was fitted on the {name} model {self.file.models[name]}, and this "
                    f"one is {found}: take that model, or fit again"
                )

    def fuse(self, branches: Mapping[str, Evidence]) -> Evidence:
        """See `Rule.fuse`."""
        odds = counted_log_odds(branches)
        combination = self._by_branches.get(frozenset(odds))
        if combination is None:
            which = " and ".join(odds) or "no score at all"
            return abstained(branches, f"{self.name} was not fitted for {which}")
        score = fused_score(odds, combination.weights, combination.bias)
        return Evidence(
            verdict=label_for(score, combination.threshold, combination.threshold_real),
            score=score,
            threshold=combination.threshold,
            threshold_real=combination.threshold_real,
            false_alarm_rate=combination.false_alarm_rate,
            false_alarm_bound=combination.false_alarm_bound,
            model=self.model,
        )


def counted_log_odds(branches: Mapping[str, Evidence]) -> dict[str, float]:
    """Log-odds of the scores that count, by branch, within +-`MAX_LOG_ODDS`."""
    scores = {name: counted_score(evidence) for name, evidence in branches.items()}
    return {
        name: min(max(log_odds(score), -MAX_LOG_ODDS), MAX_LOG_ODDS)
        for name, score in scores.items()
        if score is not None
    }


def fused_score(odds: Mapping[str, float], weights: Mapping[str, float], bias: float) -> float:
    """P(fake) of one image; fitting and detection both come here, to the last digit."""
    # fsum, because a plain sum depends on the order of the branches.
    return from_log_odds(math.fsum([bias, *(weights[name] * x for name, x in odds.items())]))


def fingerprint(file: FusionFile) -> str:
    """Twelve hex digits that change whenever a number in the file does."""
    text = json.dumps(asdict(file), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_fusion(file: FusionFile, path: Path) -> None:
    """Write a fusion file, whole or not at all.

    Raises:
        OSError: The disk would not take it.
    """
    write_json(asdict(file), path)
