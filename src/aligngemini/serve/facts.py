"""What a loaded detector can say of itself."""

from typing import TYPE_CHECKING, Any

import numpy as np

from aligngemini.evidence import Evidence
from aligngemini.scan.judge import identity_of

if TYPE_CHECKING:
    from aligngemini.detector import Detector
    from aligngemini.runner import DetectorOptions

SIDE = 320  # pixels of the picture that a fresh detector is tried on
INSIDE = ("branch", "backend", "runtime", "classifier", "vlm")
"""Attributes under which branches hold what runs them."""


def facts_of(detector: "Detector", options: "DetectorOptions") -> dict[str, Any]:
    """The branches, the rule and, as `identity`, what a scan's store calls the detector.

    They are tried on a picture drawn on the spot.

    Only what judges says what it judges by: a calibration may have moved a model's thresholds. The
    try also makes the first caller wait no longer than the others.
    """
    drawn = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    verdict = detector.judge(drawn)
    loaded = {branch.name: branch for branch in detector.branches}
    return {
        "branches": [
            _branch(name, evidence, loaded.get(name)) for name, evidence in verdict.branches.items()
        ],
        "fusion": {
            "rule": verdict.fusion,
            **({} if verdict.fused is None else _scale(verdict.fused)),
        },
        "calibration": verdict.to_dict().get("calibration"),
        "identity": dict(identity_of(detector, options).about),
    }


def set_explain(detector: "Detector", *, on: bool) -> None:
    """Have the vision-language model write its reasons from now on, or not."""
    for branch in detector.branches:
        inner: Any = getattr(branch, "branch", branch)  # below a calibration's
        if inner.name == "semantic":
            inner.explain = on


def device_of(part: Any) -> str | None:
    """Where a branch, or what it holds, runs: `cpu`, `cuda`, `server`; None without a model."""
    if hasattr(part, "endpoint"):
        return "server"
    inner = next((getattr(part, name) for name in INSIDE if hasattr(part, name)), None)
    found: str | None = getattr(part, "device", None) if inner is None else device_of(inner)
    return found


def _branch(name: str, evidence: Evidence, loaded: Any) -> dict[str, Any]:
    if evidence.skipped is not None and loaded is None:
        return {"name": name, "skipped": evidence.skipped}
    return {
        "name": name,
        "model": evidence.model,
        "fingerprint": loaded.fingerprint,
        "device": device_of(loaded),
        **_scale(evidence),
        "error": evidence.error and evidence.error.to_dict(),
    }


def _scale(evidence: Evidence) -> dict[str, float | None]:
    return {
        "threshold": evidence.threshold,
        "threshold_real": evidence.threshold_real,
        "false_alarm_rate": evidence.false_alarm_rate,
        "false_alarm_bound": evidence.false_alarm_bound,
    }
