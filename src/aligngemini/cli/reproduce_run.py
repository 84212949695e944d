"""One run of `aligngemini reproduce`, from what is on the disk to the table."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aligngemini.cli import evaluate_run
from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.progress import progress
from aligngemini.runner import DetectorOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligngemini.evaluation.blocks import Block
    from aligngemini.evaluation.paper_tables import PaperTable, Part
    from aligngemini.evaluation.tables import Table

REPORT = "reproduced.md"
SHOWN = 5


@dataclass(frozen=True)
class Task:
    """What the command line asks for; no `out` means only to say what is there."""

    table: str
    root: Path
    out: Path | None
    limit: int | None
    options: DetectorOptions
    workers: int | None
    timeout: float | None


class Copy(NamedTuple):
    """A part of the table on this disk, and whether nothing of it is missing."""

    part: "Part"
    place: Path
    whole: bool


def run(task: Task) -> int:
    """Check, evaluate, print; gives the exit code."""
    if missing := [name for name in evaluate_run.NEEDED if find_spec(name) is None]:
        return _fail(
            f"{', '.join(missing)} not installed; "
            'pip install "aligngemini[evaluate]" brings what evaluating needs'
        )
    from aligngemini.benchmarks import BenchmarkError
    from aligngemini.evaluation.scores import ScoresError

    try:
        return _run(task)
    except BrokenPipeError:
        raise  # an OSError, and no failure: cli.main ends quietly
    except (BenchmarkError, ScoresError, OSError) as error:
        return _fail(str(error))


def _run(task: Task) -> int:
    from aligngemini.evaluation.paper_tables import TABLES

    paper = TABLES[task.table]
    looked = [_look(part, task, alone=len(paper.parts) == 1) for part in paper.parts]
    there = [copy for copy in looked if copy is not None]
    if not there:
        return _fail(f"nothing of the table {paper.name} is under {task.root}")
    whole = len(there) == len(looked) and all(copy.whole for copy in there)
    codes = [ALL_JUDGED if whole else SOME_NOT_JUDGED]
    if task.out is None:
        return codes[0]
    for copy in there:
        print(f"\n{copy.part.benchmark}", flush=True)
        codes.append(evaluate_run.run(_evaluation(task, task.out, copy)))
        if codes[-1] not in (ALL_JUDGED, SOME_NOT_JUDGED):
            return codes[-1]
    _show(paper, [copy.part.benchmark for copy in there], task.out)
    return max(codes)


def _look(part: "Part", task: Task, *, alone: bool) -> Copy | None:
    """Find a part's folder and say what of it is there; None where nothing is."""
    from aligngemini.benchmarks import discover, only, open_benchmark
    from aligngemini.evaluation.paper_tables import locate

    benchmark = open_benchmark(part.benchmark)
    place = locate(benchmark, task.root) or (task.root if alone else None)
    if place is None:
        print(f"{part.benchmark}: not there. Get it: {benchmark.how_to_get}")
        return None
    with progress(None, text="Listing") as step:
        work = task.out / part.benchmark / evaluate_run.UNPACKED if task.out else None
        found = discover(benchmark, place, work=work, step=step)
    if part.subsets:
        found = only(found, part.subsets)
    packed = [line for line in found.extra if line.startswith("not unpacked") and ".tar" in line]
    print(f"{part.benchmark}: {len(found.rows):,} images in {place}")
    for line in [*packed, *(hole.message for hole in found.holes)][:SHOWN]:
        print(f"  {line}")
    if len(found.holes) > SHOWN:
        print(
            f"  and more: aligngemini evaluate verify --benchmark {benchmark.name} --root {place}"
        )
    return Copy(part, place, whole=not found.holes) if found.rows or packed else None


def _evaluation(task: Task, out: Path, copy: Copy) -> evaluate_run.Task:
    folder = out / copy.part.benchmark
    folder.mkdir(exist_ok=True)
    return evaluate_run.Task(
        benchmark=copy.part.benchmark,
        root=copy.place,
        real_root=None,
        protocols=(),
        limit=task.limit,
        out=folder,
        options=task.options,
        scores=None,
        workers=task.workers,
        timeout=task.timeout,
        retry=False,
        subsets=copy.part.subsets,
    )


def _show(paper: "PaperTable", names: "Sequence[str]", out: Path) -> None:
    from aligngemini.cli.grids import print_grid
    from aligngemini.evaluation.blocks import Points, markdown
    from aligngemini.evaluation.paper_tables import our_grid, published_beside, published_means
    from aligngemini.evaluation.table_file import read_table
    from aligngemini.report.files import replacing

    tables: dict[str, Table] = {name: read_table(out / name / evaluate_run.TABLE) for name in names}
    ours, published = our_grid(paper, tables), published_beside(paper, tables)
    means = published_means(paper)
    for fold in published:
        print(f"\n{fold.title}")
        for grid in fold.grids:
            print_grid(grid, sys.stdout)
    print_grid(ours, sys.stdout)
    for line in means:
        print(f"Published for the mean: {line}")
    blocks: list[Block] = [ours]
    if means:
        blocks.append(Points("Published for the mean", tuple(means)))
    lead = "Ours from the images on this disk, beside numbers as their sources have them."
    with replacing(out / REPORT) as file:
        file.write(markdown(paper.title, lead, [*blocks, *published]).encode())
    print(f"In {out}: {REPORT}, and a folder for each benchmark.")


def _fail(message: str) -> int:
    print(f"aligngemini reproduce: {message}", file=sys.stderr)
    return WRONG_USE
