"""The settings of a GAMMA model's training run (arXiv 2509.10250)."""

from dataclasses import dataclass, field, replace
from typing import Any

from aligngemini.datasets.crop_settings import CropSettings, CropShape, Stage
from aligngemini.images.degrade import DELIVERIES
from aligngemini.models.gamma import HEADS
from aligngemini.models.small_backbone import SmallConfig
from aligngemini.runtimes.preprocess import CLIP_MEAN, CLIP_STD, Tiles
from aligngemini.settings import SettingsError
from aligngemini.training.expert_recipe import TRAINED, Lora
from aligngemini.training.gamma_loss import LossWeights
from aligngemini.training.recipe import overridden, read_recipe

RECIPES = ("gamma-compact", "gamma-genimage")
"""Those that ship, as `recipes/NAME.yaml`."""


@dataclass(frozen=True)
class GammaRecipe:
    """Settings of a GAMMA model.

    Attributes:
        tile_size: Side of the crops trained on and of the tiles looked at, pixels; a multiple of
            the backbone's patch or stride and of `map_stride`.
        overlap: Pixels that neighbouring tiles share at detection, a multiple of `map_stride`.
        map_stride: Side of one cell of the maps, pixels.
        decoder_width: Channels of the decoder.
        moved_is_fake: Whether moved or foreign pixels alone make an image `fake`.
        train: What is trained beside decoder and heads: `lora` adapters in the backbone, nothing
            of it (`head`), or `all`.
        batch_size: Images of one forward pass on one device; each gives `Stage.crops` crops, and as
            many of its original where `crops.pairs` is set.
        accumulation: Forward passes of one optimiser step.
        steps: Optimiser steps.
        learning_rate: AdamW's at its peak; linear warm-up, then cosine to zero.
        warmup: Share of the steps.
        eval_steps: Optimiser steps between two checkpoints, each measured on held-out crops.
        eval_crops: Most held-out crops to measure on there, one an image.
        patience: Checkpoints without a better `quality` after which training ends.
        measured: Most held-out images to measure the finished model on, whole.
        deliveries: What they go through first, by the names in `DELIVERIES`.
        seed: Of everything random; 0 or more.
        backbone: Short name, repository of the Hub or folder of a pretrained backbone; or
        backbone_config: `transformers`' settings, with `model_type`, of one that starts from
            random weights; or
        small: settings of the small backbone for CPUs.
        lora: The adapters; needed for `lora`, and only there.
        heads: Segmentation heads.
        reverse_attention: Whether the class token asks the segmentation features.
        loss: Weights of the parts of the loss.
        crops: How crops are drawn.
        stages: What training begins with, such as smaller crops; the steps that are left have crops
            of `tile_size`.
        top_share: Share of an image's tiles, those with the highest logits, whose mean is its own.
        max_tiles: Most tiles of one image at detection.
        mean: Of each channel in [0, 1], subtracted.
        std: Of each channel, divided by.
        betas: AdamW's.
        weight_decay: AdamW's.
        max_grad_norm: Gradients are scaled down to this norm; 0 leaves them.
        bf16: Forward and backward passes in bfloat16; none: where a GPU has it.
        gradient_checkpointing: Compute activations twice instead of keeping them.
    """

    tile_size: int
    overlap: int
    map_stride: int
    decoder_width: int
    moved_is_fake: bool
    train: str
    batch_size: int
    accumulation: int
    steps: int
    learning_rate: float
    warmup: float
    eval_steps: int
    eval_crops: int
    patience: int
    measured: int
    deliveries: tuple[str, ...]
    seed: int
    backbone: str | None = None
    backbone_config: dict[str, Any] | None = None
    small: SmallConfig | None = None
    lora: Lora | None = None
    heads: tuple[str, ...] = HEADS
    reverse_attention: bool = True
    loss: LossWeights = field(default_factory=LossWeights)
    crops: CropSettings = field(default_factory=CropSettings)
    stages: tuple[Stage, ...] = ()
    top_share: float = 0.0
    max_tiles: int = 768
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    bf16: bool | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        self._check_model()
        if unknown := set(self.deliveries) - set(DELIVERIES):
            raise SettingsError(f"delivery {min(unknown)!r}; known: {', '.join(DELIVERIES)}")
        if not self.deliveries:
            raise SettingsError("deliveries needs one at least; 'as is' changes nothing")
        counts = ("batch_size", "accumulation", "steps", "eval_steps", "patience", "decoder_width")
        for name in (*counts, "eval_crops", "measured"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more")
        for name in ("weight_decay", "max_grad_norm", "seed"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be below 0")
        if not 0 <= self.warmup < 1:
            raise SettingsError("warmup is a share: from 0 up, below 1")
        if not self.learning_rate > 0:
            raise SettingsError("learning_rate must be above 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SettingsError("betas needs two numbers in [0, 1)")
        self.preprocess()
        if any(stage.side % self.map_stride for stage in self.stages):
            raise SettingsError(
                f"sides of stages must be multiples of map_stride {self.map_stride}"
            )

    def _check_model(self) -> None:
        if [self.backbone, self.backbone_config, self.small].count(None) != 2:
            raise SettingsError("give one of backbone, backbone_config and small")
        if self.backbone_config is not None and "model_type" not in self.backbone_config:
            raise SettingsError("backbone_config needs model_type, such as dinov2")
        if self.train not in TRAINED:
            raise SettingsError(f"train {self.train!r}; known: {', '.join(TRAINED)}")
        if (self.lora is not None) != (self.train == "lora"):
            raise SettingsError("train: lora needs the settings lora, and nothing else takes them")
        if self.small is not None:
            if self.train != "all" or self.gradient_checkpointing:
                raise SettingsError(
                    "the small backbone starts from random weights and needs train: all, without "
                    "gradient_checkpointing"
                )
            if any(self.mean) or set(self.std) != {1.0}:
                raise SettingsError("the small backbone needs mean [0, 0, 0] and std [1, 1, 1]")
        if unknown := set(self.heads) - set(HEADS):
            raise SettingsError(f"head {min(unknown)!r}; known: {', '.join(HEADS)}")
        if self.reverse_attention and not self.heads:
            raise SettingsError("reverse_attention needs one of the heads")

    def preprocess(self) -> Tiles:
        """How an image becomes the model's input.

        Raises:
            SettingsError: Sizes do not fit each other.
        """
        return Tiles(
            tile_size=self.tile_size,
            map_stride=self.map_stride,
            overlap=self.overlap,
            max_tiles=self.max_tiles,
            top_share=self.top_share,
            mean=self.mean,
            std=self.std,
        )

    def shape(self) -> CropShape:
        """Of the crops trained on."""
        return CropShape(self.map_stride, self.moved_is_fake)

    def plan(self) -> list[Stage]:
        """All stages, cut off or filled up to `steps`."""
        plan, left = [], self.steps
        for stage in self.stages:
            if left:
                plan.append(replace(stage, steps=min(stage.steps, left)))
                left -= plan[-1].steps
        return [*plan, Stage(left, self.tile_size)] if left else plan


def load_gamma_recipe(name: str, **overrides: Any) -> GammaRecipe:
    """Read a recipe.

    Args:
        name: One of `RECIPES`, or the path of a YAML file.
        overrides: Values that replace the file's, such as `steps`; None leaves the file's.

    Raises:
        RecipeError: There is no such recipe, or a setting is missing, unknown or of a wrong kind.
    """
    return read_recipe(name, RECIPES, lambda values: overridden(GammaRecipe, values, overrides))
