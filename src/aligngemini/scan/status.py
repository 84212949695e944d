"""What is in a store: counts, errors, runs, drift."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aligngemini.calibration.drift import Drift, ScoreHistogram, watch
from aligngemini.scan.histograms import read_scores
from aligngemini.scan.request import Request
from aligngemini.scan.store import Store, StoreError

_COUNT = """
SELECT CASE WHEN i.sha256 IS NULL THEN 'none'
            WHEN j.id IS NULL THEN 'elsewhere'
            ELSE coalesce(j.verdict, 'none') END,
       coalesce(i.error, j.error), j.branch_error, count(*)
FROM inputs i LEFT JOIN judgments j ON j.sha256 = i.sha256 AND j.detector = ?
GROUP BY 1, 2, 3
"""
_FAILED = """
SELECT DISTINCT r.command FROM runs r WHERE r.id IN (
    SELECT i.run FROM inputs i WHERE i.error IN ({marks})
    UNION
    SELECT i.run FROM judgments j JOIN inputs i ON i.sha256 = j.sha256
    WHERE coalesce(j.error, j.branch_error) IN ({marks}))
"""


@dataclass(frozen=True)
class KnownDetector:
    """A detector that judged for a store.

    Attributes:
        id: In the store.
        fingerprint: Of its `Identity`.
        about: Likewise.
    """

    id: int
    fingerprint: str
    about: dict[str, Any]


@dataclass
class Status:
    """What a store says of its inputs, judged by one detector.

    Attributes:
        detector: The one.
        others: Fingerprints of others that judged there.
        verdicts: Inputs by verdict; `none` for those that could not be judged, `elsewhere` for
            those that only other detectors judged.
        errors: Inputs that could not be judged, by code.
        branch_errors: Inputs with a verdict for which a branch failed, by code.
        contents: Different ones that the detector judged.
        running: Runs that have not ended, whether they are at work or were killed.
        drift: By branch, and by day or days: what the comparison with earlier ones says.
    """

    detector: KnownDetector
    others: list[str]
    verdicts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    branch_errors: Counter[str] = field(default_factory=Counter)
    contents: int = 0
    drift: dict[str, dict[str, Drift]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All inputs."""
        return self.verdicts.total()


def find_detector(store: Store, fingerprint: str | None = None) -> KnownDetector:
    """A detector of a store: the one asked for, or the latest that ran.

    Raises:
        StoreError: There is none.
    """
    with store.explained():
        row = store.connection.execute(
            "SELECT d.id, d.fingerprint, d.about FROM detectors d "
            "JOIN runs r ON r.detector = d.id WHERE d.fingerprint = coalesce(?, d.fingerprint) "
            "ORDER BY r.id DESC LIMIT 1",
            (fingerprint,),
        ).fetchone()
    if row is None:
        what = "nobody scanned into it yet" if fingerprint is None else f"no detector {fingerprint}"
        raise StoreError(f"{store.path}: {what}")
    return KnownDetector(row[0], row[1], json.loads(row[2]))


def read_status(
    store: Store,
    detector: KnownDetector,
    *,
    today: str,
    references: dict[str, ScoreHistogram] | None = None,
) -> Status:
    """Count what is in a store.

    Args:
        store: Open.
        detector: Of it.
        today: UTC, `YYYY-MM-DD`: a day that is not over is not compared.
        references: Photos' scores by branch to compare with, for a stream known to be photos; None
            compares each day with those before it.

    Raises:
        StoreError: It cannot be read.
    """
    with store.explained():
        others = store.connection.execute(
            "SELECT fingerprint FROM detectors WHERE id <> ? ORDER BY id", (detector.id,)
        )
        status = Status(detector, [fingerprint for (fingerprint,) in others])
        rows = store.connection.execute(_COUNT, (detector.id,))
        for verdict, error, branch_error, count in rows:
            status.verdicts[verdict] += count
            if error is not None:
                status.errors[error] += count
            if branch_error is not None:
                status.branch_errors[branch_error] += count
        contents = store.connection.execute(
            "SELECT count(*) FROM judgments WHERE detector = ?", (detector.id,)
        )
        status.contents = contents.fetchone()[0]
        scores = read_scores(store.connection, detector.id)
    for branch, days in scores.items():
        over = {day: histogram for day, histogram in days.items() if day < today}
        reference = None if references is None else references.get(branch)
        if references is None or reference is not None:
            status.drift[branch] = watch(over, reference, streams=len(scores))
    return status


def failed_requests(store: Store, codes: Collection[str]) -> list[Request]:
    """What was asked of the scans that left errors with these codes behind.

    Raises:
        StoreError: The store cannot be read.
        SettingsError: What was asked is written as this program does not know it.
    """
    marks = ", ".join("?" * len(codes))
    with store.explained():
        rows = store.connection.execute(_FAILED.format(marks=marks), (*codes, *codes)).fetchall()
    return [Request.from_dict(json.loads(command)) for (command,) in rows]
