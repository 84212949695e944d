"""What one branch says of one image. Plain, typed, serialisable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Label = Literal["fake", "real", "undecided"]

NOT_NEEDED = "not needed"
"""How `Evidence.skipped` begins where a cascade left a branch out."""

ErrorCode = Literal[
    "not-found",  # no file at that path, or a pattern that matches nothing
    "unreadable",  # the operating system would not give the bytes
    "empty",  # zero bytes
    "unsupported",  # not one of the formats we open
    "truncated",  # the file ends before the image does
    "corrupt",  # the bytes contradict themselves
    "too-large",  # over the limit of bytes or pixels, told from the header
    "too-small",  # under the fewest pixels a side a verdict can rest on
    "timeout",  # judging took longer than allowed
    "crashed",  # the process that judged it died
    "unavailable",  # a server that a branch asks did not answer, or not to the question
    "internal",  # our own bug; the message says where
]


@dataclass(frozen=True)
class Problem:
    """Why an input could not be judged. `code` is stable, `message` is for people."""

    code: ErrorCode
    message: str

    def to_dict(self) -> dict[str, str]:
        """The record's `error` field."""
        return {"code": self.code, "message": self.message}


SignalState = Literal["signed-trusted", "signed-untrusted", "invalid", "hint", "unreadable"]
Claim = Literal["ai", "camera", "edited"]


@dataclass(frozen=True)
class Signal:
    """One finding in a file's metadata, as the provenance branch reports it.

    Attributes:
        kind: Where it was found: `c2pa`, `iptc`, `xmp`, `exif`, `stable-diffusion`, `comfyui`, ...
        state: How far it can be believed. `signed-trusted`, `signed-untrusted` and `invalid` are
            for signed claims, `hint` for anything unsigned, `unreadable` for metadata that is
            there and could not be read. What is absent makes no signal.
        claim: What it says of the image: `ai`, `camera`, `edited` or None when it says nothing.
        detail: One line for people, untrusted text already cut to a sane length.
    """

    kind: str
    state: SignalState
    claim: Claim | None
    detail: str

    def to_dict(self) -> dict[str, str | None]:
        """The record's form of this signal."""
        return {
            "kind": self.kind,
            "state": self.state,
            "claim": self.claim,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Area:
    """Where one map of the GAMMA branch reaches a half.

    Attributes:
        share: Of the picture, as far as it was looked at, in [0, 1].
        boxes: (left, top, right, bottom) of its regions, pixels of the upright image, right and
            bottom excluded; the largest first, specks left out.
    """

    share: float
    boxes: tuple[tuple[int, int, int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The record's form of this area."""
        return {"share": round(self.share, 4), "boxes": [list(box) for box in self.boxes]}


MILD_CHANGES = (
    *("jpeg:95", "jpeg:85", "webp:90"),
    *("scale:0.9", "scale:1.1", "crop:0.95", "blur:0.5", "noise:2"),
)
"""What `Stability` is measured under, in the words of `images.deliveries`; our own choice."""


@dataclass(frozen=True)
class Stability:
    """How far a score moved when its image was changed mildly; see `aligngemini.stability`.

    Attributes:
        low: Lowest score, that of the image itself included; None where there are labels alone.
        high: Highest, likewise.
        flips: Changes after which the verdict was another one.
        of: Changes that were judged.
    """

    low: float | None
    high: float | None
    flips: int
    of: int

    def to_dict(self) -> dict[str, float | int | None]:
        """The record's `stability` field."""
        return {"low": self.low, "high": self.high, "flips": self.flips, "of": self.of}


@dataclass(frozen=True)
class Evidence:
    """What one branch says of one image.

    Attributes:
        verdict: The branch's own verdict, or None when it has none to give.
        score: P(fake) in [0, 1], or None for a branch that does not score.
        threshold: At or above it the branch says `fake`.
        threshold_real: Below it the branch says `real`; between the two, `undecided`.
        model: `name@fingerprint` of the weights the score came from; of the provenance branch, the
            version of its rules and the digest of the trust list.
        ms: Wall time of this branch for this image, in milliseconds.
        remark: Why the verdict is not the one the score alone would give, or None.
        signals: Findings of the provenance branch; None for branches that read pixels.
        skipped: Why the branch was not run; the other fields are then empty.
        error: Why the branch could not answer although it ran.
        heatmap: (h, w) float32 in [0, 1], stretched over the whole image, NaN where the branch
            did not look. Not part of the record.
        false_alarm_rate: Share of held-out photos that reach `threshold`, in [0, 1]; None where
            nobody measured it.
        explanation: The semantic branch's reasons for its verdict, in a model's words, or None. A
            language model's text: never the ground of the verdict, and to be escaped when shown.
        false_alarm_bound: With 95 % confidence no larger share of such photos reaches `threshold`;
            None where nobody reckoned it.
        detail: `edited` where the GAMMA branch says `fake` of a part, and of the rest that it
            looks like a camera's; else None.
        areas: What the GAMMA branch marks, by map: `generated` (made by a generator or its decoder)
            and `moved` (copied from elsewhere in the picture, or from another); None for branches
            without maps.
        coverage: Share of the picture that the maps cover; None where it is all, or no maps.
        maps: The maps themselves, as `heatmap` is, by the names of `areas`. Not part of the record.
        stability: How far the score moves under mild changes; None where nobody asked.
    """

    verdict: Label | None = None
    score: float | None = None
    threshold: float | None = None
    threshold_real: float | None = None
    model: str | None = None
    ms: float | None = None
    remark: str | None = None
    signals: tuple[Signal, ...] | None = None
    skipped: str | None = None
    error: Problem | None = None
    heatmap: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    false_alarm_rate: float | None = None
    explanation: str | None = None
    false_alarm_bound: float | None = None
    detail: Literal["edited"] | None = None
    areas: Mapping[str, Area] | None = None
    coverage: float | None = None
    maps: Mapping[str, npt.NDArray[np.float32]] | None = field(
        default=None, repr=False, compare=False
    )
    stability: Stability | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record of this branch: only the fields that apply to it."""
        if self.skipped is not None:
            return {"skipped": self.skipped}
        record: dict[str, Any] = {}
        if self.signals is None:
            record["score"] = self.score
        record["verdict"] = self.verdict
        for name in (
            *("detail", "threshold", "threshold_real", "false_alarm_rate", "false_alarm_bound"),
            *("remark", "explanation", "model", "coverage"),
        ):
            value = getattr(self, name)
            if value is not None:
                record[name] = value
        if self.areas is not None:
            record["areas"] = {name: area.to_dict() for name, area in self.areas.items()}
        if self.stability is not None:
            record["stability"] = self.stability.to_dict()
        if self.signals is not None:
            record["signals"] = [signal.to_dict() for signal in self.signals]
        if self.ms is not None:
            record["ms"] = round(self.ms, 1)
        if self.error is not None:
            record["error"] = self.error.to_dict()
        return record


def expert_name(number: int) -> str:
    """The branch's name of a pixel expert, counted from 1: `pixel`, `pixel-2`, ..."""
    return "pixel" if number == 1 else f"pixel-{number}"


def branch_kind(name: str) -> str:
    """What kind of branch a name stands for: `pixel` for `pixel-2`."""
    return name.partition("-")[0]


def calibrated(logit: Any, scale: float, bias: float) -> Any:
    """P(fake) of a logit, or of an array of them, in float64 where the logits are.

    Thresholds are set on what this gives and compared with what it gives, to the last digit.
    """
    return 1 / (1 + np.exp(-np.clip(logit * scale + bias, -30, 30)))


def label_for(score: float, threshold: float, threshold_real: float) -> Label:
    """The label of a score: `fake` from `threshold` up, `real` below `threshold_real`."""
    if score >= threshold:
        return "fake"
    return "real" if score < threshold_real else "undecided"
