"""Scores of each day in the store, for `calibration.drift`."""

import json
import sqlite3
from collections.abc import Mapping

from aligngemini.calibration.drift import ScoreHistogram

_PUT = "INSERT OR REPLACE INTO histograms (day, detector, branch, counts) VALUES (?, ?, ?, ?)"


def add_scores(
    db: sqlite3.Connection, day: str, detector: int, scores: Mapping[str, ScoreHistogram]
) -> None:
    """Add scores to those of a day, in the transaction that is open.

    Args:
        db: Of a store.
        day: UTC, `YYYY-MM-DD`.
        detector: Its number in the store.
        scores: By branch.
    """
    for branch, fresh in scores.items():
        row = db.execute(
            "SELECT counts FROM histograms WHERE day = ? AND detector = ? AND branch = ?",
            (day, detector, branch),
        ).fetchone()
        known = ScoreHistogram() if row is None else ScoreHistogram.from_dict(json.loads(row[0]))
        counts = json.dumps(known.merge(fresh).to_dict())
        db.execute(_PUT, (day, detector, branch, counts))


def read_scores(db: sqlite3.Connection, detector: int) -> dict[str, dict[str, ScoreHistogram]]:
    """The histograms of a detector by branch and day, the days in order."""
    found: dict[str, dict[str, ScoreHistogram]] = {}
    for branch, day, counts in db.execute(
        "SELECT branch, day, counts FROM histograms WHERE detector = ? ORDER BY branch, day",
        (detector,),
    ):
        found.setdefault(branch, {})[day] = ScoreHistogram.from_dict(json.loads(counts))
    return found
