"""What is said of one image. Plain, typed, serialisable."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from aligngemini.evidence import Evidence, Label, Problem, Stability
from aligngemini.record_id import record_id
from aligngemini.version import __version__

ScopeReason = Literal[
    "constant",  # hardly any contrast
    "flat",  # neighbouring pixels are equal: drawings, charts, screenshots
    "few-colours",  # eight colours cover most of it: screenshots, charts, pages
    "text",  # strokes on paper: printed or scanned pages
]


@dataclass(frozen=True)
class Scope:
    """Whether an image is of the kind that detectors here were measured on; see `images.scope`.

    Attributes:
        reasons: Why it is not; empty for what is in scope.
        measured: What the rules were held against, by name; docs/scope.md explains each.
        rules: Version of the rules.
    """

    reasons: tuple[ScopeReason, ...]
    measured: Mapping[str, float]
    rules: int

    @property
    def remark(self) -> str | None:
        """What a branch says beside `undecided`, or None for what is in scope."""
        if not self.reasons:
            return None
        return f"out of scope: {', '.join(SCOPE_WORDS[reason] for reason in self.reasons)}"

    def to_dict(self) -> dict[str, Any]:
        """The record's `scope` field."""
        return {
            "reasons": list(self.reasons),
            "measured": dict(self.measured),
            "rules": self.rules,
        }


SCOPE_WORDS: dict[ScopeReason, str] = {
    "constant": "hardly any contrast",
    "flat": "mostly flat colour, as in drawings, charts and screenshots",
    "few-colours": "mostly of a few colours, as screenshots and charts are",
    "text": "strokes on paper, as on pages of text",
}


@dataclass(frozen=True)
class Guarantee:
    """What a calibration on the user's own photos promises of the verdict.

    Attributes:
        name: `calibration@fingerprint`.
        max_false_alarms: No larger share of photos like those it was set on is called `fake`,
        confidence: with this confidence; both in (0, 1).
        photos: How many it was set on.
        fitted_on: In words, which images.
        made: Date, ISO 8601.
    """

    name: str
    max_false_alarms: float
    confidence: float
    photos: int
    fitted_on: str
    made: str


@dataclass(frozen=True)
class Verdict:
    """What is said of one input, readable or not.

    Attributes:
        path: The input as the user named it.
        sha256: Of the file's bytes, lower-case hex; None when they could not be read.
        width: Pixels, after orientation; None when the header could not be read.
        height: Pixels, after orientation; None when the header could not be read.
        format: Pillow's name of the container (`JPEG`, `PNG`, ...), or None.
        verdict: `fake`, `real` or `undecided`; None when the image could not be judged.
        score: P(fake) in [0, 1] after fusion, or None.
        fusion: Name of the rule that joined the branches.
        branches: Evidence by branch name.
        notes: What decoding had to decide, in words (`first of 12 frames`, ...).
        error: Why there is no verdict, or None.
        fused: What the rule itself says, where its score is no branch's own: that score, the
            thresholds it is read against and, as `model`, the file of a fitted rule. None under the
            rules that pass a branch's score on.
        stability: How far the score moves under mild changes; None where nobody asked.
        guarantee: What the calibration promises that the thresholds come from; None for the models'
            own thresholds.
        scope: What the rules of scope say of the picture; None where it was not decoded.
        pixels: SHA-256 of shape and pixels, for an image that never was a file; else None.
    """

    path: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    verdict: Label | None = None
    score: float | None = None
    fusion: str = "or"
    branches: Mapping[str, Evidence] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: Problem | None = None
    fused: Evidence | None = None
    stability: Stability | None = None
    guarantee: Guarantee | None = None
    scope: Scope | None = None
    pixels: str | None = None

    @property
    def id(self) -> str:
        """See `record_id`."""
        return str(self.to_dict()["id"])

    @property
    def deciding(self) -> Evidence | None:
        """The branch whose score is the fused one, and whose thresholds it is read against."""
        for evidence in self.branches.values():
            if evidence.verdict is not None and evidence.score == self.score is not None:
                return evidence
        return None

    @property
    def scale(self) -> Evidence | None:
        """Whose thresholds the score is read against: the rule's own, or the deciding branch's."""
        return self.fused or self.deciding

    @property
    def disagreement(self) -> bool:
        """Whether one branch that looks at the picture says `fake` and another says `real`."""
        looking = [one for one in self.branches.values() if one.signals is None]
        return {"fake", "real"} <= {one.verdict for one in looking}

    def to_dict(self) -> dict[str, Any]:
        """The JSON record, fields in the documented order; those that do not apply are left out."""
        record = {
            "path": self.path,
            "sha256": self.sha256,
            **({} if self.pixels is None else {"pixels": self.pixels}),
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "verdict": self.verdict,
            "score": self.score,
            "fusion": self.fusion,
            "disagreement": self.disagreement,
            **({} if self.stability is None else {"stability": self.stability.to_dict()}),
            **({} if self.fused is None else {"fused": self.fused.to_dict()}),
            **({} if self.guarantee is None else {"calibration": asdict(self.guarantee)}),
            **({} if self.scope is None else {"scope": self.scope.to_dict()}),
            "branches": {name: evidence.to_dict() for name, evidence in self.branches.items()},
            "notes": list(self.notes),
            "error": self.error.to_dict() if self.error else None,
            "version": __version__,
        }
        return {**record, "id": record_id(record)}

    def to_json(self) -> str:
        """The record as one line of JSON (no NaN, text escaped to ASCII)."""
        return json.dumps(self.to_dict(), allow_nan=False)
