"""The pixel expert of AlignGemini and DDA: a vision backbone, its class token, one linear unit.

The published one is DINOv2 ViT-L/14 with LoRA (arXiv 2505.14359, section 4; AlignGemini trains the
same on its own pairs). Any backbone that `transformers` loads with `AutoModel` and that gives patch
tokens can stand in: DINOv2, DINOv3, CLIP and SigLIP vision towers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

BACKBONES = {
    "dinov2-small": "facebook/dinov2-small",
    "dinov2-base": "facebook/dinov2-base",
    "dinov2-large": "facebook/dinov2-large",
    "dinov2-giant": "facebook/dinov2-giant",
    "dinov3-small": "facebook/dinov3-vits16-pretrain-lvd1689m",
    "dinov3-base": "facebook/dinov3-vitb16-pretrain-lvd1689m",
    "dinov3-large": "facebook/dinov3-vitl16-pretrain-lvd1689m",
    "clip-large": "openai/clip-vit-large-patch14-336",
    "siglip-large": "google/siglip-large-patch16-384",
}
"""Repositories of the Hub by short name."""

# Pictures and texts in one: only the picture's tower is wanted.
_TOWERS = {"clip": "CLIPVisionModel", "siglip": "SiglipVisionModel"}


class PixelExpertConfig(PretrainedConfig):
    """What a pixel expert is built from.

    Attributes:
        backbone_config: `transformers`' own configuration of the backbone.
    """

    model_type = "aligngemini-pixel-expert"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012 - transformers' own form

    def __init__(
        self, backbone_config: PretrainedConfig | dict[str, Any] | None = None, **settings: Any
    ) -> None:
        if isinstance(backbone_config, dict):
            values = dict(backbone_config)
            backbone_config = AutoConfig.for_model(values.pop("model_type"), **values)
        self.backbone_config = backbone_config or AutoConfig.for_model("dinov2")
        super().__init__(**settings)


@dataclass
class ExpertOutput:
    """What an expert gives for N images.

    Attributes:
        logits: (N,), above 0 for `fake`.
        features: (N, D), the class token the logit is read from.
        patch_logits: (N, h, w), the same linear unit on every patch token: where it looks, not
            what it decides.
    """

    logits: Tensor
    features: Tensor
    patch_logits: Tensor


class PixelExpert(PreTrainedModel):
    """Backbone, class token, one linear unit.

    `from_pretrained`, `save_pretrained` and `push_to_hub` are those of `transformers`; the weights
    on disk keep the layer names that released backbones have, whatever its version.
    """

    config_class = PixelExpertConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True

    def __init__(self, config: PixelExpertConfig) -> None:
        """Build with random weights; see `from_backbone` for pretrained ones."""
        super().__init__(config)
        self.backbone = AutoModel.from_config(config.backbone_config)
        self.head = nn.Linear(config.backbone_config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_backbone(cls, name: str, *, revision: str = "main") -> "PixelExpert":
        """An expert on a pretrained backbone, its head fresh.

        Args:
            name: One of `BACKBONES`, a repository of the Hub, or a local folder.
            revision: Branch, tag or commit of the repository.

        Raises:
            OSError: It is not there; the message is `transformers`' own.
        """
        backbone = pretrained_backbone(name, revision=revision)
        with torch.device("meta"):
            expert = cls(PixelExpertConfig(backbone.config))
        expert.backbone = backbone
        expert.head = fresh_head(backbone.config.hidden_size)
        return expert

    def _init_weights(self, module: nn.Module) -> None:
        if module is getattr(self, "head", None):
            nn.init.normal_(self.head.weight, 0.0, 0.02)
            nn.init.zeros_(self.head.bias)

    def forward(self, pixel_values: Tensor) -> ExpertOutput:
        """Judge normalised images.

        Args:
            pixel_values: (N, 3, H, W) float; sides divide by the backbone's patch size.
        """
        features, patches = look(self.backbone, pixel_values)
        return ExpertOutput(
            logits=self.head(features).squeeze(-1),
            features=features,
            patch_logits=self.head(patches).squeeze(-1),
        )


class ExpertGraph(nn.Module):
    """An expert with its normalisation, from bytes to logits: what is exported and run.

    Takes (N, H, W, 3) uint8 RGB and gives `logit` (N,) and `patches` (N, h, w).
    """

    def __init__(
        self, expert: PixelExpert, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.expert = expert
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        images = normalize(pixels, self.mean, self.std).to(self.expert.dtype)
        output = self.expert(images)
        return output.logits.float(), output.patch_logits.float()


def pretrained_backbone(name: str, *, revision: str = "main") -> PreTrainedModel:
    """A vision backbone with its released weights.

    Args:
        name: One of `BACKBONES`, a repository of the Hub, or a local folder.
        revision: Branch, tag or commit of the repository.

    Raises:
        OSError: It is not there; the message is `transformers`' own.
    """
    name = BACKBONES.get(name, name)
    config = AutoConfig.from_pretrained(name, revision=revision)
    config = getattr(config, "vision_config", config)
    loader = _tower(config.model_type)
    backbone: PreTrainedModel = loader.from_pretrained(name, revision=revision, dtype=torch.float32)
    return backbone


def look(backbone: nn.Module, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
    """Class token (N, D) and patch tokens (N, h, w, D) that a backbone gives for images.

    Args:
        backbone: Of any family in `BACKBONES`.
        pixel_values: (N, 3, H, W) float, normalised; sides divide by the backbone's patch size.
    """
    config: Any = backbone.config
    tower = config.model_type in ("clip_vision_model", "siglip_vision_model")
    # DINO takes any size; the towers interpolate their position table only when told to.
    output = backbone(pixel_values, **({"interpolate_pos_encoding": True} if tower else {}))
    tokens: Tensor = output.last_hidden_state
    rows, columns = (length // config.patch_size for length in pixel_values.shape[-2:])
    patches = tokens[:, tokens.shape[1] - rows * columns :].unflatten(1, (rows, columns))
    # CLIP normalises its class token after the last block, SigLIP pools by attention.
    return output.pooler_output if tower else tokens[:, 0], patches


def normalize(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32, by channel."""
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def fresh_head(width: int) -> nn.Linear:
    """One linear unit, as DDA starts it."""
    head = nn.Linear(width, 1)
    nn.init.normal_(head.weight, 0.0, 0.02)
    nn.init.zeros_(head.bias)
    return head


def block_linears(backbone: nn.Module) -> list[str]:
    """Names of all linear layers inside the transformer blocks: what LoRA adapts."""
    names = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear)]
    # Blocks are numbered; a pooling head or a patch projection is not.
    return [name for name in names if any(part.isdigit() for part in name.split("."))]


def _tower(model_type: str) -> Any:
    import transformers  # noqa: PLC0415 - by name, for a class that not every version has

    for family, name in _TOWERS.items():
        if model_type in (family, f"{family}_vision_model"):
            return getattr(transformers, name)
    return AutoModel
