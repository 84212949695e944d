"""The study of leakage: names, the chain at a strength, what the numbers say, the curves."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from aligngemini.evaluation.reports.plots import COLOURS
from aligngemini.evaluation.reports.svg import INK
from aligngemini.experiments.table import Table, judged
from aligngemini.images.degrade import SemanticChain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTHING, CHAIN = "nothing", "whole chain"
STEPS = {"shrink": "shrink", "noise": "noise", "blur": "blur", "JPEG": "jpeg"}
"""Cells of one step alone, and the step's name in `SemanticChain`."""

PIXELS, NETWORK, MEANS = "pixels", "network", "meaning"
LOT, NO_TRACE, NO_RULE = "labels by lot", "no trace", "no rule"
LIMIT = 0.6  # AUC that a pixel reader may have
KEPT = 0.9  # share of what the meaning has above chance


def chain_of(step: str, strength: float) -> SemanticChain:
    """The default chain, or one step of it, at a strength.

    Args:
        step: `CHAIN`, `NOTHING` or a name in `STEPS`.
        strength: 0 does nothing, 1 has the default ranges; in between, and beyond, each end of a
            range lies proportionally far from doing nothing.
    """
    default = SemanticChain()
    wanted = set(STEPS.values()) if step == CHAIN else {STEPS.get(step)}
    if not strength:
        wanted = set()
    low, high = default.scale
    worst, best = default.quality
    return replace(
        default,
        scale=(max(0.02, 1 - strength * (1 - low)), max(0.02, 1 - strength * (1 - high))),
        noise=(strength * default.noise[0], strength * default.noise[1]),
        blur=(strength * default.blur[0], strength * default.blur[1]),
        quality=(
            max(1, round(100 - strength * (100 - worst))),
            max(1, round(100 - strength * (100 - best))),
        ),
        shrink_probability=float("shrink" in wanted),
        noise_probability=float("noise" in wanted),
        blur_probability=float("blur" in wanted),
        jpeg_probability=float("jpeg" in wanted),
    )


def conclude(table: Table) -> list[str]:
    """What each step takes from each reader, and the setting to recommend."""
    strengths = strengths_of(table)
    strongest = f"@{strengths[-1]:g}"
    said = []
    for step in STEPS:
        lost = table.mean(NOTHING, PIXELS + "@0") - table.mean(step, PIXELS + strongest)
        gone = table.mean(NOTHING, MEANS + "@0") - table.mean(step, MEANS + strongest)
        lost, gone = (round(number, 3) + 0.0 for number in (lost, gone))  # no -0.000
        said.append(
            f"{step} alone, at strength {strengths[-1]:g}, takes {lost:.3f} from the linear probe "
            f"(left: {table.text(step, PIXELS + strongest)}) and {gone:.3f} from the meaning "
            f"(left: {table.text(step, MEANS + strongest)})."
        )
    pixels = table.difference((NOTHING, PIXELS + "@0"), (CHAIN, PIXELS + strongest))
    said.append(judged("the whole chain takes the trace away from a linear probe (AUC)", pixels))
    left = table.difference((CHAIN, MEANS + strongest), 0.5)
    said.append(judged("the meaning survives the whole chain (AUC minus 0.5)", left))
    return [*said, _alone(table), recommended(table)]


def _alone(table: Table) -> str:
    """Which single steps would do, at the strongest, in a sentence."""
    at = f"@{strengths_of(table)[-1]:g}"
    whole = table.mean(NOTHING, MEANS + "@0") - 0.5
    enough = [
        f"{step} ({table.mean(step, PIXELS + at):.3f} and {table.mean(step, NETWORK + at):.3f})"
        for step in STEPS
        if max(table.mean(step, name + at) for name in (PIXELS, NETWORK)) <= LIMIT
        and table.mean(step, MEANS + at) - 0.5 >= KEPT * whole
    ]
    which = ", ".join(enough) or "no step"
    return (
        f"Alone, at strength {at[1:]}, {which} brings both pixel readers to {LIMIT} or less and "
        f"keeps {KEPT:.0%} of the meaning."
    )


def recommended(table: Table) -> str:
    """The mildest strength of the whole chain that silences both pixel readers, in a sentence."""
    whole = table.mean(NOTHING, MEANS + "@0") - 0.5
    for strength in strengths_of(table):
        at = f"@{strength:g}"
        readers = [table.mean(CHAIN, name + at) for name in (PIXELS, NETWORK)]
        if max(readers) > LIMIT:
            continue
        share = (table.mean(CHAIN, MEANS + at) - 0.5) / whole if whole > 0 else 0.0
        chain = chain_of(CHAIN, strength)
        enough = "" if share >= KEPT else f", less than the {KEPT:.0%} that were to be kept"
        return (
            f"**Recommended: strength {strength:g}** (scale {chain.scale[0]:g} to "
            f"{chain.scale[1]:g}, noise {chain.noise[0]:g} to {chain.noise[1]:g}, blur "
            f"{chain.blur[0]:g} to {chain.blur[1]:g}, JPEG {chain.quality[0]} to "
            f"{chain.quality[1]}), the mildest at which no pixel reader is above {LIMIT}: "
            f"{readers[0]:.3f} and {readers[1]:.3f}. The meaning keeps {share:.0%} of what it has "
            f"above chance{enough}."
        )
    at = f"@{strengths_of(table)[-1]:g}"
    return (
        f"**No strength tried silences the pixel readers**: at the strongest they have "
        f"{table.mean(CHAIN, PIXELS + at):.3f} and {table.mean(CHAIN, NETWORK + at):.3f}, and "
        f"{LIMIT} was allowed. There is no setting to recommend."
    )


def strengths_of(table: Table) -> list[float]:
    """Those above 0, rising."""
    names = (name for name in table.figures if name.startswith(f"{PIXELS}@"))
    return sorted({float(name.partition("@")[2]) for name in names} - {0.0})


def figure(table: Table) -> Figure:
    """A curve each reader over the strength, a panel each step."""
    cells = [CHAIN, *STEPS]
    drawn = Figure(figsize=(9.0, 5.4), layout="constrained")
    grid = drawn.subplots(2, 3, sharex=True, sharey=True).ravel()
    for axes, cell in zip(grid, cells, strict=False):
        for k, reader in enumerate((PIXELS, NETWORK, MEANS)):
            _curve(axes, table, cell, reader, COLOURS[k])
        axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
        axes.set(title=cell, ylim=(0.4, 1.02))
    grid[-1].axis("off")
    handles, labels = grid[0].get_legend_handles_labels()
    grid[-1].legend(handles, labels, loc="center")
    drawn.supxlabel("strength (1: the default chain)")
    drawn.supylabel("AUC")
    return drawn


def _curve(axes: "Axes", table: Table, cell: str, reader: str, colour: str) -> None:
    points = [(0.0, NOTHING), *((strength, cell) for strength in strengths_of(table))]
    there = [(x, c, f"{reader}@{x:g}") for x, c in points if table.has(c, f"{reader}@{x:g}")]
    if len(there) < 2:
        return
    means = [table.mean(c, name) for _, c, name in there]
    spread = np.nan_to_num([table.sd(c, name) for _, c, name in there])
    axes.errorbar([x for x, _, _ in there], means, spread, color=colour, label=reader, capsize=2)
