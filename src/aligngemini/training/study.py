"""Leave one generator and one photo source out: what a model does on what it never saw.

Every fold trains without some generators and some photo sources, exports the model, and scores the
held-out images through the very branch that users run, once per delivery (as is, re-encoded, half
size), both classes alike.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from aligngemini.branches.pixel import PixelBranch
from aligngemini.cores import usable_cores
from aligngemini.datasets.manifest import ManifestError, Row
from aligngemini.datasets.pool import Pool, build_pool, kind_of
from aligngemini.evaluation.predictions import Prediction, read_predictions, write_predictions
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES
from aligngemini.images.item import ImageError
from aligngemini.training.export import UNCALIBRATED, export_compact
from aligngemini.training.pixel import hold_out, train_compact
from aligngemini.training.recipe import CompactRecipe

SMALL = 20


@dataclass(frozen=True)
class Fold:
    """What one fold never sees in training."""

    generators: tuple[str, ...]
    sources: tuple[str, ...]


def make_folds(rows: Sequence[Row]) -> list[Fold]:
    """Pair generators with photo sources, largest with largest, until each was held out once.

    Generators, and sources, of fewer than 20 images are held out together as one group: alone they
    are too few to measure.

    Raises:
        ManifestError: Holding one group out would leave none of its kind to train on.
    """
    generators = _groups(row.generator for row in rows if kind_of(row) == "fake")
    sources = _groups(row.source for row in rows if row.label == "real")
    pairs = any(kind_of(row) == "pair" for row in rows)
    if not generators or len(generators) + pairs < 2 or len(sources) < 2:
        raise ManifestError(
            "leaving one out needs two photo sources, and two generators or one beside "
            f"reconstructions; the manifest has {len(sources)} and {len(generators)} "
            f"(those of fewer than {SMALL} images count as one)"
        )
    count = max(len(generators), len(sources))
    return [Fold(generators[k % len(generators)], sources[k % len(sources)]) for k in range(count)]


def run_study(
    recipe: CompactRecipe, rows: Sequence[Row], work: Path, *, jobs: int = 1
) -> list[Prediction]:
    """Train and measure every fold; folds already in `work` are read, not run again.

    Args:
        recipe: Settings of every fold.
        rows: The whole manifest.
        work: Folder for the pool, the folds' models and their predictions.
        jobs: Folds at a time, each in a process of its own on its share of the cores; 1 runs them
            in this process.

    Raises:
        ManifestError: See `make_folds`; or `work` holds a study of other images or settings.
    """
    folds = make_folds(rows)
    _claim(work, recipe, rows)
    build_pool(rows, recipe.pool, work / "pool")
    run = partial(_run_fold, recipe, list(rows), work)
    if jobs == 1:
        return [p for number, fold in enumerate(folds) for p in run(number, fold)]
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_share_cores, initargs=(jobs,)
    ) as executor:
        results = list(executor.map(run, range(len(folds)), folds))
    return [prediction for result in results for prediction in result]


def _claim(work: Path, recipe: CompactRecipe, rows: Sequence[Row]) -> None:
    """Mark a folder as this study's, so that no other one's predictions are taken for its own."""
    work.mkdir(parents=True, exist_ok=True)
    mark = work / "study.json"
    study = [asdict(recipe), [asdict(row) for row in rows]]
    digest = hashlib.sha256(json.dumps(study).encode()).hexdigest()
    if mark.is_file() and json.loads(mark.read_text())["sha256"] != digest:
        raise ManifestError(
            f"{work} holds a study of other images or settings; give another folder, or remove it"
        )
    mark.write_text(json.dumps({"sha256": digest}) + "\n")


def _run_fold(
    recipe: CompactRecipe, rows: list[Row], work: Path, number: int, fold: Fold
) -> list[Prediction]:
    folder = work / f"fold-{number}"
    done = folder / "predictions.csv"
    if done.is_file():
        return read_predictions(done)
    pool: Pool = build_pool(rows, recipe.pool, work / "pool")
    keep = hold_out(fold.generators, fold.sources)
    expert = train_compact(recipe, pool, folder / "run", keep=keep, resume=True)
    export_compact(expert, recipe, UNCALIBRATED, "", folder / "model")
    branch = PixelBranch.load(folder / "model", device="cpu", threads=1)
    held_out = [row for row in rows if not keep(row) and kind_of(row) != "pair"]
    predictions = [p for row in held_out for p in _predict(branch, row, number)]
    write_predictions(predictions, done)
    return predictions


def _predict(branch: PixelBranch, row: Row, fold: int) -> list[Prediction]:
    try:
        pixels = decode(read_bytes(row.path), path=row.path).pixels
    except ImageError:
        return []  # already listed in the pool's failures
    return [
        Prediction(
            fold=fold,
            path=row.path,
            label=row.label,
            generator=row.generator,
            source=row.source,
            delivery=name,
            logit=branch.logit(delivered(pixels)),
        )
        for name, delivered in DELIVERIES.items()
    ]


def _groups(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names by falling count, the rare ones joined into one last group."""
    counts = Counter(names)
    common = [(name,) for name, count in counts.most_common() if count >= SMALL]
    rare = tuple(name for name, count in counts.most_common() if count < SMALL)
    return [*common, rare] if rare else [*common]


def _share_cores(jobs: int) -> None:
    import torch  # noqa: PLC0415 - in the child, before it trains

    torch.set_num_threads(max(1, usable_cores() // jobs))
