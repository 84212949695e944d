"""The published checkpoint of DDA (arXiv 2505.14359) as a `PixelExpert`.

`DDA_ckpt.pth` holds DINOv2 under the layer names of its own repository, with LoRA beside its linear
layers, and one linear unit. Here LoRA is merged, the joint projection of queries, keys and values
taken apart, and the position table scaled to the crop once, as DINOv2's own code scales it.
"""

import pickle
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import Dinov2Config

from aligngemini.models.expert import PixelExpert, PixelExpertConfig
from aligngemini.models.quiet import quiet_transformers

ALPHA = 1.0
"""Of the published LoRA; its rank can be read from the tensors, this cannot."""
CROP_SIZE = 336
"""Side of the crop the published code judges, pixels."""
HEAD_WIDTH = 64  # of every released DINOv2
OFFSET = 0.1
"""Added to the number of patches along a side before the position table is scaled to it.

DINOv2 scales its table by a factor, where `transformers` gives the size; the factor is that little
too large, which moves every sampling point. Leaving it out changes the scores.
"""

_SKELETON = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_BLOCK = {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}
_BLOCK_LAYERS = {"norm1": "norm1", "norm2": "norm2", "attn.proj": "attention.output.dense"}
_MLP = {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
_SWIGLU = {"mlp.w12": "mlp.weights_in", "mlp.w3": "mlp.weights_out"}
_QKV = "attn.qkv"


class CheckpointError(Exception):
    """A file that is no such checkpoint; the message says what is wrong with it."""


@dataclass(frozen=True)
class Dda:
    """What a checkpoint held.

    Attributes:
        expert: With LoRA merged, in evaluation mode, float32.
        crop_size: Side of the crops it takes, pixels.
        patch_size: Side of the backbone's patches, pixels.
        merged: Linear layers that LoRA adapted.
        rank: Of the LoRA; 0 where there is none.
        alpha: It was scaled by `alpha / rank`.
    """

    expert: PixelExpert
    crop_size: int
    patch_size: int
    merged: int
    rank: int
    alpha: float


def load_dda(path: Path, *, alpha: float = ALPHA, crop_size: int = CROP_SIZE) -> Dda:
    """Read a checkpoint of DDA's training code, of any size of DINOv2.

    Args:
        path: The `.pth` file, or a bare state dict in one.
        alpha: Of the LoRA it was trained with.
        crop_size: Side of the crops it will take, pixels.

    Raises:
        CheckpointError: The file cannot be read safely, or holds other layers.
    """
    tensors = _split_prefix(_state_dict(path))
    weights, merged, rank = _merge_lora(tensors, alpha)
    config = _config(weights, crop_size)
    names = _renamed(config)
    _check(expected=names, found=weights)
    table, patch_size = weights["pos_embed"], weights["patch_embed.proj.weight"].shape[-1]
    weights["pos_embed"] = _scale_table(table, crop_size // patch_size)
    state = {"head.weight": weights["fc.weight"], "head.bias": weights["fc.bias"]}
    for name, new_names in names.items():
        for new_name, part in zip(new_names, weights[name].chunk(len(new_names)), strict=True):
            state[new_name] = part.contiguous()
    try:
        with quiet_transformers():
            # Through `from_pretrained`, because it alone knows its version's names of the layers.
            expert = PixelExpert.from_pretrained(
                None, config=PixelExpertConfig(config), state_dict=state, dtype=torch.float32
            )
    except RuntimeError as error:
        raise CheckpointError(f"{path} holds layers of other shapes than a DINOv2's") from error
    return Dda(expert, crop_size, patch_size, merged, rank, alpha)


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name.

    Raises:
        CheckpointError: It is none of PyTorch's, holds more than data, or no tensors by name.
    """
    try:
        # Mapped where the format allows, so that the optimiser's state is never read.
        loaded = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is no PyTorch checkpoint, or holds code beside its numbers, which is not run"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged, or no PyTorch checkpoint") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
        loaded = loaded["model"]
    if not isinstance(loaded, dict) or not any(isinstance(v, Tensor) for v in loaded.values()):
        raise CheckpointError(f"{path} holds no layers by name")
    return {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}


def _split_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before the names; the last layer keeps its `fc.`."""
    return {
        re.sub(r"^(module\.)?(base_model\.)?(model\.)?", "", name): tensor
        for name, tensor in tensors.items()
    }


def _merge_lora(tensors: dict[str, Tensor], alpha: float) -> tuple[dict[str, Tensor], int, int]:
    """Plain weights; how many layers were adapted, and by which rank."""
    plain = {k: v for k, v in tensors.items() if ".original_layer." not in k and ".lora." not in k}
    merged = rank = 0
    for name, tensor in tensors.items():
        if name.endswith(".original_layer.bias"):
            plain[name.replace(".original_layer", "")] = tensor
        if not name.endswith(".original_layer.weight"):
            continue
        layer = name.removesuffix(".original_layer.weight")
        down, up = (tensors.get(f"{layer}.lora.lora_{part}") for part in "AB")
        if down is None or up is None:
            raise CheckpointError(f"the layer {layer} lacks its lora_A or lora_B")
        rank, merged = len(down), merged + 1
        if up.shape[1:] != down.shape[:1] or (len(up), down.shape[1]) != tuple(tensor.shape):
            raise CheckpointError(f"lora_A and lora_B of the layer {layer} do not fit its weight")
        plain[f"{layer}.weight"] = tensor.float() + alpha / rank * (up.float() @ down.float())
    return {name: tensor.float() for name, tensor in plain.items()}, merged, rank


def _config(weights: dict[str, Tensor], crop_size: int) -> Dinov2Config:
    """The size of the backbone, from the shapes of its tensors."""
    patches, table = weights.get("patch_embed.proj.weight"), weights.get("pos_embed")
    blocks = {int(found[1]) for name in weights if (found := re.match(r"blocks\.(\d+)\.", name))}
    if patches is None or patches.ndim != 4 or table is None or table.ndim != 3 or not blocks:
        raise CheckpointError("the checkpoint holds no DINOv2: no patch_embed, pos_embed or blocks")
    width, patch_size = patches.shape[0], patches.shape[-1]
    if width % HEAD_WIDTH or crop_size % patch_size:
        raise CheckpointError(
            f"a backbone {width} wide with patches of {patch_size} pixels is no DINOv2"
        )
    inner = weights.get("blocks.0.mlp.fc1.bias")
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=max(blocks) + 1,
        num_attention_heads=width // HEAD_WIDTH,
        mlp_ratio=4 if inner is None else len(inner) // width,
        use_swiglu_ffn=inner is None,
        image_size=crop_size,
        patch_size=patch_size,
    )


def _renamed(config: Dinov2Config) -> dict[str, list[str]]:
    """The names `transformers` gives each tensor, or the equal parts along its first axis."""
    names = {old: [f"backbone.{new}"] for old, new in _SKELETON.items()}
    layers = _BLOCK_LAYERS | (_SWIGLU if config.use_swiglu_ffn else _MLP)
    for index in range(config.num_hidden_layers):
        block, new_block = f"blocks.{index}", f"backbone.encoder.layer.{index}"
        names |= {f"{block}.{old}": [f"{new_block}.{new}"] for old, new in _BLOCK.items()}
        for kind in ("weight", "bias"):
            names[f"{block}.{_QKV}.{kind}"] = [
                f"{new_block}.attention.attention.{part}.{kind}"
                for part in ("query", "key", "value")
            ]
            for old, new in layers.items():
                names[f"{block}.{old}.{kind}"] = [f"{new_block}.{new}.{kind}"]
    return names


def _check(*, expected: Iterable[str], found: Iterable[str]) -> None:
    """Make sure that nothing is missing and nothing left over."""
    wanted = {*expected, "fc.weight", "fc.bias"}
    there = set(found)
    for fault, names in (("lacks", wanted - there), ("holds unknown", there - wanted)):
        if names:
            first = ", ".join(sorted(names)[:3])
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"the checkpoint {fault} layers: {first}{more}")


def _scale_table(table: Tensor, side: int) -> Tensor:
    """A position table for `side` x `side` patches, as DINOv2's own code makes it.

    Args:
        table: (1, 1 + n * n, D): the class token's, then the patches'.
        side: Patches along each side.
    """
    trained = round((table.shape[1] - 1) ** 0.5)
    if trained**2 != table.shape[1] - 1:
        raise CheckpointError(f"a position table of {table.shape[1]} entries is not square")
    if trained == side:
        return table
    patches = table[:, 1:].unflatten(1, (trained, trained)).permute(0, 3, 1, 2)
    factor = (side + OFFSET) / trained
    scaled = interpolate(patches, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat((table[:, :1], scaled.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)
