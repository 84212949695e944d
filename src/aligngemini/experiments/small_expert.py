"""A small pixel expert that is trained in seconds: one view of the compact expert."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from aligngemini.experiments.photos import squares
from aligngemini.images.degrade import Pixels, reencode
from aligngemini.models.compact import ViewConfig, ViewNetwork, pool

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpertSettings:
    """Of a small expert and its training.

    Attributes:
        widths: Channels, layer by layer.
        strides: Likewise.
        crop: Side of the training crops, pixels.
        pairs: Photos, and as many fakes, of one step.
        steps: Of the optimiser.
        rate: Highest learning rate (AdamW, one cycle).
        jpeg: Probability that a batch goes through JPEG, photos and fakes alike.
        quality: Range of its quality.
    """

    widths: tuple[int, ...] = (16, 24, 32)
    strides: tuple[int, ...] = (2, 1, 2)
    crop: int = 64
    pairs: int = 16
    steps: int = 400
    rate: float = 3e-3
    jpeg: float = 0.5
    quality: tuple[int, int] = (75, 98)


def train_small_expert(
    photos: Pixels, fakes: Pixels, settings: ExpertSettings, seed: int, *, paired: bool = True
) -> ViewNetwork:
    """Train an expert to tell fakes from photos.

    Args:
        photos: (N, S, S, 3) uint8 RGB.
        fakes: (M, S, S, 3); where `paired`, M is a multiple of N and fake i is made from photo
            i modulo N. Both are then cropped and compressed alike.
        settings: Of the training.
        seed: Of everything random.
        paired: Whether a batch holds photos together with what was made from them.

    Returns:
        The expert, in evaluation mode.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = ViewNetwork(ViewConfig(settings.widths, settings.strides)).train()
    optimizer = torch.optim.AdamW(network.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=max(settings.steps, 2)
    )
    labels = torch.cat([torch.zeros(settings.pairs), torch.ones(settings.pairs)])
    for _ in range(settings.steps):
        chosen = rng.integers(0, len(fakes), settings.pairs)
        partners = chosen % len(photos) if paired else rng.integers(0, len(photos), settings.pairs)
        batch = squares(np.concatenate([photos[partners], fakes[chosen]]), settings.crop, rng)
        if rng.random() < settings.jpeg:
            batch = compressed(batch, int(rng.integers(*settings.quality)))
        if rng.random() < 0.5:
            batch = batch[:, :, ::-1]
        loss = F.binary_cross_entropy_with_logits(_logits(network, batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def score(network: ViewNetwork, pixels: Pixels, *, batch: int = 64) -> Scores:
    """(N,) logits of (N, S, S, 3) uint8 RGB; above 0 for fake."""
    parts = [
        _logits(network, pixels[start : start + batch]).double().numpy()
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(parts)


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """(N, S, S, 3), each through JPEG."""
    return np.stack([reencode(one, quality) for one in pixels])


def _logits(network: ViewNetwork, pixels: Pixels) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    logits, weights = network(images)
    return pool(logits.flatten(1), weights.flatten(1))
