"""The id of a record: what was judged, by what, and what came out, as one short text."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

NO_PART_OF_ID = frozenset({"path", "ms", "id", "words", "preview", "heatmap", "maps"})
"""Names of what does not count; the last four stand beside a record that came over HTTP."""
ASKED = (
    *("sha256", "pixels", "width", "height", "format", "notes"),
    *("fusion", "calibration", "version"),
)
"""Fields of a record that say what was judged, and how."""


def record_id(record: Mapping[str, Any]) -> str:
    """The id of a record: equal for equal images judged alike with an equal outcome.

    Sixteen hex digits say what was asked: the image's bytes, how they were decoded and delivered,
    the models by fingerprint (weights, preprocessing, thresholds), fusion, calibration, rules of
    scope, version of this package. Eight more say what was answered: all else that the record
    holds. Where the file lay and how long judging took are part of neither. Another device may
    answer with other last digits.

    Args:
        record: As `Verdict.to_dict` gives it, or as it was read from JSON.
    """
    fused, scope = record.get("fused"), record.get("scope")
    branches = record.get("branches")
    asked = {
        "fields": {name: record.get(name) for name in ASKED},
        "models": {name: _model(one) for name, one in branches.items()}
        if isinstance(branches, Mapping)
        else None,
        "rule": _model(fused),
        "scope": scope.get("rules") if isinstance(scope, Mapping) else None,
    }
    return f"{_digest(asked)[:16]}-{_digest(record)[:8]}"


def _model(evidence: Any) -> Any:
    """What answered: the model, or the reason why nothing did."""
    if not isinstance(evidence, Mapping):
        return None
    return evidence.get("model", evidence.get("skipped"))


def _digest(values: Any) -> str:
    text = json.dumps(_canonical(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """The same for all ways to write one value: 1 and 1.0, tuple and list."""
    if isinstance(value, Mapping):
        return {str(k): _canonical(v) for k, v in value.items() if k not in NO_PART_OF_ID}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    return float(value) if type(value) is int else value
