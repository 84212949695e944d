"""A small GAMMA that is trained in a minute, on edits made while it learns."""

from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from aligngemini.experiments.edits import Edited, edit
from aligngemini.experiments.small_expert import Scores
from aligngemini.images.degrade import Pixels, reencode
from aligngemini.models.gamma import Gamma, GammaConfig
from aligngemini.models.small_backbone import SmallConfig
from aligngemini.training.gamma_loss import gamma_loss

UNTOUCHED, WHOLE = "untouched", "whole"
TAUGHT = ("decoded region", "splice")


@dataclass(frozen=True)
class GammaSettings:
    """Of a small GAMMA and its training.

    Attributes:
        backbone: Its backbone.
        map_stride: Side of a cell of its maps, pixels.
        width: Channels of its decoder.
        batch: Pictures of one step, half of them untouched.
        steps: Of the optimiser.
        rate: Highest learning rate (AdamW, one cycle).
        quality: JPEG that every picture is saved at.
    """

    backbone: SmallConfig = field(
        default_factory=lambda: SmallConfig(
            fine=(12, 16, 24),
            fine_strides=(2, 1, 2),
            coarse=(32,),
            coarse_strides=(2,),
            dilations=(1, 2),
        )
    )
    map_stride: int = 8
    width: int = 16
    batch: int = 16
    steps: int = 400
    rate: float = 3e-3
    quality: int = 92


def train_small_gamma(photos: Pixels, made: Pixels, settings: GammaSettings, seed: int) -> Gamma:
    """Train on untouched pictures, edited ones (`TAUGHT`) and whole reconstructions.

    An edited picture stands in its batch beside the untouched one it was made from.

    Args:
        photos: (N, S, S, 3) uint8 RGB; S is a multiple of the network's stride.
        made: What a decoder made of each.
        settings: Of the training.
        seed: Of everything random.

    Returns:
        The model, in evaluation mode.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 30])
    gamma = new_small_gamma(settings)
    gamma.train()
    optimizer = torch.optim.AdamW(gamma.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=max(settings.steps, 2)
    )
    for _ in range(settings.steps):
        chosen = rng.integers(0, len(photos), settings.batch // 2)
        parts = [_untouched(photos[k]) for k in chosen]
        parts += [_fake(photos, made, int(k), rng) for k in chosen]
        labels = torch.tensor([0.0] * len(chosen) + [1.0] * len(chosen))
        masks = torch.stack([_cells(one, settings.map_stride) for one in parts])
        pixels = np.stack([reencode(one.pixels, settings.quality) for one in parts])
        loss = gamma_loss(gamma(_prepared(pixels)), labels, masks)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(gamma.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    gamma.train(False)
    return gamma


def new_small_gamma(settings: GammaSettings) -> Gamma:
    """With random weights."""
    return Gamma(
        GammaConfig(
            small=asdict(settings.backbone),
            map_stride=settings.map_stride,
            decoder_width=settings.width,
        )
    )


@torch.no_grad()
def look(gamma: Gamma, pictures: Pixels, *, batch: int = 50) -> Scores:
    """(N,) logits of the image head, of (N, S, S, 3) uint8 RGB; above 0 for fake."""
    parts = [
        gamma(_prepared(pictures[start : start + batch])).logits.double().numpy()
        for start in range(0, len(pictures), batch)
    ]
    return np.concatenate(parts)


def _untouched(picture: Pixels) -> Edited:
    nowhere = np.zeros(picture.shape[:2], bool)
    return Edited(picture, nowhere, nowhere)


def _fake(photos: Pixels, made: Pixels, k: int, rng: np.random.Generator) -> Edited:
    kind = str(rng.choice((*TAUGHT, WHOLE)))
    if kind == WHOLE:
        everywhere = np.ones(photos.shape[1:3], bool)
        return Edited(made[k], everywhere, ~everywhere)
    return edit(kind, photos[k], made[k], photos[int(rng.integers(len(photos)))], rng)


def _cells(edited: Edited, stride: int) -> Tensor:
    """(2, h, w) share of each cell that is generated, and moved."""
    masks = torch.from_numpy(np.stack([edited.generated, edited.moved])).float()
    return F.avg_pool2d(masks, stride)


def _prepared(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
