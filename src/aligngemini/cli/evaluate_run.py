"""One run of `aligngemini evaluate`, from the benchmark to exit code."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.progress import progress
from aligngemini.cli.stopping import Stopped, Stopper
from aligngemini.runner import DetectorOptions

if TYPE_CHECKING:
    from aligngemini.benchmarks import Benchmark, Found
    from aligngemini.datasets.manifest import Row
    from aligngemini.evaluation.scores import ScoreRow
    from aligngemini.evaluation.tables import Table

SCORES, TABLE = "scores.parquet", "table.json"
UNPACKED = "unpacked"
AUDIT = "Audit: "
NEEDED = ("matplotlib", "pyarrow", "sklearn", "yaml")


@dataclass(frozen=True)
class Task:
    """What the command line asks for, checked as far as that is cheap.

    Attributes:
        protocols: Empty for those that suit the benchmark.
        limit: Images of each class and subset, or None for all.
        scores: File of somebody else's scores, or None to judge.
        subsets: The only ones to take; empty for all.
        work: Folder that packed benchmarks are unpacked into; None for one in `out`.
    """

    benchmark: str
    root: Path
    real_root: Path | None
    protocols: tuple[str, ...]
    limit: int | None
    out: Path
    options: DetectorOptions
    scores: Path | None
    workers: int | None
    timeout: float | None
    retry: bool
    subsets: tuple[str, ...] = ()
    work: Path | None = None


def run(task: Task) -> int:
    """Evaluate, write everything and print the table; gives the exit code."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        return _fail(
            f"{', '.join(missing)} not installed; "
            'pip install "aligngemini[evaluate]" brings what evaluating needs'
        )
    from aligngemini.benchmarks import BenchmarkError
    from aligngemini.calibration import CalibrationError
    from aligngemini.evaluation.scores import ScoresError
    from aligngemini.fusion import FusionError
    from aligngemini.isolation import WorkerStartError
    from aligngemini.runtimes.folder import ModelError
    from aligngemini.settings import SettingsError

    try:
        with Stopper().listening():
            return _run(task)
    except Stopped as stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return stopped.code
    except BrokenPipeError:
        raise  # an OSError, and no failure: cli.main ends quietly
    except (BenchmarkError, FusionError, ModelError, ScoresError, SettingsError) as error:
        return _fail(str(error))
    except (CalibrationError, WorkerStartError, OSError) as error:
        return _fail(str(error))


def _run(task: Task) -> int:
    from aligngemini.benchmarks import open_benchmark
    from aligngemini.evaluation.limiting import limited
    from aligngemini.evaluation.protocols import delivery_for
    from aligngemini.evaluation.scores import write_scores
    from aligngemini.evaluation.table_file import write_table
    from aligngemini.evaluation.tables import make_table

    for protocol in task.protocols:
        delivery_for(protocol, "fake")  # so that a typing error is said at once
    benchmark = open_benchmark(task.benchmark)
    found = _discover(benchmark, task)
    rows = found.rows if task.limit is None else limited(found.rows, task.limit)
    if not rows:
        return _fail(
            f"no image of {benchmark.name} under {task.root}; "
            f"aligngemini evaluate verify --benchmark {benchmark.name} says what it looks for"
        )
    audit = f"{AUDIT}{_audit_line(rows)}."
    print(audit, flush=True)
    notes = [audit, *found.notes, *_notes(task, found)]
    scores = _judged(rows, benchmark, task) if task.scores is None else _given(rows, task, notes)
    with progress(None, text="Computing figures and writing reports"):
        table = make_table(scores, benchmark=benchmark.name, holes=_holes(found), notes=notes)
        write_scores(scores, task.out / SCORES)
        write_table(table, task.out / TABLE)
        reports = _write_reports(table, scores, task.out)
    _print(table, [SCORES, TABLE, *(path.name for path in reports)], task.out)
    failed = any(row.score is None and row.verdict is None for row in scores)
    return SOME_NOT_JUDGED if failed else ALL_JUDGED


def _discover(benchmark: "Benchmark", task: Task) -> "Found":
    from aligngemini.benchmarks import discover, only

    with progress(None, text="Listing") as step:
        work = task.work or task.out / UNPACKED
        found = discover(benchmark, task.root, real_root=task.real_root, work=work, step=step)
    return only(found, task.subsets) if task.subsets else found


def _audit_line(rows: "Sequence[Row]") -> str:
    from aligngemini.evaluation.audit import audit_rows, chosen

    with progress(len(chosen(rows)), text="Reading headers") as step:
        return audit_rows(rows, step=step).line()


def _judged(rows: "Sequence[Row]", benchmark: "Benchmark", task: Task) -> "list[ScoreRow]":
    from aligngemini.cli.run import fetch
    from aligngemini.evaluation.evaluate import evaluate
    from aligngemini.evaluation.protocols import default_protocols

    fetch(task.options.pixel)
    protocols = task.protocols or default_protocols(jpeg96=benchmark.jpeg96)
    with progress(len(rows) * len(protocols)) as step:
        return evaluate(
            rows,
            protocols,
            task.options,
            task.out,
            workers=task.workers,
            timeout=task.timeout,
            retry=task.retry,
            step=step,
        )


def _given(rows: "Sequence[Row]", task: Task, notes: list[str]) -> "list[ScoreRow]":
    """Rows of the scores that were handed in; adds to the notes which of them are of no image."""
    from aligngemini.evaluation.foreign import join_foreign, read_foreign
    from aligngemini.evaluation.scores import ScoresError
    from aligngemini.images.deliveries import AS_IS

    if task.scores is None:
        raise ScoresError("there is no file of scores")
    root = task.root if task.root.is_dir() else task.root.parent
    (protocol,) = task.protocols or (AS_IS,)
    scores, left = join_foreign(
        rows, read_foreign(task.scores), name=task.scores.name, root=root, protocol=protocol
    )
    if left:
        notes.append(f"Scores in {task.scores.name} that belong to no image here: {left}.")
    return scores


def _notes(task: Task, found: "Found") -> list[str]:
    notes = []
    if task.limit is not None:
        notes.append(f"Limited to {task.limit} photos and {task.limit} fakes of each subset.")
    notes += [hole.message for hole in found.holes if hole.expected is None]
    if task.options.calibration is not None:
        notes.append(_promise(task.options.calibration))
    if found.extra:
        notes.append(
            f"Folders and files that were not understood: {len(found.extra)}; "
            "aligngemini evaluate verify names them."
        )
    return notes


def _promise(calibration: str) -> str:
    from aligngemini.calibration import read_calibration
    from aligngemini.report import words

    guarantee = read_calibration(Path(calibration)).guarantee
    return f"Thresholds of {guarantee.name}: {words.guarantee_words(guarantee)}."


def _holes(found: "Found") -> dict[str, int]:
    """How many images each subset lacks; 0 where that is not known."""
    holes: dict[str, int] = {}
    for hole in found.holes:
        missing = max((hole.expected or 0) - hole.found, 0)
        holes[hole.subset] = holes.get(hole.subset, 0) + missing
    return holes


def _write_reports(table: "Table", scores: "Sequence[ScoreRow]", out: Path) -> list[Path]:
    from aligngemini.evaluation.reports import write_reports

    return write_reports(table, scores, out)


def _print(table: "Table", files: Sequence[str], out: Path) -> None:
    from aligngemini.cli.grids import print_grid
    from aligngemini.evaluation.reports.grids import overview

    for protocol in dict.fromkeys(line.protocol for line in table.lines):
        print_grid(overview(table, protocol), sys.stdout)
    for note in table.notes:
        if not note.startswith(AUDIT):  # said already
            print(note)
    print(f"In {out}: {', '.join(files)}.")


def _fail(message: str) -> int:
    print(f"aligngemini evaluate: {message}", file=sys.stderr)
    return WRONG_USE
