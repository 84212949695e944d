"""Whether what the service is sent still scores as it did; see `calibration.drift`."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aligngemini.calibration.drift import Drift, ScoreHistogram, watch
from aligngemini.settings import SettingsError, write_json

log = logging.getLogger(__name__)
SAVED_EVERY = 60.0  # seconds; counts since then are lost with a killed process


def utc_day() -> str:
    """Today, `YYYY-MM-DD`."""
    return datetime.now(timezone.utc).date().isoformat()


class DriftWatch:
    """Scores counted by branch and day. Counts are all that is kept, never what was counted.

    Attributes:
        path: File that outlives the process, or None.
    """

    def __init__(self, path: Path | None = None, *, today: Callable[[], str] = utc_day) -> None:
        """Begin with nothing.

        Args:
            path: File to go on from; made where there is none.
            today: Gives the day.
        """
        self.path = path
        self._today = today
        self._days: dict[str, dict[str, ScoreHistogram]] = {}
        self._detector: dict[str, Any] = {}
        self._saved = time.monotonic()
        self._day = today()

    def open(self, detector: Mapping[str, Any]) -> None:
        """Read what is in the file, and try to write it.

        Args:
            detector: Whose scores these are.

        Raises:
            SettingsError: (a ValueError) It holds something else, or another detector's scores.
            OSError: It cannot be read or written.
        """
        self._detector = dict(detector)
        if self.path is None:
            return
        if self.path.exists():
            self._days = _read(self.path, self._detector)
        self.save()

    def add(self, scores: Iterable[tuple[str, float]]) -> None:
        """Count what branches said of one image."""
        today = self._today()
        if today != self._day:
            self._day = today
            self._tell()
        for branch, score in scores:
            self._days.setdefault(branch, {}).setdefault(today, ScoreHistogram()).add(score)
        if self.path is not None and time.monotonic() - self._saved > SAVED_EVERY:
            self.try_saving()

    def latest(self) -> dict[str, Drift]:
        """By branch what the last comparison says; days that are over are compared."""
        today = self._today()
        found = {}
        for branch, days in self._days.items():
            over = {day: days[day] for day in sorted(days) if day < today}
            compared = list(watch(over, streams=len(self._days)).values())
            if compared:
                found[branch] = compared[-1]
        return found

    def save(self) -> None:
        """Write the file.

        Raises:
            OSError: The disk would not take it.
        """
        if self.path is None:
            return
        self._saved = time.monotonic()
        scores = {
            branch: {day: counts.to_dict() for day, counts in days.items()}
            for branch, days in self._days.items()
        }
        write_json({"detector": self._detector, "scores": scores}, self.path)

    def try_saving(self) -> None:
        """Write the file, or say in the log that it cannot be written."""
        try:
            self.save()
        except OSError as error:  # the callers have their answers all the same
            log.error("scores not kept: %s", error)

    def _tell(self) -> None:
        for branch, found in self.latest().items():
            if found.warned:
                log.warning("drift, branch %s: %s", branch, found.sentence)


def _read(path: Path, detector: dict[str, Any]) -> dict[str, dict[str, ScoreHistogram]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known, scores = found["detector"], found["scores"]
        days = {
            str(branch): {str(day): ScoreHistogram.from_dict(c) for day, c in by_day.items()}
            for branch, by_day in scores.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"{path} holds no scores of a service: name another file") from error
    if known != json.loads(json.dumps(detector)):
        raise SettingsError(f"the scores in {path} are another detector's: name another file")
    return days
