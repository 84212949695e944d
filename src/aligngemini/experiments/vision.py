"""The vision model of the studies: small and convolutional, or a released DINOv2.

At tiny scale it is a network of the compact pixel expert, from random weights. Its bias is in how
it is built: it sees band-pass residuals beside the picture, and judges patch by patch. At full
scale it is the paper's own, DINOv2 with a linear unit, all weights trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligngemini.experiments.world.sets import LabelledImages
from aligngemini.images.degrade import Pixels
from aligngemini.models.compact import ViewConfig, ViewNetwork, pool
from aligngemini.models.expert import PixelExpert, normalize
from aligngemini.runtimes.preprocess import CLIP_MEAN, CLIP_STD

AT_ONCE = 64


@dataclass(frozen=True)
class VisionSettings:
    """How the vision model is made and trained.

    Attributes:
        backbone: A released one, of `models.expert.BACKBONES`; empty for the small network.
        widths: Channels of the small one, layer by layer.
        strides: Likewise.
        steps: Of supervision.
        rate: Learning rate of supervision.
        batch: Images a step.
    """

    backbone: str = ""
    widths: tuple[int, ...] = (12, 24, 32, 48, 48)
    strides: tuple[int, ...] = (1, 2, 2, 2, 1)
    steps: int = 250
    rate: float = 2e-3
    batch: int = 32


class SmallVision(nn.Module):
    """One network of the compact expert, its patches' logits pooled."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        config = ViewConfig(settings.widths, settings.strides, picture=True, dropout=0.0)
        self.network = ViewNetwork(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N,) logits."""
        logits, weights = self.network(pixels.permute(0, 3, 1, 2).float())
        return pool(logits.flatten(1), weights.flatten(1))


class ReleasedVision(nn.Module):
    """A pixel expert on a released backbone, with its normalisation."""

    def __init__(self, settings: VisionSettings) -> None:
        super().__init__()
        self.expert = PixelExpert.from_backbone(settings.backbone)
        self.mean, self.std = (torch.tensor(of).view(3, 1, 1) for of in (CLIP_MEAN, CLIP_STD))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N,) logits."""
        device = pixels.device
        images = normalize(pixels, self.mean.to(device), self.std.to(device))
        logits: Tensor = self.expert(images).logits
        return logits


def new_vision(settings: VisionSettings) -> nn.Module:
    """A vision model that nobody has supervised yet.

    Raises:
        OSError: The released backbone is not there.
    """
    model = ReleasedVision(settings) if settings.backbone else SmallVision(settings)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def supervise(
    model: nn.Module, images: LabelledImages, settings: VisionSettings, seed: int
) -> None:
    """Train all weights on labels by cross-entropy, both of a pair in the same step."""
    draws = np.random.default_rng(seed)
    device = next(model.parameters()).device
    fake = torch.from_numpy(images.fake).float().to(device)

    def loss() -> Tensor:
        chosen = draw_pairs(draws, len(fake), settings.batch)
        logits = model(torch.from_numpy(images.pixels[chosen]).to(device))
        return F.binary_cross_entropy_with_logits(logits, fake[chosen])

    model.train()
    optimise(list(model.parameters()), loss, settings.steps, settings.rate)
    model.eval()


@torch.inference_mode()
def scores(model: nn.Module, pixels: Pixels) -> npt.NDArray[np.float64]:
    """(N,) logits, above 0 for fake."""
    device = next(model.parameters()).device
    parts = [
        model(torch.from_numpy(pixels[k : k + AT_ONCE]).to(device))
        for k in range(0, len(pixels), AT_ONCE)
    ]
    return torch.cat(parts).double().cpu().numpy()


def draw_pairs(draws: np.random.Generator, count: int, batch: int) -> npt.NDArray[np.int64]:
    """Indices of so many images, whole pairs of neighbours."""
    first = 2 * draws.integers(count // 2, size=batch // 2)
    return np.concatenate([first, first + 1])


def optimise(
    trained: Sequence[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float
) -> None:
    """AdamW under one cycle of the learning rate, gradients clipped at a norm of 1."""
    optimizer = torch.optim.AdamW(trained, rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        loss().backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
