"""Records read back from JSON. Whoever wrote them: every field is checked before it is believed."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from aligngemini.evidence import (
    Area,
    Claim,
    ErrorCode,
    Evidence,
    Label,
    Problem,
    Signal,
    SignalState,
    Stability,
)
from aligngemini.verdict import Guarantee, Scope, ScopeReason, Verdict

T = TypeVar("T")
Fields = Mapping[str, Any]

REQUIRED = ("path", "verdict", "branches", "error")
LONGEST = 10_000
"""Characters of a text; a model's reasons take a few hundred."""
MOST = 100
"""Entries of a list or of an object: branches, signals, boxes."""


class RecordError(ValueError):
    """What was given is no record; the message says where it fails."""


def parse_record(values: Any) -> Verdict:
    """The verdict that a record states; fields that this version does not know are left out.

    Args:
        values: As `json.loads` gives it.

    Raises:
        RecordError: It is no record, or holds a value that no record holds.
    """
    record = _object(values, "the record")
    missing = [name for name in REQUIRED if name not in record]
    if missing:
        raise RecordError(f"no record of aligngemini: it has no {missing[0]}")
    branches = _object(record["branches"], "branches")
    return Verdict(
        path=_text(record, "path") or "",
        sha256=_text(record, "sha256"),
        width=_count(record, "width"),
        height=_count(record, "height"),
        format=_text(record, "format"),
        verdict=_one_of(get_args(Label), record, "verdict"),
        score=_share(record, "score"),
        fusion=_text(record, "fusion") or "or",
        branches={name: _evidence(one, f"branches.{name}") for name, one in branches.items()},
        notes=tuple(_texts(record.get("notes", []), "notes")),
        error=_part(record, "error", _problem),
        fused=_part(record, "fused", _evidence),
        stability=_part(record, "stability", _stability),
        guarantee=_part(record, "calibration", _guarantee),
        scope=_part(record, "scope", _scope),
        pixels=_text(record, "pixels"),
    )


def _evidence(values: Any, where: str) -> Evidence:
    record = _object(values, where)
    if "skipped" in record:
        return Evidence(skipped=_text(record, "skipped", where) or "")
    signals, areas = record.get("signals"), record.get("areas")
    return Evidence(
        verdict=_one_of(get_args(Label), record, "verdict", where),
        score=_share(record, "score", where),
        threshold=_share(record, "threshold", where),
        threshold_real=_share(record, "threshold_real", where),
        model=_text(record, "model", where),
        remark=_text(record, "remark", where),
        signals=None if signals is None else tuple(_signals(signals, f"{where}.signals")),
        error=_part(record, "error", _problem, where),
        false_alarm_rate=_share(record, "false_alarm_rate", where),
        false_alarm_bound=_share(record, "false_alarm_bound", where),
        explanation=_text(record, "explanation", where),
        detail=_one_of(("edited",), record, "detail", where),
        areas=None if areas is None else _areas(areas, f"{where}.areas"),
        coverage=_share(record, "coverage", where),
        stability=_part(record, "stability", _stability, where),
    )


def _problem(values: Any, where: str) -> Problem:
    record = _object(values, where)
    codes: tuple[ErrorCode, ...] = get_args(ErrorCode)
    code = _one_of(codes, record, "code", where)
    return Problem(code or "internal", _text(record, "message", where) or "")


def _signals(values: Any, where: str) -> list[Signal]:
    states: tuple[SignalState, ...] = get_args(SignalState)
    claims: tuple[Claim, ...] = get_args(Claim)
    found = []
    for k, one in enumerate(_list(values, where)):
        record = _object(one, f"{where}[{k}]")
        state = _one_of(states, record, "state", where) or "unreadable"
        claim = _one_of(claims, record, "claim", where)
        kind, detail = (_text(record, name, where) or "" for name in ("kind", "detail"))
        found.append(Signal(kind, state, claim, detail))
    return found


def _areas(values: Any, where: str) -> dict[str, Area]:
    areas = {}
    for name, one in _object(values, where).items():
        record = _object(one, f"{where}.{name}")
        boxes = [_list(box, where) for box in _list(record.get("boxes", []), where)]
        if any(len(box) != 4 or any(type(side) is not int for side in box) for box in boxes):
            raise RecordError(f"{where}: a box is four whole numbers")
        areas[name] = Area(
            _share(record, "share", where) or 0.0,
            tuple((left, top, right, bottom) for left, top, right, bottom in boxes),
        )
    return areas


def _stability(values: Any, where: str) -> Stability:
    record = _object(values, where)
    low, high = (_share(record, name, where) for name in ("low", "high"))
    flips, of = (_count(record, name, where) or 0 for name in ("flips", "of"))
    return Stability(low, high, flips, of)


def _guarantee(values: Any, where: str) -> Guarantee:
    record = _object(values, where)
    name, fitted_on, made = (
        _text(record, field, where) or "" for field in ("name", "fitted_on", "made")
    )
    rate, confidence = (
        _share(record, field, where) or 0.0 for field in ("max_false_alarms", "confidence")
    )
    return Guarantee(name, rate, confidence, _count(record, "photos", where) or 0, fitted_on, made)


def _scope(values: Any, where: str) -> Scope:
    record = _object(values, where)
    reasons = _texts(record.get("reasons", []), where)
    known = {reason for reason in get_args(ScopeReason) if reason in reasons}
    if len(known) != len(reasons):
        raise RecordError(f"{where}.reasons: {reasons} are not reasons this version knows")
    measured = _object(record.get("measured", {}), where)
    return Scope(
        tuple(reason for reason in get_args(ScopeReason) if reason in known),
        {name: _number(measured, name, where) or 0.0 for name in measured},
        _count(record, "rules", where) or 0,
    )


def _part(record: Fields, name: str, read: Callable[[Any, str], T], inside: str = "") -> T | None:
    value = record.get(name)
    return None if value is None else read(value, f"{inside}.{name}".lstrip("."))


def _object(value: Any, where: str) -> Fields:
    if not isinstance(value, Mapping) or len(value) > MOST:
        raise RecordError(f"{where} must be an object of {MOST} fields at the most")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST:
        raise RecordError(f"{where} must be a list of {MOST} entries at the most")
    return value


def _texts(value: Any, where: str) -> list[str]:
    return [_text({where: entry}, where) or "" for entry in _list(value, where)]


def _text(record: Fields, name: str, inside: str = "") -> str | None:
    value = record.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > LONGEST):
        raise _wrong(name, inside, f"a text of {LONGEST:,} characters at the most")
    return value


def _number(record: Fields, name: str, inside: str = "") -> float | None:
    value = record.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not -1e15 < value < 1e15 or not math.isfinite(value):
        raise _wrong(name, inside, "a number")
    return float(value)


def _share(record: Fields, name: str, inside: str = "") -> float | None:
    value = _number(record, name, inside)
    if value is not None and not 0 <= value <= 1:
        raise _wrong(name, inside, "a number from 0 to 1")
    return value


def _count(record: Fields, name: str, inside: str = "") -> int | None:
    value = _number(record, name, inside)
    if value is not None and (value < 0 or value != int(value)):
        raise _wrong(name, inside, "a whole number from 0 up")
    return None if value is None else int(value)


def _one_of(choices: tuple[T, ...], record: Fields, name: str, inside: str = "") -> T | None:
    value = record.get(name)
    if value is None:
        return None
    for choice in choices:
        if choice == value:
            return choice
    raise _wrong(name, inside, f"one of {', '.join(map(str, choices))}")


def _wrong(name: str, inside: str, wanted: str) -> RecordError:
    return RecordError(f"{f'{inside}.{name}'.lstrip('.')} must be {wanted}")
