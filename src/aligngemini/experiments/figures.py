"""Drawings that studies share. Draw inside `evaluation.reports.svg.settings`, as reports do."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from aligngemini.evaluation.reports.plots import COLOURS
from aligngemini.evaluation.reports.svg import INK
from aligngemini.experiments.table import Table

WIDTH = 9.0  # inches
HATCHES = ("", "///", "...")  # where the colours begin anew
WHOLE = 0.8  # of the room between two groups that bars fill


def bars(
    table: Table,
    panels: Mapping[str, Sequence[str]],
    cells: Sequence[str],
    *,
    chance: float | None = 0.5,
    limits: tuple[float, float] = (0.0, 1.0),
    label: str = "",
) -> Figure:
    """Groups of bars, a panel below another: mean over the seeds, deviation, and every seed.

    Args:
        table: The numbers.
        panels: Figures to group by, by the panel's title.
        cells: A bar each in every group.
        chance: Where to draw a dotted line.
        limits: Of the vertical axis.
        label: Of the vertical axis.
    """
    figure = Figure(figsize=(WIDTH, 2.7 * len(panels) + 0.6), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False).ravel()
    width = WHOLE / len(cells)
    for axes, (title, names) in zip(grid, panels.items(), strict=True):
        for k, cell in enumerate(cells):
            for place, name in enumerate(names):
                if not table.has(cell, name):
                    continue
                x = place + (k + 0.5) * width - WHOLE / 2
                values = table.values(cell, name)
                colour = COLOURS[k % len(COLOURS)]
                shown = cell if place == 0 else None
                bar = axes.bar(
                    x, values.mean(), 0.92 * width, color=colour, label=shown, alpha=0.75
                )
                bar[0].set_hatch(HATCHES[k // len(COLOURS) % len(HATCHES)])
                if len(values) > 1:
                    axes.errorbar(x, values.mean(), values.std(ddof=1), color=INK, elinewidth=0.9)
                axes.plot(np.full(len(values), x), values, ".", color=INK, markersize=3)
        if chance is not None:
            axes.axhline(chance, color=INK, linewidth=0.8, linestyle=":")
        axes.set(title=title, ylim=limits, ylabel=label)
        axes.set_xticks(np.arange(len(names)), names)
        axes.grid(visible=False, axis="x")
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure
