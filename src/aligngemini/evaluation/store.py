"""What was judged already, kept as it is judged, so that a killed evaluation goes on where it was.

One line of JSON an image and delivery in a file that only grows (`datasets.journal`), found by the
image's bytes, by what was done to it and by the detector that judged it: a copy, a renamed file or
another protocol with the same delivery is not judged again.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from aligngemini.datasets.journal import Journal, read_journals
from aligngemini.evaluation.scores import FUSED
from aligngemini.evidence import Evidence, branch_kind
from aligngemini.verdict import Verdict

FILE = "judged.jsonl"
PASSING = ("timeout", "crashed", "unavailable", "internal")
"""Codes of errors that another try may not meet."""


@dataclass(frozen=True)
class Said:
    """What one branch, or the rule as `fused`, says of an image; see `ScoreRow`."""

    score: float | None
    verdict: str | None
    threshold: float | None
    threshold_real: float | None
    error: str = ""


@dataclass(frozen=True)
class Judgment:
    """What a detector says of an image.

    Attributes:
        error: Code of why it could not be judged; empty when it was.
        said: By branch; empty when it could not be judged.
    """

    error: str = ""
    said: Mapping[str, Said] = field(default_factory=dict)

    @classmethod
    def of(cls, verdict: Verdict) -> "Judgment":
        """What an evaluation keeps of a verdict: all branches that score, and the rule."""
        if verdict.error is not None:
            return cls(error=verdict.error.code)
        scale = verdict.scale or Evidence()
        said = {FUSED: Said(verdict.score, verdict.verdict, scale.threshold, scale.threshold_real)}
        for name, evidence in verdict.branches.items():
            if branch_kind(name) != "provenance" and evidence.skipped is None:
                said[name] = Said(
                    evidence.score,
                    evidence.verdict,
                    evidence.threshold,
                    evidence.threshold_real,
                    "" if evidence.error is None else evidence.error.code,
                )
        return cls(said=said)

    @property
    def may_pass(self) -> bool:
        """Whether something failed that another try may not meet."""
        return any(code in PASSING for code in (self.error, *(s.error for s in self.said.values())))


class Store:
    """Judgments of one detector in a folder that may hold those of others too."""

    def __init__(self, folder: Path, detector: str, *, retry: bool = False) -> None:
        """Read what is there and open it to go on.

        Args:
            folder: Made where it is missing.
            detector: Name of everything a judgment depends on beside the image.
            retry: Whether images that may not fail again are forgotten.

        Raises:
            OSError: The file cannot be read or written.
        """
        self._detector = detector
        self._found: dict[tuple[str, str | None], Judgment] = {}
        for record in read_journals(folder, FILE):
            if isinstance(record, dict) and record.get("detector") == detector:
                self._take(record)
        if retry:
            self._found = {key: one for key, one in self._found.items() if not one.may_pass}
        self._journal = Journal(folder / FILE)

    def get(self, sha256: str, delivery: str | None) -> Judgment | None:
        """What was said of these bytes, delivered so; None where nobody was asked."""
        return self._found.get((sha256, delivery))

    def add(self, sha256: str, delivery: str | None, judgment: Judgment) -> None:
        """Keep a judgment; once this returns, a kill no longer takes it away.

        Raises:
            OSError: It cannot be written.
        """
        record = {
            "sha256": sha256,
            "delivery": delivery,
            "detector": self._detector,
            "error": judgment.error,
            "said": {name: astuple(said) for name, said in judgment.said.items()},
        }
        self._journal.append(record)
        self._found[sha256, delivery] = judgment

    def __len__(self) -> int:
        return len(self._found)

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._journal.__exit__(kind, error, traceback)

    def _take(self, record: Mapping[str, Any]) -> None:
        try:
            said = {name: Said(*values) for name, values in record["said"].items()}
            judgment = Judgment(record["error"], said)
            self._found[record["sha256"], record["delivery"]] = judgment
        except (KeyError, TypeError, AttributeError):
            return  # none of ours: judged again
