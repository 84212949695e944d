"""Training GAMMA on a manipulation set, on the Hugging Face Trainer (arXiv 2509.10250)."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_model
from transformers import EarlyStoppingCallback, set_seed

from aligngemini.datasets.crops import collate
from aligngemini.datasets.manipulated import CropDataset, HeldOutCrops
from aligngemini.datasets.manipulation_set import Sample
from aligngemini.models.expert import BACKBONES
from aligngemini.models.gamma import Gamma, GammaConfig
from aligngemini.training.expert import adapt, checkpoint_activations
from aligngemini.training.expert_trainer import EvaluateAtEnd
from aligngemini.training.gamma_recipe import GammaRecipe
from aligngemini.training.gamma_trainer import (
    FIGURES,
    QUALITY,
    GammaInTraining,
    GammaTrainer,
    figures,
)
from aligngemini.training.recipe import RecipeError
from aligngemini.training.running import METRICS, TRAINED, run_trainer, training_arguments


def new_gamma(recipe: GammaRecipe) -> Gamma:
    """The model that training starts from: all but a pretrained backbone fresh, no LoRA yet.

    Raises:
        RecipeError: The backbone is not there, or is none, or does not fit the tiles.
    """
    set_seed(recipe.seed)
    settings: dict[str, Any] = {
        "map_stride": recipe.map_stride,
        "decoder_width": recipe.decoder_width,
        "heads": list(recipe.heads),
        "reverse_attention": recipe.reverse_attention,
    }
    try:
        if recipe.backbone is not None:
            gamma = Gamma.from_backbone(recipe.backbone, **settings)
        else:
            small = None if recipe.small is None else asdict(recipe.small)
            gamma = Gamma(GammaConfig(recipe.backbone_config, small=small, **settings))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        name = BACKBONES.get(recipe.backbone or "", recipe.backbone)
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise RecipeError(
            f"cannot open the backbone {name or recipe.backbone_config or recipe.small}: {reason}. "
            "Where the Hub is out of reach, give --backbone a folder with its config.json and "
            "model.safetensors"
        ) from error
    for side in (recipe.tile_size, *(stage.side for stage in recipe.stages)):
        if side % gamma.side_multiple:
            raise RecipeError(
                f"crops of {side} pixels: sides must be multiples of {gamma.side_multiple}, the "
                "least that backbone and map_stride take"
            )
    return gamma


def train_gamma(
    recipe: GammaRecipe,
    gamma: Gamma,
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    work: Path,
    *,
    workers: int | None = None,
) -> tuple[Gamma, dict[str, float]]:
    """Train a model, from the last checkpoint in `work` where there is one.

    Under torchrun or accelerate, every process calls this alike.

    Args:
        recipe: Settings.
        gamma: What `new_gamma` gave; changed in place.
        samples: To train on.
        held_out: To choose the best checkpoint by and to stop early; where there are none, training
            goes to its end and gives the last.
        work: Folder for checkpoints and logs.
        workers: Processes that prepare images; None takes one a core, 0 none.

    Returns:
        The model, in evaluation mode on the CPU, LoRA merged; and its `FIGURES` on crops of the
        held-out images, or none.

    Raises:
        ManifestError: An image or mask cannot be used, or none is left to train on.
    """
    set_seed(recipe.seed)
    adapt(gamma, recipe)
    model = GammaInTraining(gamma, recipe)
    metrics = work / TRAINED / METRICS
    if not metrics.is_file():
        _run(recipe, model, samples, spread(held_out, recipe.eval_crops), work, workers=workers)
    # From the file: trained in shards, the model is whole in no process.
    load_model(model.cpu(), work / TRAINED / "model.safetensors")
    if recipe.lora is not None:
        gamma.backbone = gamma.backbone.merge_and_unload()
    gamma.train(False)
    return gamma, json.loads(metrics.read_text())


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many samples, from beginning to end of each manipulation, as many of each."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.manipulation, []).append(sample)
    chosen: list[Sample] = []
    # The smallest groups first: what they do not use is the others'.
    for left, group in zip(
        range(len(groups), 0, -1), sorted(groups.values(), key=len), strict=True
    ):
        count = min(len(group), (most - len(chosen)) // left)
        chosen += [group[k * len(group) // count] for k in range(count)]
    return chosen


def _run(
    recipe: GammaRecipe,
    model: GammaInTraining,
    samples: Sequence[Sample],
    held_out: Sequence[Sample],
    work: Path,
    *,
    workers: int | None,
) -> None:
    """Train, and leave the best weights and after them their figures in `work`."""
    if recipe.gradient_checkpointing:
        checkpoint_activations(model.gamma)
    arguments = training_arguments(
        recipe, work, workers, labels=["labels", "masks"], best=QUALITY if held_out else None
    )
    arguments.warmup_steps = round(recipe.warmup * recipe.steps)
    arguments.lr_scheduler_type = "cosine"
    per_step = recipe.batch_size * recipe.accumulation * arguments.world_size
    shape, settings, seed = recipe.shape(), recipe.crops, recipe.seed
    evaluated = HeldOutCrops(held_out, recipe.tile_size, shape, settings, seed=seed)
    trainer = GammaTrainer(
        model=model,
        args=arguments,
        train_dataset=CropDataset(
            samples, recipe.plan(), shape, settings, per_step=per_step, seed=seed
        ),
        eval_dataset=evaluated if held_out else None,
        data_collator=collate,
        compute_metrics=figures,
        callbacks=[EvaluateAtEnd(), EarlyStoppingCallback(recipe.patience)] if held_out else [],
    )
    run_trainer(trainer, work, FIGURES if held_out else ())
