"""The whole way from a manifest of pairs to a pixel expert's model folder."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from accelerate import PartialState

from aligngemini.datasets.manifest import ManifestError, read_manifest
from aligngemini.datasets.pairs import find_pairs
from aligngemini.models.expert import PixelExpert
from aligngemini.models.gamma import Gamma
from aligngemini.runtimes.folder import Calibration, seal_folder, sha256_file, write_settings
from aligngemini.runtimes.preprocess import CenterCrop, Tiles
from aligngemini.settings import SettingsError
from aligngemini.training.diagnose import diagnose_expert
from aligngemini.training.expert import new_expert, train_expert
from aligngemini.training.expert_card import Data, expert_card, without_folder
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.findings import Diagnosis, add_diagnosis
from aligngemini.training.gamma_recipe import GammaRecipe
from aligngemini.training.probing import Progress, no_progress
from aligngemini.training.recipe import RecipeError, check_unused


def build_expert(
    recipe: ExpertRecipe,
    manifest: Path,
    out: Path,
    work: Path,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> str | None:
    """Train on the pairs of a manifest, measure on its held-out ones, write a model folder.

    What `work` holds of an earlier run of the same settings is gone on with. Under torchrun or
    accelerate, every process calls this alike and the first one writes.

    Args:
        recipe: Settings.
        manifest: See `find_pairs`; pairs of the split `val` are held out.
        out: Model folder to write: missing, or empty.
        work: Folder for checkpoints and logs.
        workers: Processes that prepare images; None takes one a core.
        progress: Shows how far the checks at the end are.

    Returns:
        The model's fingerprint; None in all processes but the first.

    Raises:
        ManifestError: The manifest cannot be used, has no pairs, or `work` belongs to another run.
        RecipeError: The backbone cannot be opened or does not fit the crop, or `out` is in use.
    """
    check_unused(out)
    data = _open_data(manifest)
    expert = new_expert(recipe)
    preprocess = _preprocess(recipe, expert)
    with PartialState().main_process_first():
        claim(work, recipe, data.sha256)
    expert, metrics = train_expert(recipe, expert, data.pairs, data.held_out, work, workers=workers)
    if not PartialState().is_main_process:
        return None
    calibration = Calibration(
        scale=1.0,
        bias=0.0,
        threshold=recipe.threshold,
        threshold_real=recipe.threshold,
        fitted_on=_fitted_on(data),
        false_alarm_rate=metrics.get("false_alarm_rate"),
        miss_rate=metrics.get("miss_rate"),
    )
    card = expert_card(out.name, recipe, data, metrics, devices=PartialState().num_processes)
    return write_model(
        expert,
        preprocess,
        calibration,
        card,
        out,
        diagnose=partial(
            diagnose_expert, manifest, data.pairs, data.held_out, calibration, progress=progress
        ),
    )


def write_model(
    model: PixelExpert | Gamma,
    preprocess: CenterCrop | Tiles,
    calibration: Calibration,
    card: str,
    out: Path,
    *,
    diagnose: Callable[[Path], Diagnosis] | None = None,
) -> str:
    """Write a model folder for PyTorch, whole or not at all; gives its fingerprint.

    Args:
        model: Trained weights, LoRA merged.
        preprocess: How an image becomes its input.
        calibration: How its logit becomes a label.
        card: The model card, Markdown.
        out: Folder to write; missing, or empty.
        diagnose: Looks at the finished model in its folder; what it finds goes along.
    """
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    backbone = model.config.backbone_config
    if backbone is not None:
        backbone.name_or_path = without_folder(backbone.name_or_path)
    model.save_pretrained(part)
    write_settings(part, preprocess, calibration)
    (part / "card.md").write_text(card, encoding="utf-8")
    fingerprint = seal_folder(part)
    if diagnose is not None:
        add_diagnosis(diagnose(part), part)
    if out.is_dir():
        out.rmdir()
    part.replace(out)
    return fingerprint


def _open_data(manifest: Path) -> Data:
    rows = read_manifest(manifest)
    pairs, held_out = (find_pairs(rows, split) for split in ("train", "val"))
    if not pairs:
        where = "all of its pairs are in the split val" if held_out else "it has no pairs"
        raise ManifestError(
            f"{manifest}: nothing to train on, {where}; a fake's column pair names the photo it "
            "was made from (aligngemini build pixel-set writes such a manifest)"
        )
    return Data(
        manifest=manifest.name,
        sha256=sha256_file(manifest),
        pairs=pairs,
        held_out=held_out,
        unpaired=sum(row.label == "fake" and not row.pair for row in rows),
    )


def _preprocess(recipe: ExpertRecipe, expert: PixelExpert) -> CenterCrop:
    patch_size = expert.config.backbone_config.patch_size
    try:
        return CenterCrop(recipe.crop_size, patch_size, recipe.mean, recipe.std)
    except SettingsError as error:
        raise RecipeError(str(error)) from error


def claim(work: Path, recipe: ExpertRecipe | GammaRecipe, sha256: str) -> None:
    """Mark a folder as this run's, so that no other one's checkpoints are gone on with."""
    work.mkdir(parents=True, exist_ok=True)
    mark = work / "run.json"
    run = json.dumps([asdict(recipe), sha256], sort_keys=True)
    digest = hashlib.sha256(run.encode()).hexdigest()
    if mark.is_file() and json.loads(mark.read_text())["sha256"] != digest:
        raise RecipeError(
            f"{work} holds a run of other images or settings; give --work another folder, or "
            "remove it"
        )
    mark.write_text(json.dumps({"sha256": digest}) + "\n")


def _fitted_on(data: Data) -> str:
    if not data.held_out:
        return "nothing: the threshold is the recipe's"
    return (
        f"nothing: the threshold is the recipe's; the rates are those of {len(data.held_out)} "
        "held-out pairs, which also chose the checkpoint"
    )
