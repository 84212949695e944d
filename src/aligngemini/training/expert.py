"""Training a pixel expert on pairs, on the Hugging Face Trainer (DDA, arXiv 2505.14359)."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_model
from transformers import EarlyStoppingCallback, TrainingArguments, set_seed

from aligngemini.cores import usable_cores
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.pairs import HeldOutDataset, Pair, PairDataset, collate
from aligngemini.models.expert import BACKBONES, PixelExpert, PixelExpertConfig, block_linears
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.expert_trainer import (
    FIGURES,
    EvaluateAtEnd,
    ExpertInTraining,
    ExpertTrainer,
    figures,
)
from aligngemini.training.pixel import last_checkpoint
from aligngemini.training.recipe import RecipeError

PUBLISHED_PERIOD = 1000  # steps from the highest to the lowest rate under `cosine-periodic`
TRAINED = "trained"
METRICS = "metrics.json"


def new_expert(recipe: ExpertRecipe) -> PixelExpert:
    """The expert that training starts from: its head fresh, nothing frozen, no LoRA yet.

    Raises:
        RecipeError: The backbone is not there, or is none.
    """
    set_seed(recipe.seed)
    name = BACKBONES.get(recipe.backbone or "", recipe.backbone)
    try:
        if name is not None:
            return PixelExpert.from_backbone(name)
        return PixelExpert(PixelExpertConfig(recipe.backbone_config))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise RecipeError(
            f"cannot open the backbone {name or recipe.backbone_config}: {reason}. "
            "Where the Hub is out of reach, give --backbone a folder with its config.json and "
            "model.safetensors"
        ) from error


def adapt(expert: PixelExpert, recipe: ExpertRecipe) -> None:
    """Freeze what is not trained and put LoRA into the blocks; the head is always trained."""
    if recipe.lora is not None:
        lora = LoraConfig(
            r=recipe.lora.rank,
            lora_alpha=recipe.lora.alpha,
            lora_dropout=recipe.lora.dropout,
            target_modules=block_linears(expert.backbone),
        )
        expert.backbone = get_peft_model(expert.backbone, lora)
    elif recipe.train == "head":
        expert.backbone.requires_grad_(False)


def checkpoint_activations(expert: PixelExpert) -> None:
    """Compute activations again in the backward pass instead of keeping them."""
    # Its name before transformers 5.23, which warns of it.
    old = expert.gradient_checkpointing_enable
    getattr(expert, "activation_checkpointing_enable", old)({"use_reentrant": False})


def train_expert(
    recipe: ExpertRecipe,
    expert: PixelExpert,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    work: Path,
    *,
    workers: int | None = None,
) -> tuple[PixelExpert, dict[str, float]]:
    """Train an expert, from the last checkpoint in `work` where there is one.

    Under torchrun or accelerate, every process calls this alike.

    Args:
        recipe: Settings.
        expert: What `new_expert` gave; changed in place.
        pairs: To train on, one at least.
        held_out: To choose the best checkpoint by, by balanced accuracy at 0.5, and to stop early;
            where there are none, training goes to its end and gives the last.
        work: Folder for checkpoints and logs.
        workers: Processes that prepare images; None takes one a core, 0 none.

    Returns:
        The expert, in evaluation mode on the CPU, LoRA merged; and its `FIGURES` on the held-out
        pairs, or none.

    Raises:
        ManifestError: An image cannot be read, or a pair's sizes differ.
    """
    set_seed(recipe.seed)
    adapt(expert, recipe)
    model = ExpertInTraining(expert, recipe)
    metrics = work / TRAINED / METRICS
    if not metrics.is_file():
        _run(recipe, model, pairs, held_out, work, workers=workers)
    # From the file: trained in shards, the model is whole in no process.
    load_model(model.cpu(), work / TRAINED / "model.safetensors")
    if recipe.lora is not None:
        expert.backbone = expert.backbone.merge_and_unload()
    expert.train(False)
    return expert, json.loads(metrics.read_text())


def _run(
    recipe: ExpertRecipe,
    model: ExpertInTraining,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    work: Path,
    *,
    workers: int | None,
) -> None:
    """Train, and leave the best weights and after them their figures in `work`."""
    if recipe.gradient_checkpointing:
        checkpoint_activations(model.expert)
    arguments = _arguments(recipe, work, workers, measured=bool(held_out))
    draws = recipe.steps * recipe.batch_size * recipe.accumulation * arguments.world_size
    trainer = ExpertTrainer(
        model=model,
        args=arguments,
        train_dataset=PairDataset(pairs, draws, recipe.crop_size, recipe.pairs, seed=recipe.seed),
        eval_dataset=HeldOutDataset(held_out, recipe.crop_size) if held_out else None,
        data_collator=collate,
        compute_metrics=partial(figures, threshold=recipe.threshold),
        callbacks=[EvaluateAtEnd(), EarlyStoppingCallback(recipe.patience)] if held_out else [],
        period=recipe.steps if recipe.schedule == "cosine" else PUBLISHED_PERIOD,
    )
    checkpoint = last_checkpoint(work)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        found = trainer.evaluate() if held_out else {}
    except ManifestError as error:
        # Out of a loader process it comes wrapped into that one's traceback.
        raise ManifestError(str(error).rpartition("ManifestError: ")[2].strip()) from error
    trainer.save_model(str(work / TRAINED))
    if trainer.is_world_process_zero():
        kept = {name: found[f"eval_{name}"] for name in FIGURES if found}
        part = work / TRAINED / f"{METRICS}.part"
        part.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        part.replace(work / TRAINED / METRICS)
    trainer.accelerator.wait_for_everyone()


def _arguments(
    recipe: ExpertRecipe, work: Path, workers: int | None, *, measured: bool
) -> TrainingArguments:
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
        eval_strategy="steps" if measured else "no",
        eval_steps=recipe.eval_steps,
        save_steps=recipe.eval_steps,
        save_total_limit=1,
        load_best_model_at_end=measured,
        metric_for_best_model="balanced_accuracy" if measured else None,
        greater_is_better=True if measured else None,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, min(50, recipe.steps // 20)),
        report_to="tensorboard",
        disable_tqdm=not sys.stderr.isatty(),
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=usable_cores() if workers is None else workers,
        dataloader_pin_memory=cuda,
    )
