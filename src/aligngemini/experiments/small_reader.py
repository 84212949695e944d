"""A small reader of meaning: a network that learns in half a minute whether a scene is possible.

It stands for the vision-language model where a study needs a branch that reads what a picture shows
and cannot read its pixels: it sees the whole picture at a small size, where no decoder's trace is
left. What it knows of scenes it learned from the drawn world alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligngemini.experiments.small_expert import Scores
from aligngemini.experiments.world.drawing import render
from aligngemini.experiments.world.scene import Scene, draw_scene
from aligngemini.images.degrade import Pixels
from aligngemini.models.compact import Layer

Numbers = npt.NDArray[np.float64]
GRID = 2  # cells a side that are pooled apart
SHIFT = 3  # pixels that training pictures move by at most
LIGHT = (0.8, 1.2)


@dataclass(frozen=True)
class ReaderSettings:
    """Of a reader and its training.

    Attributes:
        rules: What scenes may break.
        scenes: To train on, as many that obey as that break.
        side: Of what the reader sees of a picture, pixels.
        widths: Channels, layer by layer.
        strides: Likewise.
        pairs: Scenes and their twins of one step.
        steps: Of the optimiser.
        rate: Highest learning rate (AdamW, one cycle).
    """

    rules: tuple[str, ...] = ("support", "containment", "count")
    scenes: int = 3000
    side: int = 56
    widths: tuple[int, ...] = (16, 32, 32, 64, 64)
    strides: tuple[int, ...] = (1, 2, 1, 2, 1)
    pairs: int = 16
    steps: int = 400
    rate: float = 2e-3


class Reader(nn.Module):
    """A picture to a logit, above 0 where the scene breaks a rule."""

    def __init__(self, settings: ReaderSettings) -> None:
        """Build with random weights."""
        super().__init__()
        inputs = (3, *settings.widths)
        self.side = settings.side
        self.layers = nn.Sequential(*map(Layer, inputs, settings.widths, settings.strides))
        self.head = nn.Linear(2 * GRID**2 * settings.widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N,)."""
        features = self.layers(images.contiguous(memory_format=torch.channels_last))
        pooled = [F.adaptive_avg_pool2d(features, GRID), F.adaptive_max_pool2d(features, GRID)]
        logits: Tensor = self.head(torch.cat(pooled, 1).flatten(1))[:, 0]
        return logits


def draw_twins(count: int, rules: Sequence[str], rng: np.random.Generator) -> list[Scene]:
    """Scenes of all rules in turn, each that obeys followed by its twin that does not."""
    obeying = [draw_scene(rng, rules[k % len(rules)], obeys=True) for k in range(count // 2)]
    return [one for scene in obeying for one in (scene, scene.twin())]


def train_reader(
    settings: ReaderSettings, seed: int, worn: Callable[[Pixels, np.random.Generator], Pixels]
) -> Reader:
    """Train a reader.

    Args:
        settings: Of the training.
        seed: Of everything random.
        worn: What happens to a picture (H, W, 3) before it is seen.

    Returns:
        The reader, in evaluation mode.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])
    scenes = draw_twins(settings.scenes, settings.rules, rng)
    pictures = np.stack([_small(worn(render(scene), rng), settings.side) for scene in scenes])
    broken = torch.tensor([float(not scene.obeys) for scene in scenes])
    reader = Reader(settings).train()
    optimizer = torch.optim.AdamW(reader.parameters(), settings.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, total_steps=max(settings.steps, 2)
    )
    for _ in range(settings.steps):
        first = 2 * rng.integers(0, len(scenes) // 2, settings.pairs)
        chosen = np.concatenate([first, first + 1])  # twins together, or it takes far longer
        images = _prepared(_moved(pictures[chosen], rng)) * float(rng.uniform(*LIGHT))
        loss = F.binary_cross_entropy_with_logits(reader(images), broken[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


@torch.no_grad()
def read(reader: Reader, pictures: Pixels, *, batch: int = 100) -> Scores:
    """(N,) logits of (N, S, S, 3) uint8 RGB; above 0 for a broken rule."""
    small = np.stack([_small(one, reader.side) for one in pictures])
    parts = [
        reader(_prepared(small[start : start + batch])).double().numpy()
        for start in range(0, len(small), batch)
    ]
    return np.concatenate(parts)


def _small(picture: Pixels, side: int) -> Pixels:
    small: Pixels = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    return small


def _moved(pictures: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        pictures = pictures[:, :, ::-1]
    down, right = (int(step) for step in rng.integers(-SHIFT, SHIFT + 1, 2))
    return np.roll(pictures, (down, right), (1, 2))


def _prepared(pictures: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
