"""What each delivery changes, on the images that were judged both with and without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aligngemini.evaluation.metrics import auc
from aligngemini.evaluation.scores import ScoreRow
from aligngemini.images.deliveries import AS_IS

COMPARED = ("real_accuracy", "fake_accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True)
class Change:
    """A branch under a delivery, against itself on the same images as they are.

    Attributes:
        protocol: The delivery.
        branch: As in `ScoreRow`.
        images: Those that were judged both ways.
        figures: Differences by name (`COMPARED`, at 0.5); None where a class is missing.
        turned: Share of the images whose verdict is another one, in [0, 1].
        accused: Share of the photos that are called fake and were not before.
        lost: Share of the fakes that were called fake and are not any more.
    """

    protocol: str
    branch: str
    images: int
    figures: Mapping[str, float | None]
    turned: float | None
    accused: float | None
    lost: float | None


def changes(rows: Sequence[ScoreRow]) -> list[Change]:
    """One for each delivery and branch, in the rows' order; none for the images as they are."""
    columns = by_column(rows)
    found = []
    for (protocol, branch), after in columns.items():
        before = columns.get((AS_IS, branch), {})
        if protocol != AS_IS:
            both = [(before[key], row) for key, row in after.items() if key in before]
            found.append(_change(protocol, branch, both))
    return found


def by_column(
    rows: Sequence[ScoreRow],
) -> dict[tuple[str, str], dict[tuple[str, str], ScoreRow]]:
    """Rows that have a verdict or a score, by protocol and branch, then by path and label."""
    columns: dict[tuple[str, str], dict[tuple[str, str], ScoreRow]] = {}
    for row in rows:
        column = columns.setdefault((row.protocol, row.branch), {})
        if row.score is not None or row.verdict is not None:
            column[row.path, row.label] = row
    return columns


def _change(protocol: str, branch: str, both: Sequence[tuple[ScoreRow, ScoreRow]]) -> Change:
    scored = [pair for pair in both if pair[0].score is not None and pair[1].score is not None]
    before, after = (_figures([pair[k] for pair in scored]) for k in (0, 1))
    judged = [pair for pair in both if pair[0].verdict is not None and pair[1].verdict is not None]
    photos = [pair for pair in judged if pair[0].label == "real"]
    fakes = [pair for pair in judged if pair[0].label == "fake"]
    return Change(
        protocol=protocol,
        branch=branch,
        images=len(both),
        figures={name: _difference(before[name], after[name]) for name in COMPARED},
        turned=_share([one.verdict != other.verdict for one, other in judged]),
        accused=_share([not _fake(one) and _fake(other) for one, other in photos]),
        lost=_share([_fake(one) and not _fake(other) for one, other in fakes]),
    )


def _fake(row: ScoreRow) -> bool:
    return row.verdict == "fake"


def _figures(rows: Sequence[ScoreRow]) -> dict[str, float | None]:
    real, fake = (
        np.array([row.score for row in rows if row.label == label], np.float64)
        for label in ("real", "fake")
    )
    figures: dict[str, float | None] = dict.fromkeys(COMPARED)
    if len(real):
        figures["real_accuracy"] = float(np.mean(real < 0.5))
    if len(fake):
        figures["fake_accuracy"] = float(np.mean(fake >= 0.5))
    if len(real) and len(fake):
        figures["balanced_accuracy"] = float(np.mean(real < 0.5) + np.mean(fake >= 0.5)) / 2
        figures["auc"] = auc(real, fake)
    return figures


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _share(events: Sequence[bool]) -> float | None:
    return sum(events) / len(events) if events else None
