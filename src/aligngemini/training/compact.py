"""The whole way from a manifest to the compact expert's model folder."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.datasets.pool import build_pool, kind_of
from aligngemini.evaluation.holdout import (
    FALSE_ALARM_RATE,
    MISS_RATE,
    Thresholds,
    fit_thresholds,
    held_out_figures,
)
from aligngemini.evaluation.predictions import Prediction, write_predictions
from aligngemini.runtimes.folder import Calibration
from aligngemini.training.card import compact_card, verdicts_table
from aligngemini.training.diagnose import diagnose_compact
from aligngemini.training.export import export_compact
from aligngemini.training.findings import add_diagnosis
from aligngemini.training.pixel import train_compact
from aligngemini.training.probing import Progress, no_progress
from aligngemini.training.recipe import CompactRecipe
from aligngemini.training.study import run_study


def build_compact(
    recipe: CompactRecipe,
    manifest: Path,
    out: Path,
    work: Path,
    *,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> str:
    """Measure on held-out generators and photo sources, train on everything, export.

    The thresholds come from the leave-one-out study, because a model has nothing honest to say of
    images it was trained on. What `work` holds already, of an earlier run that was stopped, is not
    done again.

    Args:
        recipe: Settings.
        manifest: Images to train on, all of them.
        out: Model folder to write.
        work: Folder for the pool, the folds and the predictions.
        jobs: Folds at a time.
        progress: Shows how far the checks at the end are.

    Returns:
        The model's fingerprint.

    Raises:
        ManifestError: The manifest cannot be used, or holds too little.
        ExportError: The exported graph does not give the trained numbers.
    """
    rows = read_manifest(manifest)
    predictions = run_study(recipe, rows, work, jobs=jobs)
    write_predictions(predictions, work / "predictions.csv")
    pool = build_pool(rows, recipe.pool, work / "pool")
    expert = train_compact(recipe, pool, work / "final", resume=True)
    thresholds = fit_thresholds(predictions)
    calibration = calibrate(predictions, thresholds)
    card = compact_card(
        recipe,
        counts=training_counts(rows),
        failed=pool.failed,
        figures=held_out_figures(predictions),
        calibration=calibration,
        verdicts=verdicts_table(predictions, thresholds),
    )
    fingerprint = export_compact(expert, recipe, calibration, card, out)
    diagnosis = diagnose_compact(rows, predictions, calibration, out, progress=progress)
    add_diagnosis(diagnosis, out)
    return fingerprint


def calibrate(predictions: Sequence[Prediction], thresholds: Thresholds) -> Calibration:
    """The thresholds, with what they were set on."""
    photos = len({p.path for p in predictions if p.label == "real"})
    fakes = len({p.path for p in predictions if p.label == "fake"})
    return Calibration(
        scale=thresholds.scale,
        bias=thresholds.bias,
        threshold=thresholds.fake,
        threshold_real=thresholds.real,
        false_alarm_rate=FALSE_ALARM_RATE,
        miss_rate=MISS_RATE,
        fitted_on=f"{photos} photos and {fakes} AI images, each scored by a model that had seen "
        "neither its source nor its generator",
    )


def training_counts(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    """Images by kind and by source (photos), generator (AI images) or decoder (reconstructions)."""
    counts: dict[str, Counter[str]] = {"real": Counter(), "fake": Counter(), "pair": Counter()}
    for row in rows:
        counts[kind_of(row)][row.source if row.label == "real" else row.generator] += 1
    return counts
