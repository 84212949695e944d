"""Tables of the papers, to be made again from what is on a disk."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aligngemini.benchmarks import Benchmark, open_benchmark
from aligngemini.benchmarks.aigibench import IN_THE_WILD
from aligngemini.benchmarks.layout import plain
from aligngemini.benchmarks.published import TRUST_WORDS, Published, published_for
from aligngemini.evaluation.blocks import Fold, Grid
from aligngemini.evaluation.protocols import ALL_ALIKE, FAKES_JPEG96
from aligngemini.evaluation.reports.beside import beside_published
from aligngemini.evaluation.reports.grids import percent
from aligngemini.evaluation.tables import Line, Table
from aligngemini.images.deliveries import AS_IS

SCORE = "balanced_accuracy"
"""What the papers' tables hold; of fakes alone it is the detection rate."""


@dataclass(frozen=True)
class Part:
    """A benchmark of a table, or some of its subsets; none named stands for all."""

    benchmark: str
    subsets: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper.

    Attributes:
        name: For the command line.
        title: What it shows and where it stands.
        parts: Its benchmarks. Of one alone the subsets are the rows, of several the benchmarks.
        published: Under which name `published.yaml` has the mean over the parts, or None.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    published: str | None = None


TABLES: dict[str, PaperTable] = {
    table.name: table
    for table in (
        PaperTable(
            "in-the-wild",
            "Five sets from the wild, AlignGemini (arXiv 2512.06746)",
            (
                *(Part("chameleon"), Part("wildrf"), Part("bfree-online")),
                *(Part("aigibench", IN_THE_WILD), Part("co-spy-in-the-wild")),
            ),
            published="in-the-wild",
        ),
        PaperTable("aigi-now", "AIGI-Now, AlignGemini (arXiv 2512.06746)", (Part("aigi-now"),)),
        PaperTable("genimage", "GenImage, as DDA and AlignGemini test on it", (Part("genimage"),)),
    )
}


def locate(benchmark: Benchmark, root: Path) -> Path | None:
    """A benchmark's folder: the root, or one up to two below it, by any of its names.

    Returns:
        None where no folder has such a name.
    """
    names = {plain(name) for name in (benchmark.name, benchmark.title, *benchmark.folders)}
    level = [root]
    for _ in range(3):
        for folder in level:
            if plain(folder.name) in names:
                return folder
        level = [below for folder in level for below in _folders(folder)]
    return None


def our_grid(paper: PaperTable, tables: Mapping[str, Table]) -> Grid:
    """The paper's table with our branches: as published first, then both classes alike.

    Args:
        paper: Which one.
        tables: Evaluations by benchmark; those missing have a row that says so.
    """
    branches = list(dict.fromkeys(branch for table in tables.values() for branch in table.models))
    rows: list[tuple[str, ...]] = []
    for column in (_as_published, _alike):
        made = [_row(part, tables, branches, column) for part in _rows(paper, tables)]
        if not made:
            continue
        rows += [cells for cells, _ in made]
        means = [_mean([values[k] for _, values in made]) for k in range(len(branches))]
        rows.append(("mean \u00b1 sd", "", *means, "", ""))
    return Grid(
        paper.title,
        ("set", "protocol", *branches, "not judged", "missing"),
        tuple(rows),
        "Balanced accuracy at 0.5 in per cent, mean over the subsets; of sets without photos, "
        "marked *, the detection rate; a mean with such sets in it compares with no published one. "
        "The deviation is over the rows.",
        left=2,
    )


def published_beside(paper: PaperTable, tables: Mapping[str, Table]) -> list[Fold]:
    """Published numbers beside ours, for each benchmark that was evaluated."""
    folds = []
    for part in paper.parts:
        wanted = [number for number in published_for(part.benchmark) if _belongs(number, part)]
        if part.benchmark in tables:
            fold = beside_published(tables[part.benchmark], wanted)
            if fold is not None:
                folds.append(replace(fold, title=f"{fold.title}: {part.benchmark}"))
    return folds


def published_means(paper: PaperTable) -> list[str]:
    """What is published of the mean over the parts, a sentence each."""
    return [
        f"{number.method} {percent(number.value)}"
        + (f" \u00b1 {100 * number.spread:.1f}" if number.spread is not None else "")
        + f": {number.source} ({TRUST_WORDS[number.trust]})"
        + (f"; {number.remark}" if number.remark else "")
        for number in published_for(paper.published or "")
    ]


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []  # what cannot be read is not there


def _belongs(number: Published, part: Part) -> bool:
    if part.subsets:  # the mean over all of the benchmark is of other images
        return set(number.subset.split("+")) <= set(part.subsets)
    return True


def _rows(paper: PaperTable, tables: Mapping[str, Table]) -> Iterator[Part]:
    if len(paper.parts) > 1:
        yield from paper.parts
        return
    (part,) = paper.parts
    if part.benchmark in tables:
        names = dict.fromkeys(line.subset for line in tables[part.benchmark].lines)
        yield from (Part(part.benchmark, (name,)) for name in names)


def _as_published(benchmark: Benchmark) -> str:
    return FAKES_JPEG96 if benchmark.jpeg96 else AS_IS


def _alike(_: Benchmark) -> str:
    return ALL_ALIKE


def _row(
    part: Part,
    tables: Mapping[str, Table],
    branches: Sequence[str],
    protocol_of: Callable[[Benchmark], str],
) -> tuple[tuple[str, ...], list[float | None]]:
    """A row's cells, and what counts of it in the mean."""
    protocol = protocol_of(open_benchmark(part.benchmark))
    name = part.benchmark if len(part.subsets) != 1 else part.subsets[0]
    if part.benchmark not in tables:
        return (name, protocol, *["not on disk"] * len(branches), "", ""), [None] * len(branches)
    lines = [
        line
        for line in tables[part.benchmark].lines
        if line.protocol == protocol and (not part.subsets or line.subset in part.subsets)
    ]
    values, cells = [], []
    for branch in branches:
        value, alone = _score([line for line in lines if line.branch == branch])
        values.append(value)
        cells.append(percent(value) + ("*" if alone else ""))
    by_branch = [[line for line in lines if line.branch == branch] for branch in branches]
    lost = max(sum(line.unjudged for line in own) for own in by_branch)
    holes = max(sum(line.holes for line in own) for own in by_branch)
    return (name, protocol, *cells, f"{lost:,}", f"{holes:,}"), values


def _score(lines: Sequence[Line]) -> tuple[float | None, bool]:
    """Mean over the subsets, and whether subsets without photos are in it."""
    found = [line.figures.get(SCORE) or line.figures.get("detection_rate") for line in lines]
    values = [figure.value for figure in found if figure is not None]
    alone = any(line.figures.get("detection_rate") is not None for line in lines)
    return (float(np.mean(values)) if values else None), alone


def _mean(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return percent(None)
    mean = percent(float(np.mean(there)))
    spread = f" \u00b1 {100 * float(np.std(there, ddof=1)):.1f}" if len(there) > 1 else ""
    few = f" ({len(there)} of {len(values)})" if len(there) < len(values) else ""
    return mean + spread + few
