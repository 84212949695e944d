"""What the plots of a report show, as numbers: curves thinned to a few hundred points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm  # type: ignore[import-untyped]  # comes with scikit-learn
from sklearn.metrics import roc_curve

from aligngemini.evaluation.reports.grids import is_delivery
from aligngemini.evaluation.scores import ScoreRow
from aligngemini.evaluation.tables import Table
from aligngemini.images.deliveries import AS_IS

Floats = npt.NDArray[np.float64]

POINTS = 300
BINS = 15  # as the table's calibration error has
FARTHEST = 3.3  # standard deviations of the DET axes: from 0.05 % to 99.95 %


@dataclass(frozen=True)
class Scores:
    """The scores of one branch under one protocol, all subsets together.

    Attributes:
        real: (n,) P(fake) of photos, each photo once.
        fake: (m,) of fakes.
    """

    real: Floats
    fake: Floats

    @property
    def both(self) -> bool:
        """Whether there are scores of both classes."""
        return bool(len(self.real) and len(self.fake))


@dataclass(frozen=True)
class Reliability:
    """How often images of a score are fakes.

    Attributes:
        scores: (k,) mean score of each bin that is not empty.
        fakes: (k,) share of fakes among its images.
        counts: (k,) how many images it has.
    """

    scores: Floats
    fakes: Floats
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sweep:
    """A branch along one kind of delivery.

    Attributes:
        branch: Its name.
        strengths: (k,) ascending.
        means: Figures by name at each, over the subsets.
        as_is: What the branch reaches without a delivery; empty where that was not judged.
    """

    branch: str
    strengths: Floats
    means: tuple[Mapping[str, float | None], ...]
    as_is: Mapping[str, float | None]

    def figure(self, name: str) -> Floats:
        """(k,) one figure at each strength, NaN where there is none."""
        values = [means.get(name) for means in self.means]
        return np.array([np.nan if value is None else value for value in values], np.float64)


def scores_by(rows: Sequence[ScoreRow]) -> dict[tuple[str, str], Scores]:
    """Scores by protocol and branch, in the rows' order; rows without a score are left out."""
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for row in rows:
        if row.score is not None:
            parts = found.setdefault((row.protocol, row.branch), ([], []))
            parts[row.label == "fake"].append(row.score)
    return {
        key: Scores(np.array(real, np.float64), np.array(fake, np.float64))
        for key, (real, fake) in found.items()
    }


def roc(scores: Scores) -> tuple[Floats, Floats]:
    """False-alarm rate and recall from the strictest threshold to the laxest, ends included.

    Every point is one of the exact curve; they lie densest where false alarms are rare.
    """
    truth = np.r_[np.zeros(len(scores.real)), np.ones(len(scores.fake))]
    alarms, recall, _ = roc_curve(truth, np.r_[scores.real, scores.fake])
    if len(alarms) <= 2 * POINTS:
        return alarms, recall
    # Even steps in rate, and even steps in the logarithm, which DET axes show.
    wanted = np.r_[
        np.linspace(0, 1, POINTS), norm.cdf(np.linspace(-FARTHEST, FARTHEST, POINTS)), 1.0
    ]
    kept = np.unique(
        np.r_[
            0,
            np.searchsorted(alarms, wanted),
            np.searchsorted(recall, wanted),
            len(alarms) - 1,
        ].clip(0, len(alarms) - 1)
    )
    return alarms[kept], recall[kept]


def reliability(scores: Scores) -> Reliability:
    """Bins of equal width, those of no image left out."""
    values = np.r_[scores.real, scores.fake]
    fake = np.r_[np.zeros(len(scores.real)), np.ones(len(scores.fake))]
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    there = counts > 0
    return Reliability(
        scores=(np.bincount(bins, values, BINS)[there] / counts[there]),
        fakes=(np.bincount(bins, fake, BINS)[there] / counts[there]),
        counts=counts[there],
    )


def sweeps(table: Table) -> dict[str, list[Sweep]]:
    """Each kind of delivery that was tried at several strengths, with one sweep a branch."""
    as_is = {one.branch: one.mean for one in table.summaries if one.protocol == AS_IS}
    found: dict[tuple[str, str], dict[float, Mapping[str, float | None]]] = {}
    for summary in table.summaries:
        kind, _, strength = summary.protocol.partition(":")
        if is_delivery(summary.protocol) and _is_number(strength):
            found.setdefault((kind, summary.branch), {})[float(strength)] = summary.mean
    by_kind: dict[str, list[Sweep]] = {}
    for (kind, branch), means in found.items():
        if len(means) > 1:
            strengths = sorted(means)
            by_kind.setdefault(kind, []).append(
                Sweep(
                    branch,
                    np.array(strengths),
                    tuple(means[one] for one in strengths),
                    as_is.get(branch, {}),
                )
            )
    return by_kind


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
