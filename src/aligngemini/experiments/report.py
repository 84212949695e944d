"""What a study leaves behind: results.json, table.md, figure.png, figure.svg, conclusion.md."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligngemini import __version__
from aligngemini.evaluation.reports.svg import settings as drawing
from aligngemini.experiments.runs import Runs
from aligngemini.experiments.study import Control, Study
from aligngemini.experiments.table import Table
from aligngemini.settings import write_text

DOTS_PER_INCH = 120
NO_TRUST = "**A null control is not at chance: the numbers below cannot be trusted.**\n\n"


def write_report(study: Study, scale: str, runs: Runs, out: Path, command: str) -> str:
    """Write all files, each whole or not at all.

    Args:
        study: The study.
        scale: That ran.
        runs: What came of it.
        out: Folder, which is there.
        command: As it was typed.

    Returns:
        What `conclusion.md` says.

    Raises:
        OSError: The folder cannot be written.
    """
    conclusion = list(study.conclude(runs.table))
    record = {
        "study": study.name,
        "scale": scale,
        "aligngemini": __version__,
        "command": command,
        "seconds": round(runs.seconds, 1),
        "key": runs.key,
        "settings": asdict(study.settings_of(scale)),
        "seeds": list(runs.table.seeds),
        "meaning": dict(study.meaning),
        "cells": {cell: _figures(runs.table, cell) for cell in runs.table.cells},
        "controls": [
            {**asdict(control), "at_chance": at_chance(runs.table, control)}
            for control in study.controls
        ],
        "conclusion": conclusion,
    }
    write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", out / "results.json")
    write_text(_table(study, runs.table), out / "table.md")
    _draw(study, runs.table, out)
    text = _conclusion(study, scale, runs, conclusion, command)
    write_text(text, out / "conclusion.md")
    return text


def at_chance(table: Table, control: Control) -> bool:
    """Whether a null control's mean over the seeds is chance, within its tolerance."""
    return abs(table.mean(control.cell, control.figure) - control.chance) <= control.tolerance


def _figures(table: Table, cell: str) -> dict[str, Any]:
    return {
        name: {
            "mean": table.mean(cell, name),
            "sd": table.sd(cell, name),
            "values": table.values(cell, name).tolist(),
        }
        for name in table.figures
        if table.has(cell, name)
    }


def _table(study: Study, table: Table) -> str:
    seeds = len(table.seeds)
    lines = [table.markdown(), f"Mean ± standard deviation over {seeds} seeds."]
    lines += [
        f"- `{name}`: {says}" for name, says in study.meaning.items() if name in table.figures
    ]
    return "\n".join(lines) + "\n"


def _draw(study: Study, table: Table, out: Path) -> None:
    with drawing():
        figure = study.figure(table)
        for kind in ("png", "svg"):
            partial = out / f".figure.partial.{kind}"
            # A page of its own may be dark; the lines are not.
            figure.savefig(partial, dpi=DOTS_PER_INCH, facecolor="white", metadata=_undated(kind))
            partial.replace(out / f"figure.{kind}")


def _undated(kind: str) -> dict[str, None]:
    """The same table gives the same bytes."""
    return {"Date": None} if kind == "svg" else {"Software": None}


def _conclusion(study: Study, scale: str, runs: Runs, conclusion: list[str], command: str) -> str:
    controls = [_control_line(runs.table, control) for control in study.controls]
    trusted = all(at_chance(runs.table, control) for control in study.controls)
    parts = [
        f"# {study.name}: {study.question}\n",
        f"Scale `{scale}`, seeds {', '.join(map(str, runs.table.seeds))}, "
        f"{runs.seconds / 60:.1f} minutes by the clock, all cells together. `{command}`\n",
        "## What the numbers say\n",
        ("" if trusted else NO_TRUST)
        + "\n".join(f"- {sentence}" for sentence in conclusion)
        + "\n",
    ]
    if controls:
        parts += ["## Null controls\n", _listed(controls)]
    parts += ["## Design\n", study.design.strip() + "\n"]
    return "\n".join(parts)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _control_line(table: Table, control: Control) -> str:
    found = table.text(control.cell, control.figure)
    verdict = "at chance" if at_chance(table, control) else "**not at chance**"
    return (
        f"{control.says} ({control.cell}, {control.figure}): {found}, where chance is "
        f"{control.chance:g}: {verdict}."
    )
