"""From scores to the table of an evaluation: figures a subset, and their mean over the subsets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aligngemini.evaluation.figures import interval, score_figures, share, share_draws
from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.notes import notes_on
from aligngemini.evaluation.scores import SHARED, ScoreRow, ScoresError

FIGURES: dict[str, str] = {
    "real_accuracy": "photos below 0.5",
    "fake_accuracy": "fakes from 0.5 up",
    "balanced_accuracy": "mean of both, at 0.5",
    "accuracy": "all images alike, at 0.5",
    "real_accuracy_shipped": "photos not called fake at the shipped threshold",
    "fake_accuracy_shipped": "fakes called fake at the shipped threshold",
    "balanced_accuracy_shipped": "mean of both, at the shipped threshold",
    "detection_rate": "fakes from 0.5 up; there are no photos in this subset",
    "detection_rate_shipped": "fakes called fake at the shipped threshold; no photos here",
    "ap": "average precision",
    "auc": "area under the ROC curve",
    "recall_at_1_oracle": "fakes found at 1 % false alarms, threshold set on these very photos",
    "recall_at_5_oracle": "fakes found at 5 % false alarms, threshold set on these very photos",
    "ece": "expected calibration error, 15 bins of equal width",
    "brier": "mean squared error of the score",
    "undecided_real": "photos called undecided at the shipped thresholds",
    "undecided_fake": "fakes called undecided at the shipped thresholds",
}
"""Name of every figure and what it says; all are shares in [0, 1]."""


@dataclass(frozen=True)
class Line:
    """One subset under one protocol, judged by one branch.

    Attributes:
        protocol: As in `ScoreRow`.
        branch: As in `ScoreRow`.
        subset: The benchmark's name; `*` where it has no subsets.
        real: Photos that were judged, those that all subsets share among them.
        fake: Fakes that were judged.
        unjudged: Images of both classes that were there and have no score; no figure counts them.
        holes: Images that the benchmark has and this copy of it has not.
        figures: By name (`FIGURES`); None where the subset cannot have it.
    """

    protocol: str
    branch: str
    subset: str
    real: int
    fake: int
    unjudged: int
    holes: int
    figures: Mapping[str, Interval | None]


@dataclass(frozen=True)
class Summary:
    """A branch under a protocol over all subsets, each counting once.

    Attributes:
        mean: Of the subsets that have the figure, by name; None where none has.
        sd: Standard deviation over those subsets (n - 1); None for fewer than two.
        minimum: The lowest of them.
    """

    protocol: str
    branch: str
    mean: Mapping[str, float | None]
    sd: Mapping[str, float | None]
    minimum: Mapping[str, float | None]


@dataclass(frozen=True)
class Table:
    """Everything that an evaluation found.

    Attributes:
        benchmark: Its name.
        models: `name@fingerprint` by branch.
        lines: By protocol, branch and subset, in the order of the scores.
        summaries: One for each protocol and branch.
        notes: What a reader must know beside the figures, a sentence each.
    """

    benchmark: str
    models: Mapping[str, str]
    lines: tuple[Line, ...]
    summaries: tuple[Summary, ...]
    notes: tuple[str, ...]


def make_table(
    rows: Sequence[ScoreRow],
    *,
    benchmark: str,
    holes: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Compute all figures of an evaluation.

    Args:
        rows: Scores of one benchmark, of any number of protocols and branches.
        benchmark: Its name.
        holes: How many images each subset lacks; a subset of which nothing is there has a line too.
        notes: What to say beside, before what the scores themselves call for.

    Raises:
        ScoresError: One branch's scores come from two models.
    """
    holes = dict(holes or {})
    models = _models(rows)
    by_column: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        by_column.setdefault((row.protocol, row.branch), []).append(row)
    subsets = list(dict.fromkeys([*(row.subset for row in rows), *holes]))
    if subsets != [SHARED]:
        subsets = [name for name in subsets if name != SHARED]
    lines = []
    for (protocol, branch), column in by_column.items():
        by_subset: dict[str, list[ScoreRow]] = {}
        for row in column:
            by_subset.setdefault(row.subset, []).append(row)
        shared = by_subset.get(SHARED, [])
        for name in subsets:
            own = shared if name == SHARED else [*by_subset.get(name, []), *shared]
            lines.append(_line(protocol, branch, name, own, holes.get(name, 0)))
    return Table(
        benchmark=benchmark,
        models=models,
        lines=tuple(lines),
        summaries=tuple(_summaries(lines)),
        notes=(*notes, *notes_on(rows, holes)),
    )


def _line(protocol: str, branch: str, subset: str, rows: Iterable[ScoreRow], holes: int) -> Line:
    by_label: dict[str, list[ScoreRow]] = {"real": [], "fake": []}
    unjudged = 0
    for row in rows:
        if row.score is None and row.verdict is None:
            unjudged += 1
        else:
            by_label[row.label].append(row)
    return Line(
        protocol=protocol,
        branch=branch,
        subset=subset,
        real=len(by_label["real"]),
        fake=len(by_label["fake"]),
        unjudged=unjudged,
        holes=holes,
        figures=_figures(by_label["real"], by_label["fake"]),
    )


def _figures(photos: Sequence[ScoreRow], fakes: Sequence[ScoreRow]) -> dict[str, Interval | None]:
    figures: dict[str, Interval | None] = dict.fromkeys(FIGURES)
    real, fake = _scores(photos), _scores(fakes)
    if len(real) and len(fake):
        figures.update(score_figures(real, fake))
    elif len(real) and not fakes:
        figures["real_accuracy"] = share(int((real < 0.5).sum()), len(real))
    elif len(fake) and not photos:
        figures["detection_rate"] = share(int((fake >= 0.5).sum()), len(fake))
    figures.update(_verdict_figures(_verdicts(photos), _verdicts(fakes)))
    return figures


def _verdict_figures(photos: Counter[str], fakes: Counter[str]) -> dict[str, Interval]:
    """What the shipped thresholds make of the images; a photo called undecided is not accused."""
    figures = {}
    real, fake = photos.total(), fakes.total()
    if real:
        figures["real_accuracy_shipped"] = share(real - photos["fake"], real)
        figures["undecided_real"] = share(photos["undecided"], real)
    if fake:
        name = "fake_accuracy_shipped" if real else "detection_rate_shipped"
        figures[name] = share(fakes["fake"], fake)
        figures["undecided_fake"] = share(fakes["undecided"], fake)
    if real and fake:
        rates = share_draws(real - photos["fake"], real, seed=1), share_draws(fakes["fake"], fake)
        value = ((real - photos["fake"]) / real + fakes["fake"] / fake) / 2
        figures["balanced_accuracy_shipped"] = interval(value, (rates[0] + rates[1]) / 2)
    return figures


def _scores(rows: Iterable[ScoreRow]) -> np.ndarray:
    return np.array([row.score for row in rows if row.score is not None], np.float64)


def _verdicts(rows: Iterable[ScoreRow]) -> Counter[str]:
    return Counter(row.verdict for row in rows if row.verdict is not None)


def _summaries(lines: Sequence[Line]) -> list[Summary]:
    summaries = []
    for protocol, branch in dict.fromkeys((line.protocol, line.branch) for line in lines):
        part = [line for line in lines if (line.protocol, line.branch) == (protocol, branch)]
        values = {
            name: [figure.value for line in part if (figure := line.figures[name]) is not None]
            for name in FIGURES
        }
        summaries.append(
            Summary(
                protocol=protocol,
                branch=branch,
                mean={name: float(np.mean(of)) if of else None for name, of in values.items()},
                sd={
                    name: float(np.std(of, ddof=1)) if len(of) > 1 else None
                    for name, of in values.items()
                },
                minimum={name: min(of, default=None) for name, of in values.items()},
            )
        )
    return summaries


def _models(rows: Iterable[ScoreRow]) -> dict[str, str]:
    models: dict[str, str] = {}
    for row in rows:
        if row.model and models.setdefault(row.branch, row.model) != row.model:
            raise ScoresError(
                f"the {row.branch} scores come from two models, {models[row.branch]} and "
                f"{row.model}: evaluate each into a folder of its own"
            )
    return models
