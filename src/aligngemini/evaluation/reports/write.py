"""All reports of an evaluation, written side by side."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from aligngemini import __version__
from aligngemini.benchmarks.published import Published, published_for
from aligngemini.evaluation.blocks import Block, Fold, Grid, Plot, Points, counted, latex, markdown
from aligngemini.evaluation.pages import page
from aligngemini.evaluation.reports import plots
from aligngemini.evaluation.reports.beside import beside_published
from aligngemini.evaluation.reports.curves import scores_by, sweeps
from aligngemini.evaluation.reports.grids import (
    columns_of,
    details,
    is_delivery,
    main_figure,
    overview,
    percent,
    robustness,
)
from aligngemini.evaluation.reports.worst import most_wrong
from aligngemini.evaluation.scores import FUSED, ScoreRow
from aligngemini.evaluation.tables import FIGURES, Line, Table
from aligngemini.report.files import replacing


def write_reports(
    table: Table,
    rows: Sequence[ScoreRow],
    out: Path,
    *,
    published: Sequence[Published] | None = None,
    pictures: bool = True,
) -> list[Path]:
    """Write an evaluation as Markdown, CSV, LaTeX, JSON and one HTML page.

    The same table and rows give the same bytes, as long as the images shown are the same.

    Args:
        table: Of the rows.
        rows: Scores, for curves and for the images that a detector is most wrong about.
        out: Folder, which must exist. Reports there are replaced, each whole or not at all.
        published: Numbers to show beside ours; None for all that are known of the benchmark.
        pictures: Whether the page shows images; leave them out of a page to be published.

    Returns:
        What was written: `report.html`, `.md`, `.csv`, `.tex` and `.json`.

    Raises:
        OSError: A file cannot be written.
    """
    title, lead = f"Evaluation: {table.benchmark}", headline(table)
    if published is None:
        published = published_for(table.benchmark)
    overviews, folds = _overviews(table, published), _folds(table)
    tables = [*_around(table), *overviews]
    texts = {
        "report.html": page(
            title,
            lead,
            [*tables, *_plots(table, rows), *_pictures(rows, pictures), *folds],
        ),
        "report.md": markdown(title, lead, [*tables, *folds]),
        "report.csv": to_csv(table),
        "report.tex": _to_latex([*overviews, *folds]),
        "report.json": _to_json(table, published),
    }
    written = []
    for name, text in texts.items():
        path = out / name
        with replacing(path) as file:
            file.write(text.encode())
        written.append(path)
    return written


def headline(table: Table) -> str:
    """The evaluation in one sentence: what stands first under the first protocol."""
    columns = [column for column in columns_of(table) if not is_delivery(column[0])]
    columns = columns or columns_of(table)
    if not columns:
        return "No image has a score."
    protocol = columns[0][0]
    branches = [branch for one, branch in columns if one == protocol]
    branch = FUSED if FUSED in branches else branches[0]
    summary = next(
        one for one in table.summaries if (one.protocol, one.branch) == (protocol, branch)
    )
    name = main_figure(summary.mean)
    if name is None:
        return f"{branch}, {protocol}: no figure could be computed."
    lines = [one for one in table.lines if (one.protocol, one.branch) == (protocol, branch)]
    measured = [one for one in lines if one.figures.get(name) is not None]
    what = {"balanced_accuracy": "balanced accuracy"}.get(name, "detection rate (fakes alone)")
    said = f"{branch}, {protocol}: {what} {percent(summary.mean[name])} %"
    if len(measured) > 1:
        lowest = percent(summary.minimum[name])
        said += f" as the mean over {len(measured)} subsets, at least {lowest} %"
    lost, holes = sum(one.unjudged for one in lines), sum(one.holes for one in lines)
    for count, words in ((lost, "not judged"), (holes, "missing")):
        if count:
            said += f"; {counted(count, 'image')} {words}"
    return f"{said}."


def to_csv(table: Table) -> str:
    """A row for each line of the table, and for each mean, deviation and minimum.

    Figures are shares in [0, 1]; empty where there is none.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    figures = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    counts = ("real", "fake", "unjudged", "holes")
    writer.writerow(("row", "protocol", "branch", "subset", *counts, *figures))
    for line in table.lines:
        found = [line.figures.get(name) for name in FIGURES]
        cells = [
            cell
            for one in found
            for cell in (("", "", "") if one is None else (one.value, one.low, one.high))
        ]
        where = (line.protocol, line.branch, line.subset)
        writer.writerow(("subset", *where, line.real, line.fake, line.unjudged, line.holes, *cells))
    for summary in table.summaries:
        for row in ("mean", "sd", "minimum"):
            values = getattr(summary, row)
            cells = [cell for name in FIGURES for cell in (values.get(name), "", "")]
            writer.writerow((row, summary.protocol, summary.branch, "", *[""] * 4, *cells))
    return file.getvalue()


def _overviews(table: Table, published: Sequence[Published]) -> list[Grid | Fold]:
    grids = [overview(table, protocol) for protocol in _named_protocols(table)]
    others = (beside_published(table, published), robustness(table))
    return [*grids, *(block for block in others if block is not None)]


def _folds(table: Table) -> list[Fold]:
    return [
        Fold(f"All figures: {protocol}, {branch}", tuple(details(table, protocol, branch)))
        for protocol, branch in columns_of(table)
        if not is_delivery(protocol)
    ]


def _named_protocols(table: Table) -> list[str]:
    protocols = dict.fromkeys(protocol for protocol, _ in columns_of(table))
    return [protocol for protocol in protocols if not is_delivery(protocol)]


def _around(table: Table) -> list[Block]:
    blocks: list[Block] = []
    if table.notes:
        blocks.append(Points("What must be known beside the figures", table.notes))
    if table.models:
        blocks.append(Grid("What judged", ("branch", "model"), tuple(table.models.items()), left=2))
    return blocks


def _plots(table: Table, rows: Sequence[ScoreRow]) -> list[Plot]:
    made = []
    scores = {column: of for column, of in scores_by(rows).items() if of.both}
    for protocol in _named_protocols(table):
        lines: dict[str, list[Line]] = {}
        for line in table.lines:
            if line.protocol == protocol:
                lines.setdefault(line.branch, []).append(line)
        title = f"{protocol}: photos and fakes apart"
        note = "At 0.5, with 95 % intervals."
        made.append(Plot(title, plots.accuracy_bars(lines, title), note))
        branches = {branch: of for (one, branch), of in scores.items() if one == protocol}
        if branches:
            note = "All subsets together, each photo once."
            title = f"{protocol}: ROC and DET"
            made.append(Plot(title, plots.roc_and_det(branches, title), note))
            title = f"{protocol}: reliability"
            note += " On the dotted line, of the images that score 0.8, 80 in 100 are fakes."
            made.append(Plot(title, plots.reliability_diagram(branches, title), note))
    if found := sweeps(table):
        title = "Robustness: curves"
        note = "Means over the subsets, at 0.5. Dotted: the same without any delivery."
        made.append(Plot(title, plots.robustness_curves(found, title), note))
    return made


def _pictures(rows: Sequence[ScoreRow], wanted: bool) -> list[Block]:
    columns = list(dict.fromkeys((row.protocol, row.branch) for row in rows))
    if not (wanted and columns):
        return []
    protocol = columns[0][0]
    branch = FUSED if (protocol, FUSED) in columns else columns[0][1]
    return list(most_wrong(rows, protocol, branch))


def _to_latex(blocks: Sequence[Grid | Fold]) -> str:
    head = f"% Made by aligngemini {__version__}. Needs \\usepackage{{booktabs}}.\n\n"
    grids = [grid for one in blocks for grid in (one.grids if isinstance(one, Fold) else (one,))]
    return head + "\n".join(latex(grid, f"part-{k}") for k, grid in enumerate(grids, start=1))


def _to_json(table: Table, published: Sequence[Published]) -> str:
    record = {
        "version": __version__,
        "headline": headline(table),
        **asdict(table),
        "published": [asdict(number) for number in published],
        "meaning": FIGURES,
    }
    return json.dumps(record, indent=1) + "\n"
