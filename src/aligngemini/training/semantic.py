"""Training a vision-language model on preference pairs, on TRL and PEFT (AlignGemini, section 3).

The objective is DPO (arXiv 2305.18290) or, to compare with, the likelihood of the chosen answers.
"""

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import set_seed
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.sft_config import SFTConfig

from aligngemini.models.qwen import load_model, load_processor
from aligngemini.runtimes.folder import ModelError
from aligngemini.training.expert_trainer import FIGURES, EvaluateAtEnd
from aligngemini.training.pixel import last_checkpoint
from aligngemini.training.recipe import RecipeError
from aligngemini.training.semantic_data import COLUMNS, Preferences
from aligngemini.training.semantic_recipe import SemanticRecipe
from aligngemini.training.semantic_trainer import (
    VerdictDPOTrainer,
    VerdictMixin,
    VerdictSFTTrainer,
)

STATE = "trainer_state.json"


def train_semantic(recipe: SemanticRecipe, preferences: Preferences, work: Path) -> Path:
    """Train, from the last checkpoint in `work` where there is one.

    Under torchrun or accelerate, every process calls this alike.

    Args:
        recipe: Settings.
        preferences: What to learn from and to measure on.
        work: Folder for checkpoints and logs.

    Returns:
        The checkpoint of the last step; `figures_of` reads what was measured.

    Raises:
        RecipeError: The base model cannot be opened, the recipe does not fit it or the machine.
        PreferenceError: An image cannot be decoded.
    """
    checkpoint = last_checkpoint(work)
    if checkpoint is None or _steps(checkpoint) < steps_of(recipe, len(preferences.train)):
        trainer = _trainer(recipe, preferences, work)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.accelerator.wait_for_everyone()
        checkpoint = last_checkpoint(work)
    if checkpoint is None:
        raise RecipeError(f"{work} holds no checkpoint after training; is the disk full?")
    return checkpoint


def steps_of(recipe: SemanticRecipe, pairs: int) -> int:
    """Optimiser steps of a run on so many pairs."""
    return recipe.steps or max(1, math.ceil(recipe.epochs * pairs / recipe.batch_size))


def figures_of(checkpoint: Path) -> list[dict[str, float]]:
    """What was measured on the way to a checkpoint: `step` and `FIGURES`, the last one last."""
    history = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["log_history"]
    return [
        {"step": entry["step"], **{name: entry[f"eval_{name}"] for name in FIGURES}}
        for entry in history
        if f"eval_{FIGURES[0]}" in entry
    ]


def _steps(checkpoint: Path) -> int:
    state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return int(state["global_step"])


def _trainer(recipe: SemanticRecipe, preferences: Preferences, work: Path) -> VerdictMixin:
    set_seed(recipe.seed)
    steps = steps_of(recipe, len(preferences.train))
    arguments = _arguments(recipe, work, steps, measured=len(preferences.held_out) > 0)
    model, processor = open_base(recipe)
    options: dict[str, Any] = {
        "model": model,
        "args": arguments,
        "processing_class": processor,
        "eval_dataset": preferences.held_out if len(preferences.held_out) else None,
        "callbacks": [EvaluateAtEnd()] if len(preferences.held_out) else [],
        "peft_config": _lora(recipe),
    }
    pairs = preferences.train.select_columns(list(COLUMNS))
    try:
        if recipe.objective == "dpo":
            # With LoRA the base model is the reference, adapters off.
            reference = open_base(recipe)[0] if recipe.train == "all" else None
            trainer: VerdictMixin = VerdictDPOTrainer(
                train_dataset=pairs, ref_model=reference, **options
            )
        else:
            pairs = pairs.remove_columns("rejected").rename_column("chosen", "completion")
            trainer = VerdictSFTTrainer(train_dataset=pairs, **options)
    except ValueError as error:  # PEFT's, where no layer matches
        raise RecipeError(f"the recipe does not fit {recipe.base}: {error}") from error
    trainer.prompt = preferences.prompt
    return trainer


def open_base(recipe: SemanticRecipe) -> tuple[Any, Any]:
    """Base model and processor, as the recipe wants them.

    Raises:
        RecipeError: They are not there, or are not Qwen2.5-VL's.
    """
    try:
        processor = load_processor(
            recipe.base,
            min_pixels=recipe.min_pixels,
            max_pixels=recipe.max_pixels,
            revision=recipe.base_revision,
        )
        dtype = torch.bfloat16 if _bf16(recipe) and recipe.train == "lora" else torch.float32
        model = load_model(recipe.base, dtype=dtype, revision=recipe.base_revision)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise RecipeError(
            f"cannot open the base model {recipe.base}: {reason}. Where the Hub is out of reach, "
            "give --base a folder with its files"
        ) from error
    return model, processor


def _lora(recipe: SemanticRecipe) -> LoraConfig | None:
    if recipe.lora is None:
        return None
    return LoraConfig(
        r=recipe.lora.rank,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        target_modules=recipe.targets,
    )


def _bf16(recipe: SemanticRecipe) -> bool:
    if recipe.bf16 is not None:
        return recipe.bf16
    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def _arguments(
    recipe: SemanticRecipe, work: Path, steps: int, *, measured: bool
) -> DPOConfig | SFTConfig:
    kind = DPOConfig if recipe.objective == "dpo" else SFTConfig
    every = max(1, math.ceil(steps / recipe.evals))
    options: dict[str, Any] = {
        "output_dir": str(work),
        "max_steps": steps,
        "per_device_train_batch_size": recipe.device_batch_size,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": round(recipe.warmup * steps),
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "bf16": _bf16(recipe),
        "use_cpu": not torch.cuda.is_available(),
        "seed": recipe.seed,
        "max_length": None,  # else the places of an image's tokens are cut off
        "eval_strategy": "steps" if measured else "no",
        "eval_steps": every,
        "save_steps": every,
        "save_total_limit": 1,
        "logging_steps": max(1, min(50, steps // 20)),
        "report_to": "tensorboard",
        "disable_tqdm": not sys.stderr.isatty(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        **_checkpointing(kind, on=recipe.gradient_checkpointing),
    }
    if recipe.objective == "dpo":
        options |= {"beta": recipe.beta, "disable_dropout": False}  # LoRA's is the recipe's wish
    arguments = kind(**options)
    if arguments.n_gpu > 1:
        raise RecipeError(
            "several GPUs are visible to one process: start it with torchrun --nproc_per_node N, "
            "or set CUDA_VISIBLE_DEVICES to one of them"
        )
    at_once = recipe.device_batch_size * arguments.world_size
    if recipe.batch_size % at_once:
        raise RecipeError(
            f"batch_size {recipe.batch_size} is no multiple of device_batch_size "
            f"{recipe.device_batch_size} times {arguments.world_size} processes"
        )
    arguments.gradient_accumulation_steps = recipe.batch_size // at_once
    return arguments


def _checkpointing(kind: type, *, on: bool) -> dict[str, bool]:
    """The switch for recomputed activations, by the name this version of transformers has."""
    names = {field.name for field in dataclasses.fields(kind)}
    if "activation_checkpointing" in names:
        return {"activation_checkpointing": on, "gradient_checkpointing": on}
    return {"gradient_checkpointing": on}
