"""A pixel expert in a form that exports well: any image size in one graph, no mask.

`transformers` writes two things into a graph that cost time or are wrong at other sizes: a mask
that hides nothing, and position embeddings interpolated to the size of the traced example.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from aligngemini.models.expert import PixelExpert
from aligngemini.models.gamma import Gamma

PLAIN = "aligngemini-plain"
CUBIC = -0.75
"""The constant of PyTorch's bicubic interpolation (Keys 1981)."""

ANY_SIZE = ("dinov2", "dinov3_vit", "clip_vision_model", "siglip_vision_model")
"""Backbones whose graph takes any multiple of the patch size; others keep the traced one."""


def takes_any_size(expert: PixelExpert | Gamma) -> bool:
    """Whether the graph of this backbone is right at every multiple of its patch size."""
    return expert.backbone.config.model_type in ANY_SIZE


@contextmanager
def exportable(expert: PixelExpert | Gamma) -> Iterator[None]:
    """Replace attention and position embeddings while the block runs; the numbers stay."""
    backbone = expert.backbone
    attention = backbone.config._attn_implementation
    tables = [
        module for module in backbone.modules() if hasattr(module, "interpolate_pos_encoding")
    ]
    backbone.set_attn_implementation(PLAIN)
    if takes_any_size(expert):
        for module in tables:
            module.interpolate_pos_encoding = _Positions(module, backbone.config.patch_size)
    try:
        yield
    finally:
        backbone.set_attn_implementation(attention)
        for module in tables:
            vars(module).pop("interpolate_pos_encoding", None)


def plain_attention(  # noqa: PLR0917 - as `transformers` calls it
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention of every token to every token, in the form `transformers` calls it.

    Its own name keeps `transformers` from building a mask: none belongs to `PLAIN`.
    """
    weights = torch.softmax(query @ key.transpose(2, 3) * scaling, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(PLAIN, plain_attention)


def cubic_matrix(cells: int, wanted: int) -> Tensor:
    """The (wanted, cells) matrix that resizes a line of cells as PyTorch's bicubic does.

    The identity where both are equal: `align_corners` is false, cells beyond the ends repeat.
    """
    centres = (torch.arange(wanted, dtype=torch.float32) + 0.5) * (cells / wanted) - 0.5
    taps = torch.floor(centres)[:, None] + torch.arange(-1, 3)
    far = (centres[:, None] - taps).abs()
    near = ((CUBIC + 2) * far - (CUBIC + 3)) * far * far + 1
    weights = torch.where(far <= 1, near, ((far - 5) * far + 8) * far * CUBIC - 4 * CUBIC)
    falls_on = taps.clamp(0, cells - 1)[:, :, None] == torch.arange(cells)
    return (weights[:, :, None] * falls_on).sum(1)


class _Positions:
    """Stands in for a backbone's own `interpolate_pos_encoding`: two matrices instead of a resize.

    ONNX Runtime takes 2 % of a ViT-L's time for the resize, and the exporter fixes its size.
    """

    def __init__(self, module: Any, patch_size: int) -> None:
        self.module = module
        self.patch_size = patch_size

    def __call__(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        table = self._table()
        side = math.isqrt(table.shape[0])
        first = table.shape[0] - side * side  # the class token's
        rows, columns = height // self.patch_size, width // self.patch_size
        grid = cubic_matrix(side, rows) @ table[first:].reshape(side, -1)
        grid = cubic_matrix(side, columns) @ grid.reshape(rows, side, -1)
        return torch.cat((table[:first], grid.reshape(rows * columns, -1)))[None]

    def _table(self) -> Tensor:
        """(first + side^2, D); DINOv2 has a parameter, CLIP and SigLIP an embedding layer."""
        if hasattr(self.module, "position_embeddings"):
            parameter: Tensor = self.module.position_embeddings[0]
            return parameter
        weight: Tensor = self.module.position_embedding.weight
        return weight
