"""Training a pixel expert on pairs, on the Hugging Face Trainer (DDA, arXiv 2505.14359)."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from peft import LoraConfig, get_peft_model
from safetensors.torch import load_model
from transformers import EarlyStoppingCallback, set_seed

from aligngemini.datasets.pairs import HeldOutDataset, Pair, PairDataset, collate
from aligngemini.models.expert import BACKBONES, PixelExpert, PixelExpertConfig, block_linears
from aligngemini.models.gamma import Gamma
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.expert_trainer import (
    FIGURES,
    EvaluateAtEnd,
    ExpertInTraining,
    ExpertTrainer,
    figures,
)
from aligngemini.training.gamma_recipe import GammaRecipe
from aligngemini.training.recipe import RecipeError
from aligngemini.training.running import METRICS, TRAINED, run_trainer, training_arguments

PUBLISHED_PERIOD = 1000  # steps from the highest to the lowest rate under `cosine-periodic`


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


def adapt(expert: PixelExpert | Gamma, recipe: ExpertRecipe | GammaRecipe) -> None:
    """Freeze what is not trained and put LoRA into the blocks; heads are always trained."""
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


def checkpoint_activations(expert: PixelExpert | Gamma) -> None:
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
    best = "balanced_accuracy" if held_out else None
    arguments = training_arguments(recipe, work, workers, labels=["labels"], best=best)
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
    run_trainer(trainer, work, FIGURES if held_out else ())
