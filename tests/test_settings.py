"""Settings by name, every one checked."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from aligngemini.settings import SettingsError, from_mapping


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...]
    shares: dict[str, int]
    on: bool = False


@dataclass(frozen=True)
class Outer:
    count: int
    rate: float
    inner: Inner
    name: str = "unnamed"
    extra: dict[str, int] = field(default_factory=dict)


VALUES = {"count": 3, "rate": 2, "inner": {"sizes": [1, 2], "shares": {"a": 1}, "on": True}}


def test_values_become_the_dataclass():
    outer = from_mapping(Outer, VALUES)
    assert outer == Outer(3, 2.0, Inner((1, 2), {"a": 1}, True))
    assert type(outer.rate) is float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cuont": 3}, "unknown setting cuont; known: count, rate, inner, name, extra"),
        ({"inner": {"sizes": [], "shares": {}, "of": 1}}, r"unknown setting inner\.of"),
        ({"inner": {"sizes": []}}, r"the setting inner\.shares is missing"),
        ({"inner": [1]}, r"inner must hold settings by name, not \[1\]"),
        ({"inner": {"sizes": 3, "shares": {}}}, r"inner\.sizes must be a list, not 3"),
        ({"inner": {"sizes": [1.5], "shares": {}}}, r"inner\.sizes must be a whole number"),
        ({"inner": {"sizes": [], "shares": []}}, r"inner\.shares must be values by name"),
        ({"inner": {"sizes": [], "shares": {"a": "1"}}}, r"inner\.shares\.a must be a whole"),
        ({"count": 3.0}, "count must be a whole number, not 3.0"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"count": None}, "count must be a whole number, not None"),
        ({"rate": "2e-3"}, "rate must be a finite number, not '2e-3'"),
        ({"rate": True}, "rate must be a finite number, not True"),
        ({"rate": math.nan}, "rate must be a finite number, not nan"),
        ({"rate": math.inf}, "rate must be a finite number, not inf"),
        ({"name": 5}, "name must be a text, not 5"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(SettingsError, match=message):
        from_mapping(Outer, {**VALUES, **changes})


def test_what_is_missing_is_named():
    with pytest.raises(SettingsError, match="the setting rate is missing"):
        from_mapping(Outer, {"count": 3, "inner": VALUES["inner"]})


@pytest.mark.parametrize("values", [None, [], "text", 3])
def test_what_holds_no_settings_is_refused(values):
    with pytest.raises(SettingsError, match="the file must hold settings by name"):
        from_mapping(Outer, values)


@dataclass(frozen=True)
class Loose:
    anything: dict[str, Any]


def test_values_of_any_kind_stay_as_they_are():
    values = {"number": 1, "text": "a", "list": [1, 2], "inner": {"on": True}}
    assert from_mapping(Loose, {"anything": values}) == Loose(values)
