"""The Trainer of GAMMA models: the model with its loss, and its figures on held-out crops."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import EvalPrediction, Trainer

from aligngemini.evaluation.metrics import auc
from aligngemini.evaluation.segmentation import count_pixels, pixel_auc
from aligngemini.models.expert import normalize
from aligngemini.models.gamma import HEADS, Gamma
from aligngemini.training.gamma_loss import gamma_loss
from aligngemini.training.gamma_recipe import GammaRecipe

QUALITY = "quality"
"""Mean of the image's AUC and of each head's F1: what the best checkpoint is chosen by."""
IMAGE_FIGURES = ("auc", "balanced_accuracy", "real_accuracy", "fake_accuracy")
HEAD_FIGURES = tuple(f"{head}_{name}" for head in HEADS for name in ("f1", "iou", "auc"))
FIGURES = (QUALITY, *IMAGE_FIGURES, *HEAD_FIGURES, "false_area")

Array = npt.NDArray[Any]


class GammaInTraining(nn.Module):
    """A model with its normalisation and its loss, as the Trainer calls it."""

    def __init__(self, gamma: Gamma, recipe: GammaRecipe) -> None:
        super().__init__()
        self.gamma = gamma
        absent = set(HEADS) - set(recipe.heads)
        self.weights = replace(recipe.loss, **dict.fromkeys(absent, 0.0))
        self.mean: Tensor
        self.std: Tensor
        for name, values in (("mean", recipe.mean), ("std", recipe.std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Loss and logits of a batch.

        Args:
            pixels: (N, S, S, 3) uint8.
            labels: (N,), 1 for `fake`, 0 for `real`, -1 for unknown.
            masks: (N, 2, h, w), marked shares of the cells.

        Returns:
            `loss`, `logits` (N,), `generated` (N, h, w) and `moved` (N, h, w) logits.
        """
        output = self.gamma(normalize(pixels, self.mean, self.std))
        return {
            "loss": gamma_loss(output, labels, masks, self.weights),
            "logits": output.logits,
            "generated": output.generated,
            "moved": output.moved,
        }


class GammaTrainer(Trainer):
    """A Trainer that takes the draws in their order."""

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]  # it has a length


def figures(prediction: EvalPrediction) -> dict[str, float]:
    """Of held-out crops, by the names in `FIGURES`; what has no value is left out.

    Image figures are over the crops whose label is known, at a score of 0.5; those of a head over
    the crops with a region of its kind, on the cells of the maps at 0.5, mean over crops.
    `false_area` is the mean share that either map marks on crops with no region at all.

    Args:
        prediction: Logits (N,), generated (N, h, w), moved (N, h, w); labels (N,), masks
            (N, 2, h, w).
    """
    logits, *maps = (np.asarray(values, np.float64) for values in prediction.predictions)
    labels, masks = (np.asarray(values) for values in prediction.label_ids)
    if not all(np.isfinite(values).all() for values in (logits, *maps)):
        # Diverged: the worst there is, so that no such checkpoint is chosen.
        return {**dict.fromkeys(FIGURES, 0.0), "false_area": 1.0}
    found = _image_figures(logits, labels)
    regions = masks >= 0.5
    for number, head in enumerate(HEADS):
        found |= _head_figures(head, maps[number], regions[:, number])
    untouched = ~masks.any((1, 2, 3))
    if untouched.any():
        marked = np.maximum(*maps)[untouched] >= 0
        found["false_area"] = float(marked.mean())
    parts = [found[name] for name in ("auc", *(f"{head}_f1" for head in HEADS)) if name in found]
    return {QUALITY: float(np.mean(parts)) if parts else 0.0, **found}


def _image_figures(logits: Array, labels: Array) -> dict[str, float]:
    real, fake = logits[labels == 0], logits[labels == 1]
    if not len(real) or not len(fake):
        return {}
    accuracies = float((real < 0).mean()), float((fake >= 0).mean())
    values = (auc(real, fake), sum(accuracies) / 2, *accuracies)
    return dict(zip(IMAGE_FIGURES, values, strict=True))


def _head_figures(head: str, maps: Array, regions: Array) -> dict[str, float]:
    marked = [k for k in range(len(maps)) if regions[k].any()]
    if not marked:
        return {}
    counts = [count_pixels(maps[k] >= 0, regions[k]) for k in marked]
    areas = [pixel_auc(maps[k], regions[k]) for k in marked]
    values = {
        f"{head}_f1": float(np.mean([count.f1 for count in counts])),
        f"{head}_iou": float(np.mean([count.iou for count in counts])),
    }
    known = [area for area in areas if not math.isnan(area)]
    return {**values, f"{head}_auc": float(np.mean(known))} if known else values
