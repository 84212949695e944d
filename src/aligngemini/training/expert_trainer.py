"""The Trainer of pixel experts: its model, its schedule, its figures."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import (
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from aligngemini.evaluation.metrics import auc
from aligngemini.models.expert import PixelExpert, normalize
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.losses import expert_loss

RATE_FLOOR = 0.001  # share of the learning rate that the schedule falls to
FIGURES = (
    "balanced_accuracy",
    "auc",
    "real_accuracy",
    "fake_accuracy",
    "false_alarm_rate",
    "miss_rate",
)


class ExpertInTraining(nn.Module):
    """An expert with its normalisation and its loss, as the Trainer calls it."""

    def __init__(self, expert: PixelExpert, recipe: ExpertRecipe) -> None:
        super().__init__()
        self.expert = expert
        self.loss = partial(expert_loss, bce=recipe.bce, contrastive=recipe.contrastive)
        self.mean: Tensor
        self.std: Tensor
        for name, values in (("mean", recipe.mean), ("std", recipe.std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`loss`, and `logits` (N,), of (N, S, S, 3) uint8 pixels and (N,) labels."""
        output = self.expert(normalize(pixels, self.mean, self.std))
        loss = self.loss(output.logits, output.features, labels)
        return {"loss": loss, "logits": output.logits}


class ExpertTrainer(Trainer):
    """A Trainer that takes the draws in their order, under the recipe's schedule."""

    def __init__(self, *, period: int, **options: Any) -> None:
        super().__init__(**options)
        self.period = period

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]  # it has a length

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """See `rate_share`."""
        if self.lr_scheduler is None:
            share = partial(rate_share, period=self.period)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, share)  # type: ignore[arg-type]  # the Trainer made it
        return self.lr_scheduler


class EvaluateAtEnd(TrainerCallback):
    """Measures the last step too, where it is no multiple of `eval_steps`.

    Newer versions of transformers do so themselves.
    """

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """After every optimiser step."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True


def rate_share(step: int, period: int) -> float:
    """Share of the learning rate at an optimiser step: a cosine to `RATE_FLOOR`, and back.

    Args:
        step: Optimiser steps taken.
        period: Steps down, and as many up again: PyTorch's `CosineAnnealingLR`, which DDA steps
            once an optimiser step, is periodic.
    """
    return RATE_FLOOR + (1 - RATE_FLOOR) * (1 + math.cos(math.pi * step / period)) / 2


def figures(prediction: EvalPrediction, threshold: float) -> dict[str, float]:
    """Of the logits of held-out images: all in [0, 1], by the names in `FIGURES`.

    Args:
        prediction: Logits (N,) and labels (N,), 1 for `fake`.
        threshold: Score that `false_alarm_rate` and `miss_rate` are counted at; the accuracies
            are at 0.5.
    """
    logits = np.asarray(prediction.predictions, np.float64)
    fake = prediction.label_ids == 1
    if not np.isfinite(logits).all():
        # Diverged: the worst there is, so that no such checkpoint is chosen.
        return {**dict.fromkeys(FIGURES, 0.0), "false_alarm_rate": 1.0, "miss_rate": 1.0}
    called_fake = logits >= 0
    at_threshold = logits >= math.log(threshold / (1 - threshold))
    real_accuracy, fake_accuracy = (~called_fake[~fake]).mean(), called_fake[fake].mean()
    values = (
        (real_accuracy + fake_accuracy) / 2,
        auc(logits[~fake], logits[fake]),
        real_accuracy,
        fake_accuracy,
        at_threshold[~fake].mean(),
        (~at_threshold[fake]).mean(),
    )
    return {name: float(value) for name, value in zip(FIGURES, values, strict=True)}
