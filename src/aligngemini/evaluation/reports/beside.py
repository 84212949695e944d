"""Published numbers beside ours, and what keeps the two from being compared."""

from collections.abc import Sequence

from aligngemini.benchmarks.published import MEAN, TRUST_WORDS, Published
from aligngemini.evaluation.blocks import Fold, Grid
from aligngemini.evaluation.reports.grids import columns_of, is_delivery, percent
from aligngemini.evaluation.tables import Line, Table

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "real_accuracy": "photos right",
    "fake_accuracy": "fakes right",
    "detection_rate": "detection rate",
    "ap": "AP",
}
TITLE = "Beside published numbers"


def beside_published(table: Table, published: Sequence[Published]) -> Fold | None:
    """Published numbers beside what our branches reach under the same protocol, a table a source.

    Where that protocol was not run, ours is under the table's first one, and the note says so.

    Args:
        table: Of one benchmark.
        published: Numbers of the same.

    Returns:
        None where there is nothing to compare.
    """
    protocols = dict.fromkeys(one for one, _ in columns_of(table) if not is_delivery(one))
    if not (protocols and published):
        return None
    groups: dict[tuple[str, ...], list[Published]] = {}
    for number in published:
        key = (number.source, number.trust, number.metric, number.protocol, number.remark)
        groups.setdefault(key, []).append(number)
    grids = []
    for group in groups.values():
        wanted = group[0].protocol
        grids.append(_grid(table, group, wanted if wanted in protocols else next(iter(protocols))))
    return Fold(TITLE, tuple(grids), _CAUTION, opened=True)


_CAUTION = (
    "The same method's number differs by up to eight points from paper to paper: compare within "
    "one table, and read what stands below it."
)


def _grid(table: Table, group: Sequence[Published], protocol: str) -> Grid:
    """Numbers of one source, metric and protocol; `protocol` is that of ours."""
    branches = list(dict.fromkeys(branch for _, branch in columns_of(table)))
    rows = [
        (
            number.subset,
            number.method,
            _value(number),
            *(percent(_ours(table, protocol, branch, number)) for branch in branches),
        )
        for number in group
    ]
    first = group[0]
    return Grid(
        f"{METRICS.get(first.metric, first.metric)}: {first.source}",
        ("subset", "method", "published", *(f"ours: {branch}" for branch in branches)),
        tuple(rows),
        _note(table, group, protocol),
        left=2,
    )


def _note(table: Table, group: Sequence[Published], protocol: str) -> str:
    first = group[0]
    said = [f"In per cent, {TRUST_WORDS[first.trust]}"]
    if first.remark:
        said.append(first.remark)
    if first.protocol != protocol:
        said.append(f"PROTOCOLS DIFFER: theirs {first.protocol}, ours {protocol}")
    else:
        said.append(f"protocol of both: {protocol}")
    branch = columns_of(table)[0][1]
    lines = {
        line.subset: line
        for number in group
        for line in _lines(table, protocol, branch, number.subset)
    }
    lacking = [name for name, line in lines.items() if line.figures.get(first.metric) is None]
    if lacking:
        said.append(f"ours lacks {', '.join(lacking)}")
    lost = sum(line.unjudged for line in lines.values())
    holes = sum(line.holes for line in lines.values())
    if lost or holes:
        said.append(f"of ours {lost} images not judged, {holes} missing")
    return "; ".join(said) + "."


def _lines(table: Table, protocol: str, branch: str, subset: str) -> list[Line]:
    """The lines that a published subset stands for: all, one, or those joined by `+`."""
    names = subset.split("+")
    return [
        line
        for line in table.lines
        if (line.protocol, line.branch) == (protocol, branch)
        and (subset == MEAN or line.subset in names)
    ]


def _ours(table: Table, protocol: str, branch: str, number: Published) -> float | None:
    """The mean over the subsets; None unless every one that was asked for by name has it."""
    lines = _lines(table, protocol, branch, number.subset)
    found = [one for line in lines if (one := line.figures.get(number.metric)) is not None]
    wanted = 1 if number.subset == MEAN else len(number.subset.split("+"))
    if len(found) < wanted:
        return None
    return sum(one.value for one in found) / len(found)


def _value(number: Published) -> str:
    if number.spread is None:
        return percent(number.value)
    return f"{percent(number.value)} \u00b1 {100 * number.spread:.1f}"
