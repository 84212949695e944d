"""The whole way from a manipulation set to a GAMMA model's folder."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from accelerate import PartialState

from aligngemini.branches.gamma import GammaBranch
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import (
    MOVED_KINDS,
    UNTOUCHED,
    ManipulationSetError,
    Sample,
    read_manipulation_set,
)
from aligngemini.evaluation.holdout import FALSE_ALARM_RATE, MISS_RATE, fit_thresholds
from aligngemini.evaluation.predictions import Prediction
from aligngemini.evaluation.regions import Measured, measure_images
from aligngemini.runtimes.folder import Calibration, sha256_file
from aligngemini.training.diagnose import diagnose_gamma
from aligngemini.training.expert_build import claim, write_model
from aligngemini.training.gamma import new_gamma, spread, train_gamma
from aligngemini.training.gamma_card import GammaData, gamma_card
from aligngemini.training.gamma_recipe import GammaRecipe
from aligngemini.training.probing import Progress, no_progress
from aligngemini.training.recipe import check_unused

UNMEASURED = Calibration(
    scale=1.0,
    bias=0.0,
    threshold=0.5,
    threshold_real=0.5,
    fitted_on="nothing: no held-out photo or no held-out fake to set thresholds on",
)


def build_gamma(
    recipe: GammaRecipe,
    manifest: Path,
    out: Path,
    work: Path,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> str | None:
    """Train on a manipulation set, measure on its held-out images, write a model folder.

    What `work` holds of an earlier run of the same settings is gone on with. Under torchrun or
    accelerate, every process calls this alike and the first one writes.

    Args:
        recipe: Settings.
        manifest: See `read_manipulation_set`; images of the split `val` are held out.
        out: Model folder to write: missing, or empty.
        work: Folder for checkpoints and logs.
        workers: Processes that prepare images; None takes one a core.
        progress: Given a number of images, a context whose value is called after each.

    Returns:
        The model's fingerprint; None in all processes but the first.

    Raises:
        ManifestError: The manifest or an image cannot be used.
        RecipeError: The backbone cannot be opened or does not fit the tiles, `out` is in use, or
            `work` belongs to another run.
    """
    check_unused(out)
    data = _open_data(manifest, pairs=recipe.crops.pairs)
    gamma = new_gamma(recipe)
    with PartialState().main_process_first():
        claim(work, recipe, data.sha256)
    gamma, crop_figures = train_gamma(
        recipe, gamma, data.samples, data.held_out, work, workers=workers
    )
    if not PartialState().is_main_process:
        return None
    trained = work / "model"
    shutil.rmtree(trained, ignore_errors=True)
    write_model(gamma, recipe.preprocess(), UNMEASURED, "# Not measured yet\n", trained)
    measured = _measure(recipe, trained, data.held_out, progress)
    calibration = calibrate(measured, moved_is_fake=recipe.moved_is_fake)
    card = gamma_card(
        out.name,
        recipe,
        data,
        calibration,
        crop_figures=crop_figures,
        measured=measured,
        devices=PartialState().num_processes,
    )
    diagnose = partial(
        diagnose_gamma,
        data.samples,
        measured,
        calibration,
        moved_is_fake=recipe.moved_is_fake,
        progress=progress,
    )
    return write_model(gamma, recipe.preprocess(), calibration, card, out, diagnose=diagnose)


def calibrate(measured: Sequence[Measured], *, moved_is_fake: bool) -> Calibration:
    """Scale and thresholds from held-out images, those of the worst delivery.

    Args:
        measured: Held-out images.
        moved_is_fake: Whether moved pixels alone make an image `fake`; where they do not, such
            images set no threshold.
    """
    predictions = [
        Prediction(
            fold=0,
            path=one.sample.path,
            label="real" if one.sample.manipulation == UNTOUCHED else "fake",
            generator=one.sample.generator,
            source=one.sample.source,
            delivery=one.delivery,
            logit=one.logit,
        )
        for one in measured
        if moved_is_fake or one.sample.manipulation not in MOVED_KINDS
    ]
    photos, fakes = (
        len({p.path for p in predictions if p.label == label}) for label in ("real", "fake")
    )
    if not photos or not fakes:
        return UNMEASURED
    thresholds = fit_thresholds(predictions)
    if thresholds.scale <= 0:
        return Calibration(
            scale=1.0,
            bias=0.0,
            threshold=1.0,
            threshold_real=0.0,
            fitted_on="nothing: held-out fakes score no higher than held-out photos",
        )
    return Calibration(
        scale=thresholds.scale,
        bias=thresholds.bias,
        threshold=min(1.0, thresholds.fake),
        threshold_real=min(1.0, thresholds.real),
        fitted_on=f"{photos} held-out photos nobody touched and {fakes} held-out fakes, which also "
        "chose the checkpoint",
        false_alarm_rate=FALSE_ALARM_RATE,
        miss_rate=MISS_RATE,
    )


def _measure(
    recipe: GammaRecipe, model: Path, held_out: Sequence[Sample], progress: Progress
) -> list[Measured]:
    chosen = spread(held_out, recipe.measured)
    branch = GammaBranch.load(model)
    with progress(len(chosen)) as step:
        try:
            return measure_images(branch, chosen, recipe.deliveries, step=step)
        except ManipulationSetError as error:
            raise ManifestError(str(error)) from error


def _open_data(manifest: Path, *, pairs: bool) -> GammaData:
    try:
        samples = read_manipulation_set(manifest)
    except ManipulationSetError as error:
        raise ManifestError(str(error)) from error
    held_out = [sample for sample in samples if sample.split == "val"]
    training = [sample for sample in samples if sample.split in ("", "train")]
    if not training:
        where = "all of its images are in the split val" if held_out else "it has no images"
        raise ManifestError(f"{manifest}: nothing to train on, {where}")
    needed = [sample.path for sample in samples]
    if pairs:
        needed += [sample.original for sample in training if sample.original is not None]
    missing = [path for path in dict.fromkeys(needed) if not Path(path).is_file()]
    if missing:
        raise ManifestError(
            f"{len(missing)} files of the manifest do not exist, the first is {missing[0]}; "
            "build the set again, or remove their rows"
        )
    return GammaData(manifest.name, sha256_file(manifest), training, held_out)
