"""The whole way from preference pairs to a folder that `detect --semantic` takes."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from accelerate import PartialState

from aligngemini.models.qwen import load_processor
from aligngemini.models.qwen_facts import MODELS
from aligngemini.runtimes.folder import Calibration
from aligngemini.runtimes.semantic_folder import (
    ADAPTER,
    UNMEASURED,
    SemanticSettings,
    open_semantic_folder,
    seal_semantic_folder,
)
from aligngemini.training.diagnose import diagnose_semantic
from aligngemini.training.findings import add_diagnosis
from aligngemini.training.probing import Progress, no_progress
from aligngemini.training.recipe import RecipeError, check_unused
from aligngemini.training.semantic import figures_of, steps_of, train_semantic
from aligngemini.training.semantic_card import semantic_card
from aligngemini.training.semantic_data import Preferences, open_preferences
from aligngemini.training.semantic_recipe import SemanticRecipe

BASE = ("config.json", "generation_config.json")


def build_semantic(
    recipe: SemanticRecipe,
    data: Path,
    out: Path,
    work: Path,
    *,
    progress: Progress = no_progress,
) -> str | None:
    """Train on preference pairs, measure the verdicts on held-out ones, write a model folder.

    What `work` holds of an earlier run of the same settings is gone on with. Under torchrun or
    accelerate, every process calls this alike and the first one writes.

    Args:
        recipe: Settings.
        data: See `open_preferences`.
        out: Model folder to write: missing, or empty.
        work: Folder for checkpoints, logs and a copy of the pairs.
        progress: Shows how far the checks at the end are.

    Returns:
        The model's fingerprint; None in all processes but the first.

    Raises:
        PreferenceError: The pairs cannot be used.
        RecipeError: The base model cannot be opened or trained by this recipe, `out` is in use, or
            `work` belongs to another run.
        ModelError: The base model's files are damaged.
    """
    check_unused(out)
    process = PartialState()
    with process.main_process_first():
        preferences = open_preferences(
            data, work / "cache", held_out=recipe.held_out, seed=recipe.seed
        )
        _claim(work, recipe, preferences)
    checkpoint = train_semantic(recipe, preferences, work)
    if not process.is_main_process:
        return None
    write_semantic(
        recipe,
        preferences,
        checkpoint,
        out,
        devices=process.num_processes,
        progress=progress,
    )
    return open_semantic_folder(out).fingerprint


def write_semantic(
    recipe: SemanticRecipe,
    preferences: Preferences,
    checkpoint: Path,
    out: Path,
    *,
    devices: int = 1,
    progress: Progress = no_progress,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        recipe: What was trained with.
        preferences: What was trained and measured on.
        checkpoint: Of the last step.
        out: Folder to write; missing, or empty.
        devices: Processes that trained together.
        progress: Shows how far the checks at the end are.

    Raises:
        RecipeError: The checkpoint holds no whole weights.
    """
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    (_copy_adapter if recipe.train == "lora" else _copy_model)(recipe, checkpoint, part)
    figures = figures_of(checkpoint)
    steps = steps_of(recipe, len(preferences.train))
    card = semantic_card(out.name, recipe, preferences, figures, steps=steps, devices=devices)
    (part / "card.md").write_text(card, encoding="utf-8")
    settings = SemanticSettings(
        base=_base(recipe, out),
        base_revision=recipe.base_revision,
        min_pixels=recipe.min_pixels,
        max_pixels=recipe.max_pixels,
        prompt=preferences.prompt,
    )
    calibration = _calibration(preferences, figures)
    seal_semantic_folder(part, settings, calibration)
    add_diagnosis(diagnose_semantic(preferences, calibration, part, progress=progress), part)
    if out.is_dir():
        out.rmdir()
    part.replace(out)


def _copy_adapter(recipe: SemanticRecipe, checkpoint: Path, out: Path) -> None:
    config, weights = (checkpoint / name for name in ADAPTER)
    if not weights.is_file():
        raise _in_shards(checkpoint)
    shutil.copyfile(weights, out / weights.name)
    values = json.loads(config.read_text(encoding="utf-8"))
    if Path(recipe.base).is_dir():
        values["base_model_name_or_path"] = None  # `semantic.json` says it, relative to the folder
    (out / config.name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _copy_model(recipe: SemanticRecipe, checkpoint: Path, out: Path) -> None:
    weights = sorted(checkpoint.glob("model*.safetensors*"))
    if not weights:
        raise _in_shards(checkpoint)
    for file in [*weights, *(checkpoint / name for name in BASE)]:
        shutil.copyfile(file, out / file.name)
    load_processor(
        recipe.base,
        min_pixels=recipe.min_pixels,
        max_pixels=recipe.max_pixels,
        revision=recipe.base_revision,
    ).save_pretrained(out)


def _in_shards(checkpoint: Path) -> RecipeError:
    return RecipeError(
        f"{checkpoint} holds no whole weights; with FSDP, set fsdp_state_dict_type to "
        "FULL_STATE_DICT and train with another --work"
    )


def _base(recipe: SemanticRecipe, out: Path) -> str:
    if recipe.train == "all":
        return "."
    if Path(recipe.base).is_dir():
        return os.path.relpath(recipe.base, out)
    return MODELS.get(recipe.base, recipe.base)


def _calibration(preferences: Preferences, figures: list[dict[str, float]]) -> Calibration:
    if not figures:
        return UNMEASURED
    return Calibration(
        scale=1.0,
        bias=0.0,
        threshold=0.5,
        threshold_real=0.5,
        fitted_on="nothing: the likelier verdict wins; the rates are those of "
        f"{len(preferences.held_out)} held-out images, degraded as those trained on",
        false_alarm_rate=figures[-1]["false_alarm_rate"],
        miss_rate=figures[-1]["miss_rate"],
    )


def _claim(work: Path, recipe: SemanticRecipe, preferences: Preferences) -> None:
    """Mark a folder as this run's, so that no other one's checkpoints are gone on with."""
    work.mkdir(parents=True, exist_ok=True)
    mark = work / "run.json"
    run = json.dumps([asdict(recipe), preferences.sha256, asdict(preferences.prompt)])
    digest = hashlib.sha256(run.encode()).hexdigest()
    if mark.is_file() and json.loads(mark.read_text())["sha256"] != digest:
        raise RecipeError(
            f"{work} holds a run of other pairs or settings; give --work another folder, or "
            "remove it"
        )
    mark.write_text(json.dumps({"sha256": digest}) + "\n")
