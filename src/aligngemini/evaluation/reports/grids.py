"""The tables of a report: figures in per cent with their intervals, missing images in every one."""

from collections.abc import Callable, Mapping, Sequence

from aligngemini.evaluation.blocks import Grid
from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.protocols import PROTOCOLS
from aligngemini.evaluation.tables import Line, Summary, Table

AT_HALF = ("real_accuracy", "fake_accuracy", "balanced_accuracy", "detection_rate")
SHIPPED = tuple(f"{name}_shipped" for name in AT_HALF)
UNDECIDED = ("undecided_real", "undecided_fake")
RANKING = ("ap", "auc", "recall_at_1_oracle", "recall_at_5_oracle", "ece", "brier")
LOSSES = ("ece", "brier")  # the worst of these is the highest

HEADS = {
    "real_accuracy": "photos right",
    "fake_accuracy": "fakes right",
    "balanced_accuracy": "balanced",
    "detection_rate": "detection rate",
    "real_accuracy_shipped": "photos not accused",
    "fake_accuracy_shipped": "fakes found",
    "balanced_accuracy_shipped": "balanced",
    "detection_rate_shipped": "detection rate",
    "undecided_real": "photos undecided",
    "undecided_fake": "fakes undecided",
    "ap": "AP",
    "auc": "AUC",
    "recall_at_1_oracle": "recall at 1 % (oracle)",
    "recall_at_5_oracle": "recall at 5 % (oracle)",
    "ece": "ECE",
    "brier": "Brier",
}
COUNTED = ("photos", "fakes", "not judged", "missing")
NOTHING = "\u2013"  # a dash
MEAN, MINIMUM = "mean \u00b1 sd", "minimum"

_ORACLE = (
    "Oracle: the threshold is set on these very photos, so that the figure is a ceiling and no "
    "promise."
)


def columns_of(table: Table) -> list[tuple[str, str]]:
    """Protocols and branches, in the table's order."""
    return list(dict.fromkeys((line.protocol, line.branch) for line in table.lines))


def is_delivery(protocol: str) -> bool:
    """Whether a protocol is a delivery such as `jpeg:75`, and none of those with a name."""
    return protocol not in PROTOCOLS


def overview(table: Table, protocol: str) -> Grid:
    """Single branches beside the fusion: balanced accuracy at 0.5, or the detection rate."""
    branches = [branch for one, branch in columns_of(table) if one == protocol]
    by_subset: dict[str, dict[str, Line]] = {}
    for line in table.lines:
        if line.protocol == protocol:
            by_subset.setdefault(line.subset, {})[line.branch] = line
    rows = []
    for subset, lines in by_subset.items():
        cells = [_main(lines[branch]) if branch in lines else NOTHING for branch in branches]
        rows.append((_subset(subset), *_counts(list(lines.values())), *cells))
    summaries = {one.branch: one for one in table.summaries if one.protocol == protocol}
    for name, cell in ((MEAN, _mean), (MINIMUM, _worst)) if len(by_subset) > 1 else ():
        cells = [_main_summary(summaries.get(branch), cell) for branch in branches]
        rows.append((name, *[""] * len(COUNTED), *cells))
    return Grid(
        f"{protocol}: branch beside branch",
        ("subset", *COUNTED, *branches),
        tuple(rows),
        "Balanced accuracy at 0.5 in per cent, with its 95 % interval; for subsets of fakes alone, "
        "marked *, the detection rate. Not judged: of all these branches, the one that failed most "
        "often.",
    )


def details(table: Table, protocol: str, branch: str) -> list[Grid]:
    """All figures of one branch under one protocol; columns that nothing has are left out."""
    lines = [one for one in table.lines if (one.protocol, one.branch) == (protocol, branch)]
    summaries = [one for one in table.summaries if (one.protocol, one.branch) == (protocol, branch)]
    name = f"{protocol}, {branch}"
    return [
        grid
        for title, figures, note in (
            (f"{name}: at 0.5", AT_HALF, "In per cent, with 95 % intervals."),
            (
                f"{name}: at the shipped threshold",
                (*SHIPPED, *UNDECIDED),
                "In per cent, with 95 % intervals. A photo that is called undecided is not "
                "accused; a fake that is called undecided is not found.",
            ),
            (
                f"{name}: ranking and calibration",
                RANKING,
                f"AP, AUC and recall in per cent. {_ORACLE} ECE and Brier: lower is better.",
            ),
        )
        if (grid := _grid(title, lines, summaries, figures, note)) is not None
    ]


def robustness(table: Table) -> Grid | None:
    """Means over the subsets under each delivery; None where there is none."""
    means = {(one.protocol, one.branch): one.mean for one in table.summaries}
    branches = list(dict.fromkeys(branch for _, branch in means))
    protocols = list(dict.fromkeys(protocol for protocol, _ in means))
    if not any(map(is_delivery, protocols)):
        return None
    counted: dict[str, list[Line]] = {}
    for line in table.lines:
        counted.setdefault(line.protocol, []).append(line)
    used = [
        name
        for name in (*AT_HALF, "auc", *UNDECIDED)
        if any(mean.get(name) is not None for mean in means.values())
    ]
    rows = []
    for protocol in protocols:
        for branch in branches:
            lines = [line for line in counted[protocol] if line.branch == branch]
            lost = str(sum(line.unjudged for line in lines))
            holes = str(sum(line.holes for line in lines))
            mean = means.get((protocol, branch), {})
            rows.append((protocol, branch, lost, holes, *(percent(mean.get(n)) for n in used)))
    return Grid(
        "Robustness: what delivery does",
        ("delivery", "branch", "not judged", "missing", *(HEADS[name] for name in used)),
        tuple(rows),
        "Means over the subsets in per cent, at 0.5; undecided at the shipped thresholds.",
        left=2,
    )


def percent(value: float | None) -> str:
    """A share in [0, 1] in per cent, one decimal, never rounded to all or nothing."""
    if value is None:
        return NOTHING
    for digits in range(1, 5):
        shown = f"{100 * value:.{digits}f}"
        if value in (0, 1) or float(shown) not in (0, 100):
            break
    return shown


def _grid(
    title: str,
    lines: Sequence[Line],
    summaries: Sequence[Summary],
    figures: Sequence[str],
    note: str,
) -> Grid | None:
    used = [name for name in figures if any(line.figures.get(name) for line in lines)]
    if not used:
        return None
    rows = [
        (
            _subset(line.subset),
            *_counts([line]),
            *(_figure(name, line.figures.get(name)) for name in used),
        )
        for line in lines
    ]
    for summary in summaries if len(lines) > 1 else ():
        blank = [""] * len(COUNTED)
        rows.append((MEAN, *blank, *(_mean(summary, name) for name in used)))
        rows.append((MINIMUM, *blank, *(_worst(summary, name) for name in used)))
    return Grid(title, ("subset", *COUNTED, *(HEADS[name] for name in used)), tuple(rows), note)


def _figure(name: str, found: Interval | None) -> str:
    if found is None:
        return NOTHING
    if name in LOSSES:
        return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    return f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})"


def _mean(summary: Summary, name: str) -> str:
    mean, sd = summary.mean.get(name), summary.sd.get(name)
    if mean is None:
        return NOTHING
    if name in LOSSES:
        return f"{mean:.3f}" if sd is None else f"{mean:.3f} \u00b1 {sd:.3f}"
    return percent(mean) if sd is None else f"{percent(mean)} \u00b1 {100 * sd:.1f}"


def _worst(summary: Summary, name: str) -> str:
    """The minimum; of losses, where it would be the best, none."""
    if name in LOSSES:
        return NOTHING
    return percent(summary.minimum.get(name))


def _main(line: Line) -> str:
    name = main_figure(line.figures)
    if name is None:
        return NOTHING
    mark = "" if name == "balanced_accuracy" else "*"
    return _figure(name, line.figures[name]) + mark


def _main_summary(summary: Summary | None, cell: Callable[[Summary, str], str]) -> str:
    if summary is None or (name := main_figure(summary.mean)) is None:
        return NOTHING
    return cell(summary, name) + ("" if name == "balanced_accuracy" else "*")


def main_figure(figures: Mapping[str, Interval | float | None]) -> str | None:
    """The one figure that stands for all: balanced accuracy, else the detection rate."""
    for name in ("balanced_accuracy", "detection_rate"):
        if figures.get(name) is not None:
            return name
    return None


def _counts(lines: Sequence[Line]) -> tuple[str, ...]:
    """What is in `COUNTED`; of several branches the most that any judged, and failed to judge."""
    names = ("real", "fake", "unjudged", "holes")
    return tuple(str(max(getattr(line, name) for line in lines)) for name in names)


def _subset(name: str) -> str:
    return "all" if name == "*" else name
