"""Drawing a matrix of figures: cells down, figures across. See `figures` for bars."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from aligngemini.evaluation.reports.svg import INK
from aligngemini.experiments.table import Table

CELL = 0.95  # inches across
ROW = 0.45


def heat(
    table: Table,
    panels: Mapping[str, Sequence[str]],
    cells: Sequence[str],
    *,
    limits: tuple[float, float] = (0.5, 1.0),
    label: str = "",
) -> Figure:
    """Means over the seeds as a matrix, a panel below another, the deviation in small.

    Args:
        table: The numbers.
        panels: Columns by the panel's title; what stands before a colon or behind a comma in a
            name is the title's to say, and left out.
        cells: Rows; those without any figure of a panel are left out of it.
        limits: Of the colours.
        label: Of the rows.
    """
    widest = max(len(names) for names in panels.values())
    rows = [
        [cell for cell in cells if any(table.has(cell, name) for name in names)]
        for names in panels.values()
    ]
    height = ROW * sum(map(len, rows)) + len(panels)
    figure = Figure(figsize=(CELL * widest + 2.2, height), layout="constrained")
    ratios = [len(there) + 1 for there in rows]
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=ratios).ravel()
    for axes, there, (title, names) in zip(grid, rows, panels.items(), strict=True):
        means = np.array(
            [[table.mean(c, n) if table.has(c, n) else np.nan for n in names] for c in there]
        )
        axes.imshow(means, cmap="Blues", vmin=limits[0], vmax=limits[1], aspect="auto")
        middle = sum(limits) / 2
        for (row, column), mean in np.ndenumerate(means):
            if np.isnan(mean):
                continue
            text = f"{mean:.2f}\n± {table.sd(there[row], names[column]):.2f}"
            colour = "white" if mean > middle + 0.1 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(np.arange(len(names)), [_short(name) for name in names])
        axes.set_yticks(np.arange(len(there)), there)
        axes.set(title=title, ylabel=label)
        axes.grid(visible=False)
        axes.tick_params(axis="x", labelrotation=20 if len(names) > 5 else 0, labelsize=7)
    return figure


def _short(name: str) -> str:
    return name.partition(": ")[2] or name.partition(", ")[0]
