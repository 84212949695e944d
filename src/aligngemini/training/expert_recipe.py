"""The settings of a pixel expert's training run."""

from dataclasses import dataclass
from typing import Any

from aligngemini.datasets.pair_settings import PairSettings
from aligngemini.runtimes.preprocess import CLIP_MEAN, CLIP_STD
from aligngemini.settings import SettingsError

TRAINED = ("lora", "head", "all")
SCHEDULES = ("cosine", "cosine-periodic")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters on every linear layer of the backbone's blocks.

    Attributes:
        rank: Of each adapter.
        alpha: The adapter's output is scaled by `alpha / rank`.
        dropout: Before each adapter, in [0, 1).
    """

    rank: int
    alpha: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if min(self.rank, self.alpha) < 1 or not 0 <= self.dropout < 1:
            raise SettingsError("lora needs rank and alpha of 1 or more and dropout in [0, 1)")


@dataclass(frozen=True)
class ExpertRecipe:
    """Settings of a pixel expert on a vision backbone (DDA, arXiv 2505.14359).

    Attributes:
        backbone: Short name, repository of the Hub or folder of a pretrained backbone; or
        backbone_config: `transformers`' settings, with `model_type`, of one that starts from
            random weights.
        crop_size: Side of the crops, pixels; a multiple of the backbone's patch.
        mean: Of each channel in [0, 1], subtracted.
        std: Of each channel, divided by.
        train: What is trained beside the head: `lora` adapters, nothing (`head`), or `all`.
        lora: The adapters; needed for `lora`, and only there.
        bce: Weight of the binary cross-entropy.
        contrastive: Weight of the contrastive loss.
        pairs: Alignment, rescaling and augmentation.
        batch_size: Pairs of one forward pass on one device; six images each, two without
            rescaling. Images are compared within it by the contrastive loss.
        accumulation: Forward passes of one optimiser step.
        steps: Optimiser steps.
        learning_rate: AdamW's at the start.
        betas: AdamW's.
        weight_decay: AdamW's.
        max_grad_norm: Gradients are scaled down to this norm; 0 leaves them.
        schedule: `cosine` down to 0.001 of the rate at the last step, or `cosine-periodic`, there
            and back again every 2,000 steps.
        bf16: Forward and backward passes in bfloat16; none: where the device has it.
        gradient_checkpointing: Compute activations twice instead of keeping them.
        eval_steps: Optimiser steps between two checkpoints, each measured on the held-out pairs.
        patience: Checkpoints without a better balanced accuracy after which training ends.
        threshold: Scores from here up are `fake`.
        seed: Of everything random; 0 or more.
    """

    crop_size: int
    train: str
    bce: float
    contrastive: float
    pairs: PairSettings
    batch_size: int
    accumulation: int
    steps: int
    learning_rate: float
    schedule: str
    eval_steps: int
    patience: int
    threshold: float
    seed: int
    backbone: str | None = None
    backbone_config: dict[str, Any] | None = None
    lora: Lora | None = None
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.0
    max_grad_norm: float = 0.0
    bf16: bool | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        if (self.backbone is None) == (self.backbone_config is None):
            raise SettingsError("give one of backbone and backbone_config")
        if self.backbone_config is not None and "model_type" not in self.backbone_config:
            raise SettingsError("backbone_config needs model_type, such as dinov2")
        _check_choice("train", self.train, TRAINED)
        _check_choice("schedule", self.schedule, SCHEDULES)
        if (self.lora is not None) != (self.train == "lora"):
            raise SettingsError("train: lora needs the settings lora, and nothing else takes them")
        for name in ("batch_size", "accumulation", "steps", "eval_steps", "patience"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more")
        for name in ("bce", "contrastive", "weight_decay", "max_grad_norm", "seed"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be below 0")
        if not self.bce:
            raise SettingsError("bce must be above 0: without it the head learns nothing")
        if not self.learning_rate > 0:
            raise SettingsError("learning_rate must be above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SettingsError("betas needs two numbers in [0, 1)")
        if not 0 < self.threshold < 1:
            raise SettingsError("threshold must lie between 0 and 1")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise SettingsError(f"{name} {value!r}; known: {', '.join(known)}")
