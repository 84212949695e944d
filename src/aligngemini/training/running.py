"""One training run on the Hugging Face Trainer, from settings to the weights it leaves behind."""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

import torch
from transformers import Trainer, TrainingArguments

from aligngemini.cores import usable_cores
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import ManipulationSetError
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.gamma_recipe import GammaRecipe
from aligngemini.training.pixel import last_checkpoint

TRAINED = "trained"
METRICS = "metrics.json"
DATA_ERRORS = ("ManifestError", "ManipulationSetError")

RunRecipe: TypeAlias = "ExpertRecipe | GammaRecipe"


def training_arguments(
    recipe: RunRecipe, work: Path, workers: int | None, *, labels: list[str], best: str | None
) -> TrainingArguments:
    """The Trainer's arguments.

    Args:
        recipe: Settings of the run.
        work: Folder for checkpoints and logs.
        workers: Processes that prepare images; None takes one a core, 0 none.
        labels: Keys of a batch that are answers.
        best: Figure by which the best checkpoint is chosen; None where nothing is held out.
    """
    cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=4 * recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        bf16=cuda and torch.cuda.is_bf16_supported() if recipe.bf16 is None else recipe.bf16,
        use_cpu=not cuda,
        seed=recipe.seed,
        eval_strategy="no" if best is None else "steps",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        save_total_limit=1,
        load_best_model_at_end=best is not None,
        metric_for_best_model=best,
        greater_is_better=None if best is None else True,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, min(50, recipe.steps // 20)),
        report_to="tensorboard",
        disable_tqdm=not sys.stderr.isatty(),
        remove_unused_columns=False,
        label_names=labels,
        dataloader_num_workers=usable_cores() if workers is None else workers,
        dataloader_pin_memory=cuda,
    )


def run_trainer(trainer: Trainer, work: Path, figures: Collection[str]) -> None:
    """Train, and leave the best weights and after them their figures in `work`.

    Goes on from the last checkpoint in `work` where there is one.

    Args:
        trainer: Ready to train.
        work: Folder for checkpoints and logs.
        figures: Names of the figures to keep, where they have a value; empty where nothing is held
            out.

    Raises:
        ManifestError: An image cannot be read or used.
    """
    checkpoint = last_checkpoint(work)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        found = trainer.evaluate() if figures else {}
    except (ManifestError, ManipulationSetError) as error:
        raise ManifestError(_without_traceback(str(error))) from error
    trainer.save_model(str(work / TRAINED))
    if trainer.is_world_process_zero():
        kept = {name: found[f"eval_{name}"] for name in figures if f"eval_{name}" in found}
        part = work / TRAINED / f"{METRICS}.part"
        part.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        part.replace(work / TRAINED / METRICS)
    trainer.accelerator.wait_for_everyone()


def _without_traceback(message: str) -> str:
    """Out of a loader process an error comes wrapped into that one's traceback."""
    for name in DATA_ERRORS:
        message = message.rpartition(f"{name}: ")[2]
    return message.strip()
