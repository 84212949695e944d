"""The settings of the semantic branch's training run (AlignGemini, arXiv 2512.06746, section 3)."""

import re
from dataclasses import dataclass
from typing import Any

from aligngemini.settings import SettingsError
from aligngemini.training.expert_recipe import Lora
from aligngemini.training.recipe import overridden, read_recipe

RECIPES = ("aligngemini", "sft")
"""Those that ship, as `recipes/semantic-NAME.yaml`."""

OBJECTIVES = ("dpo", "sft")
TRAINED = ("lora", "all")


@dataclass(frozen=True)
class SemanticRecipe:
    """Settings of a vision-language model's training on preference pairs.

    Attributes:
        objective: `dpo`, direct preference optimisation against the base model (arXiv 2305.18290);
            or `sft`, the likelihood of the chosen answers alone.
        base: Base model: a short name, a repository of the Hub, or a folder.
        train: `lora` adapters in the language model, everything else frozen; or `all` weights,
            those of the vision tower too, which is for small models from scratch.
        learning_rate: AdamW's at its peak; linear warm-up, then cosine to zero.
        batch_size: Pairs of one optimiser step, over all devices.
        device_batch_size: Pairs of one forward pass on one device.
        epochs: Passes over the pairs, where `steps` does not say otherwise.
        warmup: Share of the steps.
        weight_decay: AdamW's.
        max_grad_norm: Gradients are scaled down to this norm.
        min_pixels: Smaller images are enlarged to this many pixels.
        max_pixels: Larger ones are shrunk to this many.
        evals: How often the verdicts are measured on held-out pairs, the last step included.
        held_out: Share of the pairs that is held out where the set has no split `val`; 0 for none.
        gradient_checkpointing: Compute activations twice instead of keeping them.
        seed: Of everything random.
        lora: The adapters; needed for `lora`, and only there.
        targets: Regular expression that a linear layer's full name must match to get an adapter;
            likewise.
        beta: How fast preferences saturate as the model leaves the base; needed for `dpo`, and
            only there.
        bf16: Weights and activations in bfloat16; none: where the device has it.
        steps: Optimiser steps; none: as many as `epochs` takes.
        base_revision: Branch, tag or commit of the base's repository.
    """

    objective: str
    base: str
    train: str
    learning_rate: float
    batch_size: int
    device_batch_size: int
    epochs: float
    warmup: float
    weight_decay: float
    max_grad_norm: float
    min_pixels: int
    max_pixels: int
    evals: int
    held_out: float
    gradient_checkpointing: bool
    seed: int
    lora: Lora | None = None
    targets: str | None = None
    beta: float | None = None
    bf16: bool | None = None
    steps: int | None = None
    base_revision: str = "main"

    def __post_init__(self) -> None:
        for name, known in (("objective", OBJECTIVES), ("train", TRAINED)):
            if getattr(self, name) not in known:
                raise SettingsError(f"{name} {getattr(self, name)!r}; known: {', '.join(known)}")
        if (self.objective == "dpo") != (self.beta is not None) or (self.beta or 1) <= 0:
            raise SettingsError("beta belongs to the objective dpo, which needs one above 0")
        adapters = (self.lora is not None, self.targets is not None)
        if adapters != (self.train == "lora",) * 2:
            raise SettingsError("lora and targets belong to train: lora, which needs both")
        try:
            re.compile(self.targets or "")
        except re.error as error:
            raise SettingsError(f"targets is no regular expression: {error}") from error
        if not 0 < self.min_pixels <= self.max_pixels:
            raise SettingsError("min_pixels must be above 0 and not above max_pixels")
        if not (0 <= self.warmup < 1 and 0 <= self.held_out < 1):
            raise SettingsError("warmup and held_out are shares: from 0 up, below 1")
        counts = (self.batch_size, self.device_batch_size, self.evals, self.steps or 1)
        if min(counts) < 1 or self.epochs <= 0 or self.learning_rate <= 0:
            raise SettingsError(
                "batch_size, device_batch_size, evals and steps must be 1 or more, epochs and "
                "learning_rate above 0"
            )


def load_semantic_recipe(name: str, **overrides: Any) -> SemanticRecipe:
    """Read a recipe.

    Args:
        name: One of `RECIPES`, or the path of a YAML file.
        overrides: Values that replace the file's, such as `steps`; None leaves the file's.

    Raises:
        RecipeError: There is no such recipe, or a setting is missing, unknown or of a wrong kind.
    """
    return read_recipe(
        name,
        RECIPES,
        lambda values: overridden(SemanticRecipe, values, overrides),
        prefix="semantic-",
    )
