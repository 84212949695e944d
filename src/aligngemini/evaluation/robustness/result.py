"""What a robustness run found: tables, curves, one file for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aligngemini import __version__
from aligngemini.evaluation.blocks import Block, Grid, Points, markdown
from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.reports.curves import sweeps
from aligngemini.evaluation.reports.grids import NOTHING, percent
from aligngemini.evaluation.reports.plots import curves_figure
from aligngemini.evaluation.reports.svg import settings
from aligngemini.evaluation.robustness.changes import Change, changes
from aligngemini.evaluation.robustness.flips import Flips, flips
from aligngemini.evaluation.robustness.steps import CONTROL, TEXT
from aligngemini.evaluation.scores import FUSED, SHARED, ScoreRow
from aligngemini.evaluation.tables import FIGURES, Line, Table, make_table
from aligngemini.images.deliveries import AS_IS
from aligngemini.report.files import replacing

ROBUSTNESS = "robustness.json"
WHITE = "#ffffff"


@dataclass(frozen=True)
class Result:
    """What a robustness run found.

    Attributes:
        table: Figures of every step, all images of the set together.
        changes: What each step changes.
        flips: What words in the picture do.
    """

    table: Table
    changes: list[Change]
    flips: list[Flips]


def make_result(rows: Sequence[ScoreRow], *, name: str, notes: Sequence[str] = ()) -> Result:
    """Compute everything from scores.

    Args:
        rows: Of one detector, under `as-is` and any number of deliveries.
        name: Of the set.
        notes: What to say beside the figures.
    """
    together = [replace(row, subset=SHARED) for row in rows]
    table = make_table(together, benchmark=name, notes=notes)
    return Result(table, changes(rows), flips(rows))


def write_result(result: Result, out: Path) -> list[Path]:
    """Write `robustness.json` and `.md`, and `curves.svg` and `.png` where there are curves.

    Raises:
        OSError: A file cannot be written.
    """
    title = f"Robustness: {result.table.benchmark}"
    blocks: list[Block] = [*grids(result), *_around(result.table)]
    lead = "Every figure is of the same images, delivered otherwise."
    texts = {
        ROBUSTNESS: _to_json(result).encode(),
        "robustness.md": markdown(title, lead, blocks).encode(),
    }
    written = []
    for file_name, data in texts.items():
        with replacing(out / file_name) as file:
            file.write(data)
        written.append(out / file_name)
    return [*written, *_write_curves(result.table, out)]


def grids(result: Result, *, short: bool = False) -> list[Grid]:
    """The tables for people: one of deliveries, one of words in the picture.

    A fusion that says what its only branch says is left out.

    Args:
        result: What was found.
        short: Whether to leave out intervals, and of the words what is in their sums.
    """
    found = []
    branches = _branches(result.table)
    steps = [
        line
        for line in result.table.lines
        if line.branch in branches and not _is_overlay(line.protocol)
    ]
    if {line.protocol for line in steps} - {AS_IS} or not result.flips:
        by_step = {(change.protocol, change.branch): change for change in result.changes}
        found.append(_steps_grid(steps, by_step, interval=not short))
    words = [one for one in result.flips if one.branch in branches]
    if short and any(one.overlays > 1 for one in words):
        words = [one for one in words if one.overlays > 1]
    if words:
        found.append(_flips_grid(words, interval=not short))
    return found


def _branches(table: Table) -> set[str]:
    """Those to show."""
    figures: dict[str, list[Mapping[str, Interval | None]]] = {}
    for line in table.lines:
        figures.setdefault(line.branch, []).append(line.figures)
    one_alone = len(figures) == 2 and FUSED in figures
    if one_alone and len({str(of) for of in figures.values()}) == 1:
        del figures[FUSED]
    return set(figures)


def _steps_grid(
    lines: Sequence[Line], by_step: Mapping[tuple[str, str], Change], *, interval: bool
) -> Grid:
    rows = []
    for line in lines:
        change = by_step.get((line.protocol, line.branch))
        moved = change.figures if change is not None else {}
        rows.append(
            (
                line.protocol,
                line.branch,
                _figure(line, "real_accuracy"),
                _figure(line, "fake_accuracy", "detection_rate"),
                _figure(line, "balanced_accuracy", interval=interval),
                _signed(moved.get("balanced_accuracy")),
                _figure(line, "auc", interval=interval),
                _signed(moved.get("auc")),
                percent(change.accused if change is not None else None),
                percent(change.lost if change is not None else None),
                _figure(line, "undecided_real"),
                _figure(line, "undecided_fake"),
                str(line.unjudged),
            )
        )
    return Grid(
        "What delivery does",
        (
            *("delivery", "branch", "photos right", "fakes right", "balanced", "change", "AUC"),
            *("change", "accused now", "lost now", "photos undecided", "fakes undecided"),
            "not judged",
        ),
        tuple(rows),
        "In per cent; changes in points, on the images judged both ways. Right: at 0.5. Accused "
        "now: photos that the shipped threshold calls fake and did not before; lost now: fakes "
        "that it called fake and does no more.",
        left=2,
    )


def _flips_grid(found: Sequence[Flips], *, interval: bool) -> Grid:
    rows = [
        (
            one.branch,
            one.overlay,
            _share(one.turned, interval=interval),
            _share(one.from_fake, interval=interval),
            _share(one.to_fake, interval=interval),
            NOTHING if one.move is None else _move(one.move),
            percent(None if one.ink is None else one.ink.value),
            str(one.images),
        )
        for one in found
    ]
    return Grid(
        "Words in the picture",
        (
            *("branch", "words@style", "turned", "fake no more", "fake now", "score moves by"),
            *("turned by ink", "images"),
        ),
        tuple(rows),
        "Against the same letters in an order without meaning, in the same place; in per cent of "
        "the images, intervals of 95 %. Turned by ink: verdicts that these letters turn, "
        "against the image without them.",
        left=2,
    )


def _around(table: Table) -> list[Points]:
    points = []
    if table.notes:
        points.append(Points("What must be known beside the figures", table.notes))
    models = tuple(f"{branch}: {model}" for branch, model in table.models.items())
    return [*points, Points("What judged", models)]


def _write_curves(table: Table, out: Path) -> list[Path]:
    shown = _branches(table)
    found = sweeps(
        replace(table, summaries=tuple(one for one in table.summaries if one.branch in shown))
    )
    if not found:
        return []
    written = []
    for suffix, undated in (("svg", {"Date": None}), ("png", {})):
        path = out / f"curves.{suffix}"
        with settings(), replacing(path) as file:
            figure = curves_figure(found)
            figure.savefig(file, format=suffix, facecolor=WHITE, dpi=144, metadata=undated)
        written.append(path)
    return written


def _to_json(result: Result) -> str:
    record = {
        "version": __version__,
        **asdict(result.table),
        "changes": [asdict(one) for one in result.changes],
        "flips": [asdict(one) for one in result.flips],
        "meaning": FIGURES,
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _is_overlay(protocol: str) -> bool:
    return protocol.partition(":")[0] in (TEXT, CONTROL) and "+" not in protocol


def _figure(line: Line, *names: str, interval: bool = False) -> str:
    figure = next((one for name in names if (one := line.figures.get(name)) is not None), None)
    if figure is None:
        return NOTHING
    return _share(figure, interval=interval)


def _share(figure: Interval, *, interval: bool) -> str:
    if not interval:
        return percent(figure.value)
    return f"{percent(figure.value)} ({percent(figure.low)} to {percent(figure.high)})"


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:+.1f}"


def _move(figure: Interval) -> str:
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"
