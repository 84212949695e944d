"""The plots of a report, drawn by matplotlib without a display."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter
from scipy.stats import norm  # type: ignore[import-untyped]  # comes with scikit-learn

from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.reports.curves import FARTHEST, Scores, Sweep, reliability, roc
from aligngemini.evaluation.reports.svg import INK, inline_svg, settings
from aligngemini.evaluation.tables import Line

# Okabe and Ito's, told apart by the colour-blind, without those too pale for a white page.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8A6D00")
REAL, FAKE = COLOURS[0], COLOURS[1]
MARKS = "os^Dv*"

FROM_HIGH_TO_LOW = ("jpeg", "webp", "crop", "side")  # where less is harder
DET_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
WIDTH = 10.0  # inches of 72 units


def roc_and_det(scores: Mapping[str, Scores], label: str) -> Markup:
    """ROC and DET side by side, a curve a branch.

    DET axes (Martin et al., Eurospeech 1997) are those of normal deviates, on which rare errors
    have room; a curve that reaches no errors leaves them.

    Args:
        scores: By branch, each with both classes.
        label: What is shown.
    """
    with settings():
        figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for k, (branch, of) in enumerate(scores.items()):
            alarms, recall = roc(of)
            look = {"color": COLOURS[k % len(COLOURS)], "label": branch, "linewidth": 1.6}
            left.plot(alarms, recall, **look)
            with np.errstate(divide="ignore"):
                far = norm.ppf(alarms), norm.ppf(1 - recall)
            right.plot(*(np.clip(axis, -9, 9) for axis in far), **look)
        left.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=":")
        left.set(xlim=(0, 1), ylim=(0, 1), title="ROC", ylabel="fakes found", aspect="equal")
        ticks = norm.ppf(DET_TICKS)
        names = [f"{100 * tick:g} %" for tick in DET_TICKS]
        right.set_xticks(ticks, names)
        right.set_yticks(ticks, names)
        far_off = (-FARTHEST, FARTHEST)
        right.set(xlim=far_off, ylim=far_off, title="DET", ylabel="fakes missed", aspect="equal")
        for axes in (left, right):
            axes.set_xlabel("photos called fake")
        for axis in (left.xaxis, left.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        left.legend(loc="lower right")
        return inline_svg(figure, label)


def reliability_diagram(scores: Mapping[str, Scores], label: str) -> Markup:
    """Share of fakes against score, and below how many images have it.

    Args:
        scores: By branch, each with both classes.
        label: What is shown.
    """
    with settings():
        figure = Figure(figsize=(WIDTH * 0.6, 5.4), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        for k, (branch, of) in enumerate(scores.items()):
            found = reliability(of)
            look = {"color": COLOURS[k % len(COLOURS)], "marker": MARKS[k % len(MARKS)]}
            top.plot(found.scores, found.fakes, label=branch, markersize=5, **look)
            bottom.plot(found.scores, found.counts, markersize=4, **look)
        top.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=":")
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share of fakes")
        top.yaxis.set_major_formatter(PercentFormatter(1))
        top.legend(loc="upper left")
        bottom.set_yscale("log")
        bottom.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        bottom.yaxis.set_minor_formatter(NullFormatter())
        bottom.set(xlabel="score", ylabel="images")
        return inline_svg(figure, label)


def accuracy_bars(lines: Mapping[str, Sequence[Line]], label: str) -> Markup:
    """Accuracy on photos and on fakes of each subset, apart, with intervals; a panel a branch.

    Args:
        lines: By branch, those of one protocol, with the same subsets each.
        label: What is shown.
    """
    subsets = [line.subset for line in next(iter(lines.values()))]
    columns = min(3, len(lines))
    rows = -(-len(lines) // columns)
    with settings():
        figure = Figure(
            figsize=(max(5.0, WIDTH * columns / 3), rows * (1.4 + 0.36 * len(subsets))),
            layout="constrained",
        )
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (branch, of) in zip(panels, lines.items(), strict=False):
            _bars(axes, of)
            axes.set(title=branch, xlim=(0, 1), ylim=(len(subsets) - 0.5, -0.5))
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(
            np.arange(len(subsets)), ["all" if name == "*" else name for name in subsets]
        )
        for axes in panels[len(lines) :]:
            axes.set_axis_off()
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        return inline_svg(figure, label)


def robustness_curves(sweeps: Mapping[str, Sequence[Sweep]], label: str) -> Markup:
    """Accuracy on photos (dashed) and on fakes along each kind of delivery.

    Args:
        sweeps: By kind of delivery, each with one a branch.
        label: What is shown.
    """
    return inline_svg(curves_figure(sweeps), label)


def curves_figure(sweeps: Mapping[str, Sequence[Sweep]]) -> Figure:
    """The drawing of `robustness_curves`."""
    columns = min(3, len(sweeps))
    rows = -(-len(sweeps) // columns)
    with settings():
        figure = Figure(figsize=(WIDTH, 3.2 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (kind, branches) in zip(panels, sweeps.items(), strict=False):
            for k, sweep in enumerate(branches):
                _sweep(axes, sweep, k)
            axes.set(title=kind, ylim=(0, 1.02))
            axes.yaxis.set_major_formatter(PercentFormatter(1))
            if kind in FROM_HIGH_TO_LOW:
                axes.invert_xaxis()
        for axes in panels[len(sweeps) :]:
            axes.set_axis_off()
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
        return figure


def _bars(axes: Any, lines: Sequence[Line]) -> None:
    places = np.arange(len(lines))
    for shift, colour, label, names in (
        (-0.18, REAL, "photos right", ("real_accuracy",)),
        (0.18, FAKE, "fakes right", ("fake_accuracy", "detection_rate")),
    ):
        figures = [_first(line.figures, names) for line in lines]
        there = places[[one is not None for one in figures]] + shift
        found = [one for one in figures if one is not None]
        values = np.array([one.value for one in found])
        ends = np.array([(one.low, one.high) for one in found]).reshape(-1, 2).T
        axes.barh(there, values, 0.34, color=colour, label=label)
        spans = np.abs(ends - values)
        axes.errorbar(values, there, xerr=spans, fmt="none", ecolor=INK, elinewidth=0.9)
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")


def _sweep(axes: Any, sweep: Sweep, number: int) -> None:
    look = {"color": COLOURS[number % len(COLOURS)], "marker": MARKS[number % len(MARKS)]}
    for name, style, what in (
        ("fake_accuracy", "-", "fakes right"),
        ("real_accuracy", "--", "photos right"),
        ("detection_rate", "-", "fakes found"),
    ):
        values = sweep.figure(name)
        if np.isnan(values).all():
            continue
        axes.plot(
            sweep.strengths,
            values,
            linestyle=style,
            markersize=4,
            label=f"{sweep.branch}: {what}",
            **look,
        )
        if (as_is := sweep.as_is.get(name)) is not None:
            axes.axhline(as_is, color=look["color"], linewidth=0.7, linestyle=":")


def _first(figures: Mapping[str, Interval | None], names: Sequence[str]) -> Interval | None:
    return next((found for name in names if (found := figures.get(name)) is not None), None)
