"""Running a study: every cell with every seed, finished ones kept, and the report written."""

import hashlib
import json
import math
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aligngemini import __version__
from aligngemini.experiments.study import Study, StudyError, Task
from aligngemini.experiments.table import Table
from aligngemini.settings import write_json

KEY = 12  # hexadecimal digits of a settings hash that name a folder


class Runs(NamedTuple):
    """What a study's runs gave.

    Attributes:
        table: Their figures.
        seconds: By the clock, of all of them, whenever they ran.
        key: Of settings and data.
    """

    table: Table
    seconds: float
    key: str


def run_study(
    study: Study,
    scale: str,
    out: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    data: Path | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Runs:
    """Run every cell with every seed; what is in `out` already is not run again.

    Args:
        study: The study.
        scale: One of its scales.
        out: Folder; `runs/KEY` gets a file for each cell and seed, `cache/KEY` what they share.
        seeds: At least two, or nothing can be said about deviation.
        data: What the study takes as `--data`.
        step: Called after each run with a line about it.

    Raises:
        StudyError: The study cannot be run so, or a cell gave something else than finite numbers.
        OSError: The folder cannot be written.
    """
    settings = study.settings_of(scale)
    if len(set(seeds)) < 2:
        raise StudyError("a study needs two seeds or more: one number has no deviation")
    if data is not None and not study.data:
        raise StudyError(f"the study {study.name} takes no --data")
    if data is not None and not data.is_dir():
        raise StudyError(f"--data {data} is no folder")
    cells = study.cells(settings)
    key = runs_key(study, scale, data)
    folder, cache = out / "runs" / key, out / "cache" / key
    for path in (folder, cache):
        path.mkdir(parents=True, exist_ok=True)
    results: dict[tuple[str, int], Mapping[str, float]] = {}
    seconds = 0.0
    for seed in seeds:  # seed by seed, so that a run that was stopped has whole columns
        for number, cell in enumerate(cells):
            file = folder / f"{number:02}-{_slug(cell)}-seed{seed}.json"
            found = _finished(file, cell)
            if found is None:
                found = _run(study, Task(cell, seed, settings, cache, data))
                write_json(found, file)
            results[cell, seed] = found["figures"]
            seconds += found["seconds"]
            step(f"{cell}, seed {seed}: {found['seconds']:.1f} s")
    return Runs(Table({key: results[key] for key in _by_cell(cells, seeds)}), seconds, key)


def runs_key(study: Study, scale: str, data: Path | None) -> str:
    """Names what finished runs depend on: the study, its settings, the data."""
    settings = asdict(study.settings_of(scale))
    parts = [study.name, study.revision, scale, settings, _data_key(data)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:KEY]


def _by_cell(cells: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
    return [(cell, seed) for cell in cells for seed in seeds]


def _data_key(data: Path | None) -> str:
    """Of a data folder: its manifest, or names and sizes of its files."""
    if data is None:
        return ""
    for name in ("manifest.parquet", "manifest.csv"):
        if (data / name).is_file():
            return hashlib.sha256((data / name).read_bytes()).hexdigest()
    files = sorted(path for path in data.rglob("*") if path.is_file())
    sizes = [(path.relative_to(data).as_posix(), path.stat().st_size) for path in files]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest()


def _run(study: Study, task: Task) -> dict[str, Any]:
    _seed(task.seed)
    started = time.monotonic()
    figures = {name: float(value) for name, value in study.run(task).items()}
    if broken := [name for name, value in figures.items() if not math.isfinite(value)]:
        raise StudyError(f"{study.name}, {task.cell}, seed {task.seed}: {broken[0]} is no number")
    seconds = round(time.monotonic() - started, 1)
    return {
        "study": study.name,
        "cell": task.cell,
        "seed": task.seed,
        "aligngemini": __version__,
        "seconds": seconds,
        "figures": figures,
    }


def _finished(file: Path, cell: str) -> dict[str, Any] | None:
    """A run's record, or None where there is none or what is there cannot be read."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found if found["cell"] == cell and found["figures"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seed(seed: int) -> None:
    import torch  # noqa: PLC0415 - not needed to list studies

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _slug(cell: str) -> str:
    return re.sub(r"[^\w.-]+", "-", cell).strip("-").lower()[:60]
