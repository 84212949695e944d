"""Settings out of JSON or YAML into dataclasses, every name and type checked."""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    bool: "true or false",
    tuple: "a list",
    dict: "values by name",
}


class SettingsError(ValueError):
    """Settings that do not fit; the message names the setting."""


def from_mapping(kind: type[T], values: Any, *, inside: str = "") -> T:
    """Build a dataclass of settings.

    Args:
        kind: A dataclass whose fields are `int`, `float`, `str`, `bool`, `tuple[X, ...]`,
            `dict[str, X]`, `X | None`, `Any` or such dataclasses themselves.
        values: What the file holds. Whole numbers pass for `float`, lists for tuples.
        inside: Name of the setting that these values are the value of.

    Raises:
        SettingsError: A setting is unknown, missing or of a wrong kind, or a number is not finite.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{inside or 'the file'} must hold settings by name, not {values!r}")
    prefix = f"{inside}." if inside else ""
    types = get_type_hints(kind)
    for name in values:
        if name not in types:
            raise SettingsError(f"unknown setting {prefix}{name}; known: {', '.join(types)}")
    for name in _needed(kind):
        if name not in values:
            raise SettingsError(f"the setting {prefix}{name} is missing")
    return kind(**{name: _fit(types[name], values[name], prefix + name) for name in values})


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write settings as JSON, whole or not at all.

    Raises:
        OSError: The disk would not take it.
    """
    write_text(json.dumps(values, indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all.

    Raises:
        OSError: The disk would not take it.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _needed(kind: Any) -> list[str]:
    return [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]


def _fit(kind: Any, value: Any, name: str) -> Any:
    if kind is Any:
        return value
    if is_dataclass(kind):
        return from_mapping(kind, value, inside=name)  # type: ignore[arg-type]  # a class, not an instance
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        (kind,) = set(get_args(kind)) - {NoneType}
        return None if value is None else _fit(kind, value, name)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_fit(get_args(kind)[0], item, name) for item in value)
    if origin is dict and isinstance(value, Mapping):
        item_kind = get_args(kind)[1]
        return {str(key): _fit(item_kind, item, f"{name}.{key}") for key, item in value.items()}
    # By type, for True is an int to Python.
    if origin is float and type(value) in (int, float) and math.isfinite(value):
        value = float(value)
    elif origin is float or type(value) is not origin:
        raise SettingsError(f"{name} must be {_WORDS[origin]}, not {value!r}")
    return value
