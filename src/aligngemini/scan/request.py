"""What a scan was asked to do, as its store keeps it for `aligngemini scan retry`."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aligngemini.runner import DetectorOptions
from aligngemini.settings import from_mapping


@dataclass(frozen=True)
class Request:
    """Sources, and what judges them.

    Attributes:
        sources: As `sources.open_sources` takes them, local ones with their whole path: a store
            must not take `a.jpg` of one folder for that of another.
        column: Of tables that hold images; None takes the usual one.
        folder: Where the command was given; relative paths in `detector` count from there.
        detector: Its options.
        near: What to do about near-duplicates: `off`, `list` or `skip`.
    """

    sources: tuple[str, ...]
    column: str | None
    folder: str
    detector: DetectorOptions
    near: str = "off"

    @classmethod
    def of(
        cls,
        specs: list[str],
        detector: DetectorOptions,
        *,
        column: str | None = None,
        near: str = "off",
    ) -> "Request":
        """A request made here and now.

        Args:
            specs: As the user named the sources.
            detector: See the class.
            column: See the class.
            near: See the class.
        """
        folder = str(Path.cwd())
        return cls(tuple(map(_whole, specs)), column, folder, detector, near)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Request":
        """What `to_dict` gave.

        Raises:
            SettingsError: It is something else.
        """
        return from_mapping(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


def _whole(spec: str) -> str:
    """A local source with its whole path."""
    return spec if spec == "-" or "://" in spec else os.path.abspath(spec)  # noqa: PTH100
