"""Training the pixel expert, on the Hugging Face Trainer."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model
from torch.utils.data import Dataset, Sampler, WeightedRandomSampler
from transformers import Trainer, TrainingArguments, set_seed

from aligngemini.datasets.manifest import ManifestError, Row
from aligngemini.datasets.pixel import ViewsDataset, sampling_weights
from aligngemini.datasets.pool import Pool
from aligngemini.models.compact import CompactExpert
from aligngemini.training.recipe import CompactRecipe


class BalancedTrainer(Trainer):
    """A Trainer that draws rows by weight, with replacement."""

    def __init__(self, *, weights: list[float], **options: Any) -> None:
        super().__init__(**options)
        self.weights = weights

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        generator = torch.Generator().manual_seed(self.args.seed)
        return WeightedRandomSampler(self.weights, len(self.weights), generator=generator)


def train_compact(
    recipe: CompactRecipe,
    pool: Pool,
    work: Path,
    *,
    keep: Callable[[Row], bool] = lambda row: True,
    resume: bool = False,
) -> CompactExpert:
    """Train a compact expert.

    Args:
        recipe: Settings.
        pool: Views of every image, held-out ones included.
        work: Folder for checkpoints and logs.
        keep: Which rows to train on; the others are held out.
        resume: Go on from the last checkpoint in `work`, where there is one.

    Returns:
        The trained expert, in evaluation mode.

    Raises:
        ManifestError: A class has no image left.
    """
    kept = [k for k, row in enumerate(pool.rows) if keep(row)]
    rows = [pool.rows[k] for k in kept]
    for label in ("real", "fake"):
        if not any(row.label == label for row in rows):
            raise ManifestError(f"there is no {label} image to train on")
    set_seed(recipe.seed)
    expert = CompactExpert(recipe.native, recipe.whole)
    checkpoint = last_checkpoint(work) if resume else None
    if checkpoint is not None and steps_done(checkpoint) >= recipe.steps:
        # The Trainer would take one more step before it looks at the count.
        load_model(expert, checkpoint / "model.safetensors")
        return expert.eval()
    on_cpu = not torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=round(recipe.warmup * recipe.steps),
        lr_scheduler_type="cosine",
        max_grad_norm=5.0,
        bf16=True,
        use_cpu=on_cpu,
        seed=recipe.seed,
        save_steps=max(1, recipe.steps // 4),
        save_total_limit=1,
        logging_steps=max(1, recipe.steps // 20),
        report_to="tensorboard",
        remove_unused_columns=False,
        dataloader_num_workers=0,  # a view takes a millisecond, and a worker would copy the pool
        dataloader_pin_memory=not on_cpu,
    )
    trainer = BalancedTrainer(
        weights=sampling_weights(rows, recipe.pair_share, recipe.group_power),
        model=expert,
        args=arguments,
        train_dataset=ViewsDataset(pool, kept, recipe.train_crop),
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return expert.eval()


def last_checkpoint(work: Path) -> Path | None:
    """The checkpoint of the most steps in a folder, leaving out one that was not written whole."""
    # The Trainer writes its state after everything else.
    whole = (state.parent for state in work.glob("checkpoint-*/trainer_state.json"))
    return max(whole, key=steps_done, default=None)


def steps_done(checkpoint: Path) -> int:
    """Optimiser steps behind a checkpoint, which its name tells."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def hold_out(generators: Collection[str], sources: Collection[str]) -> Callable[[Row], bool]:
    """A filter that keeps generators and photo sources out of training.

    Reconstructions follow their photo: a held-out source takes its pairs along.
    """

    def keep(row: Row) -> bool:
        if row.label == "fake" and not row.pair:
            return row.generator not in generators
        return row.source not in sources

    return keep
