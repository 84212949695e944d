"""One run of `aligngemini robustness`, from the set to exit code."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import labelled_set
from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.progress import progress
from aligngemini.cli.stopping import Stopped, Stopper
from aligngemini.runner import DetectorOptions

if TYPE_CHECKING:
    from aligngemini.datasets.manifest import Row
    from aligngemini.evaluation.scores import ScoreRow

SCORES = "scores.parquet"


@dataclass(frozen=True)
class Task:
    """What the command line asks for, checked as far as that is cheap.

    Attributes:
        given: Parsed arguments that name the set.
        limit: Images of each class, or None for all.
        epsilons: Of an attack; empty for the usual ones.
        gradients: Of an attack; None for as many as usual.
    """

    given: Any
    grids: tuple[str, ...]
    steps: tuple[str, ...]
    limit: int | None
    out: Path
    options: DetectorOptions
    attack: bool
    epsilons: tuple[int, ...]
    gradients: int | None
    workers: int | None
    timeout: float | None


def run(task: Task) -> int:
    """Judge, write everything and print the tables; gives the exit code."""
    try:
        import matplotlib  # noqa: F401 - imported now, so that its absence is said before the work
        import pyarrow  # noqa: F401
        import sklearn  # noqa: F401

        if task.attack:
            import torch  # noqa: F401
            import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        extra = "evaluate,vlm" if task.attack else "evaluate"
        return _fail(
            f"{error.name} is not installed; "
            f'pip install "aligngemini[{extra}]" brings what this needs'
        )
    from aligngemini.isolation import WorkerStartError
    from aligngemini.runtimes.folder import ModelError

    try:
        with Stopper().listening():
            return _run(task)
    except Stopped as stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return stopped.code
    except BrokenPipeError:
        raise  # an OSError, and no failure: cli.main ends quietly
    except (WorkerStartError, ModelError, ValueError, OSError) as error:
        return _fail(str(error))


def _run(task: Task) -> int:
    from aligngemini.evaluation.robustness.result import grids, make_result, write_result
    from aligngemini.evaluation.robustness.steps import protocols_of
    from aligngemini.evaluation.scores import write_scores

    protocols = protocols_of(task.grids, task.steps)  # first, so that a typing error is said
    rows = _rows(task)
    if not rows:
        return _fail("found no image there")
    scores = _attacked(rows, task) if task.attack else _judged(rows, protocols, task)
    result = make_result(scores, name=labelled_set.name_of(task.given), notes=_notes(task))
    write_scores(scores, task.out / SCORES)
    written = write_result(result, task.out)

    from aligngemini.cli.grids import print_grid

    for grid in grids(result, short=True):
        print_grid(grid, sys.stdout)
    for note in result.table.notes:
        print(note)
    print(f"In {task.out}: {', '.join([SCORES, *(path.name for path in written)])}.")
    failed = any(row.score is None and row.verdict is None for row in scores)
    return SOME_NOT_JUDGED if failed else ALL_JUDGED


def _rows(task: Task) -> "list[Row]":
    from aligngemini.evaluation.limiting import limited
    from aligngemini.evaluation.scores import SHARED

    rows = labelled_set.read_set(task.given)
    if task.limit is None:
        return rows
    # So many of all photos and of all fakes, whatever subsets they belong to.
    together = [replace(row, extra={**row.extra, "subset": SHARED}) for row in rows]
    return limited(together, task.limit)


def _judged(rows: "Sequence[Row]", protocols: Sequence[str], task: Task) -> "list[ScoreRow]":
    from aligngemini.cli.run import fetch
    from aligngemini.evaluation.evaluate import evaluate

    fetch(task.options.pixel)
    with progress(len(rows) * len(protocols)) as step:
        return evaluate(
            rows,
            protocols,
            task.options,
            task.out,
            workers=task.workers,
            timeout=task.timeout,
            step=step,
        )


def _attacked(rows: "Sequence[Row]", task: Task) -> "list[ScoreRow]":
    from aligngemini.evaluation.robustness.attack import attack_rows
    from aligngemini.evaluation.robustness.pgd import EPSILONS, STEPS

    with progress(len(rows), text="Attacking") as step:
        return attack_rows(
            rows,
            task.options.pixel[0],
            task.out,
            epsilons=task.epsilons or EPSILONS,
            steps=task.gradients or STEPS,
            device=task.options.device,
            step=step,
        )


def _notes(task: Task) -> list[str]:
    notes = []
    if task.limit is not None:
        notes.append(f"Limited to {task.limit} photos and {task.limit} fakes.")
    if task.attack:
        notes.append(
            "White-box attack in the L-infinity ball, judged as whole grey levels: a lower bound "
            "of what an attacker can do."
        )
    return notes


def _fail(message: str) -> int:
    print(f"aligngemini robustness: {message}", file=sys.stderr)
    return WRONG_USE
