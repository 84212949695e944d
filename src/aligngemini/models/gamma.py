"""GAMMA: one network that says whether an image was made or changed, and where (arXiv 2509.10250).

A backbone, a light decoder on its features, two segmentation heads and a class token. Head
`generated` marks pixels that a generator or decoder made, head `moved` pixels that were moved, are
foreign, or were filled without a generator. In reverse cross-attention the class token asks and the
segmentation features answer. The paper gives the parts; which backbone, decoder and formula is not
published, and every such choice here is this project's own (docs/training-gamma.md).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from aligngemini.models.compact import Layer, ResidualBank
from aligngemini.models.expert import fresh_head, look, normalize, pretrained_backbone
from aligngemini.models.small_backbone import SmallBackbone, SmallConfig

HEADS = ("generated", "moved")
ABSENT = -20.0
"""Logit everywhere in the map of a head that a model was built without."""
MOST = 30.0
"""Logits that leave the graph go no further: of what no camera takes, such as noise, a model may be
surer by orders of magnitude, and float32 keeps no absolute precision there."""
ATTENTION_HEADS = 4


class GammaConfig(PretrainedConfig):
    """What a GAMMA model is built from.

    Attributes:
        backbone_config: `transformers`' own configuration of the backbone; None for the small one.
        small: Settings of the small backbone, `SmallConfig` by name; None for another.
        map_stride: Side of one cell of the maps, pixels.
        decoder_width: Channels of the decoder.
        heads: Which of `HEADS` it has.
        reverse_attention: Whether the class token asks the segmentation features.
    """

    model_type = "aligngemini-gamma"
    sub_configs = {"backbone_config": AutoConfig}  # noqa: RUF012 - transformers' own form

    def __init__(
        self,
        backbone_config: PretrainedConfig | dict[str, Any] | None = None,
        *,
        small: dict[str, Any] | None = None,
        map_stride: int = 4,
        decoder_width: int = 64,
        heads: tuple[str, ...] | list[str] = HEADS,
        reverse_attention: bool = True,
        **settings: Any,
    ) -> None:
        if isinstance(backbone_config, dict):
            values = dict(backbone_config)
            backbone_config = AutoConfig.for_model(values.pop("model_type"), **values)
        if backbone_config is None and small is None:
            small = {}
        self.backbone_config = backbone_config
        self.small = None if small is None else asdict(SmallConfig(**_tuples(small)))
        self.map_stride = map_stride
        self.decoder_width = decoder_width
        self.heads = list(heads)
        self.reverse_attention = reverse_attention
        super().__init__(**settings)


@dataclass
class GammaOutput:
    """What GAMMA gives for N images.

    Attributes:
        logits: (N,), above 0 for `fake`.
        generated: (N, h, w) logits, above 0 where a generator or decoder made the pixels.
        moved: (N, h, w) logits, above 0 where pixels were moved, are foreign, or were filled.
    """

    logits: Tensor
    generated: Tensor
    moved: Tensor


class AttentionPool(nn.Module):
    """A class token for features that have none: their mean, weighted by what they show."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Conv2d(channels, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, h, w) to (N, channels)."""
        shares = torch.softmax(self.weight(features).flatten(1), dim=1)
        return (features.flatten(2) * shares[:, None]).sum(2)


class Decoder(nn.Module):
    """Three convolutions, the grid made finer before the second and the third."""

    def __init__(self, channels: int, skip_channels: int, width: int) -> None:
        super().__init__()
        self.narrow = Layer(channels, width, 1)
        self.fuse = Layer(width + skip_channels, width, 1)
        self.refine = Layer(width, width, 1)

    def forward(self, features: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Decode features.

        Args:
            features: (N, channels, h, w).
            skip: (N, skip_channels, h', w') on a finer grid, or None.
            size: Height and width of the maps.

        Returns:
            (N, width, *size).
        """
        decoded = self.narrow(features)
        if skip is None:
            height, width = decoded.shape[-2:]
            decoded = _resized(decoded, (2 * height, 2 * width))
        else:
            height, width = skip.shape[-2:]
            decoded = torch.cat([_resized(decoded, (height, width)), skip], 1)
        refined: Tensor = self.refine(_resized(self.fuse(decoded), size))
        return refined


class SegmentationHead(nn.Module):
    """Features of one of the two questions, and their answer in every cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = Layer(width, width, 1)
        self.logit = nn.Conv2d(width, 1, 1)

    def forward(self, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, h, w) to features (N, width, h, w) and logits (N, h, w)."""
        features = self.layer(decoded)
        return features, self.logit(features).squeeze(1)


class ReverseAttention(nn.Module):
    """The class token asks, the segmentation features answer: `token + gate * answer`.

    The gate starts at zero, so that the image's logit is at first what it would be without.
    """

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(
            width, ATTENTION_HEADS, kdim=features, vdim=features, batch_first=True
        )
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, token: Tensor, features: Tensor) -> Tensor:
        """(N, width) token and (N, features, h, w) to (N, width)."""
        keys = features.flatten(2).transpose(1, 2)
        answer, _ = self.attention(token[:, None], keys, keys, need_weights=False)
        corrected: Tensor = token + self.gate * answer[:, 0]
        return corrected


class Gamma(PreTrainedModel):
    """Backbone, decoder, two segmentation heads, reverse cross-attention, one linear unit."""

    config_class = GammaConfig
    base_model_prefix = "backbone"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True

    def __init__(self, config: GammaConfig) -> None:
        """Build with random weights; see `from_backbone` for pretrained ones.

        Raises:
            ValueError: `heads` names one that there is not, or none where reverse attention needs
                one.
        """
        super().__init__(config)
        if unknown := set(config.heads) - set(HEADS):
            raise ValueError(f"no head named {min(unknown)!r}; known: {', '.join(HEADS)}")
        if config.reverse_attention and not config.heads:
            raise ValueError("reverse attention needs a segmentation head")
        self.backbone: Any  # one of `transformers`, or the small one
        if config.small is not None:
            small = SmallBackbone(SmallConfig(**config.small))
            self.backbone = small
            self.pool = AttentionPool(small.channels)
            channels, skip_channels = small.channels, small.skip_channels
        else:
            self.backbone = AutoModel.from_config(config.backbone_config)
            channels, skip_channels = self.backbone.config.hidden_size, 0
        width = config.decoder_width
        self.decoder = Decoder(channels, skip_channels, width)
        self.heads = nn.ModuleDict({name: SegmentationHead(width) for name in config.heads})
        if config.reverse_attention:
            self.reverse = ReverseAttention(channels, width * len(config.heads))
        self.classifier = fresh_head(channels)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_backbone(cls, name: str, *, revision: str = "main", **settings: Any) -> "Gamma":
        """A model on a pretrained backbone, everything else fresh.

        Args:
            name: One of `BACKBONES`, a repository of the Hub, or a local folder.
            revision: Branch, tag or commit of the repository.
            settings: Of `GammaConfig`.

        Raises:
            OSError: It is not there; the message is `transformers`' own.
        """
        backbone = pretrained_backbone(name, revision=revision)
        model = cls(GammaConfig(backbone.config, **settings))
        model.backbone = backbone
        return model

    @property
    def side_multiple(self) -> int:
        """Sides of images divide by this, pixels."""
        small = self.config.small is not None
        side = self.backbone.stride if small else self.backbone.config.patch_size
        return math.lcm(side, self.config.map_stride)

    def _init_weights(self, module: nn.Module) -> None:
        # The layers draw their own weights. A buffer that no file holds is lost on the way through
        # the meta device, by which `from_pretrained` goes.
        if isinstance(module, ResidualBank):
            fresh = ResidualBank(module.bands, module.picture).kernel
            module.kernel.copy_(fresh)

    def forward(self, pixel_values: Tensor) -> GammaOutput:
        """Judge normalised images.

        Args:
            pixel_values: (N, 3, H, W) float; sides divide by `side_multiple`. For the small
                backbone normalised by mean 0 and standard deviation 1, so in [0, 1].
        """
        token, features, skip = self._features(pixel_values)
        stride = self.config.map_stride
        height, width = (side // stride for side in pixel_values.shape[-2:])
        decoded = self.decoder(features, skip, (height, width))
        answers = {name: head(decoded) for name, head in self.heads.items()}
        if self.config.reverse_attention:
            token = self.reverse(token, torch.cat([found for found, _ in answers.values()], 1))
        # Not `len`, which an export would keep for every batch.
        absent = decoded.new_full((), ABSENT).expand(decoded.shape[0], height, width)
        maps = [answers[name][1] if name in answers else absent for name in HEADS]
        return GammaOutput(self.classifier(token).squeeze(-1), *maps)

    def _features(self, pixel_values: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Class token (N, D), features (N, D, h, w), and finer features where there are any."""
        if self.config.small is None:
            token, patches = look(self.backbone, pixel_values)
            return token, patches.permute(0, 3, 1, 2), None
        features, skip = self.backbone(pixel_values)
        return self.pool(features), features, skip


class GammaGraph(nn.Module):
    """A model with its normalisation, from bytes to logits: what is exported and run.

    Takes (N, S, S, 3) uint8 RGB and gives `logit` (N,), `generated` (N, h, w) and `moved`
    (N, h, w), all logits.
    """

    def __init__(self, gamma: Gamma, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.gamma = gamma
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        output = self.gamma(normalize(pixels, self.mean, self.std).to(self.gamma.dtype))
        logit, generated, moved = (
            answer.float().clamp(-MOST, MOST)
            for answer in (output.logits, output.generated, output.moved)
        )
        return logit, generated, moved


def _resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Lists, as JSON holds them, to tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
