"""What several studies share: a pretrained vision-language model a seed, and its pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aligngemini.experiments.study import Task
from aligngemini.experiments.vlm import (
    StudyVlm,
    VlmSettings,
    fact_accuracy,
    learn_to_say,
    learn_to_see,
)
from aligngemini.experiments.world.scene import RULES, Scene
from aligngemini.experiments.world.sets import CHAIN, photos, scenes
from aligngemini.images.degrade import Pixels, semantic_chain

GRADES = (0.1, 1.0)
CHECKED = 200  # scenes on which its facts are checked


def schooled_vlm(task: Task, settings: VlmSettings, side: int, pictures: int) -> StudyVlm:
    """The vision-language model of a seed, as it is before supervision.

    Args:
        task: Its seed and cache count.
        settings: How it is made.
        side: Of the pictures, pixels.
        pictures: It is pretrained on.
    """
    torch.manual_seed(task.seed)
    vlm = StudyVlm(settings, side)
    if settings.base:
        return vlm
    file = task.cache / f"vlm-seed{task.seed}.pt"
    if file.is_file():
        vlm.model.load_state_dict(torch.load(file, weights_only=True))
        return vlm
    rng = np.random.default_rng([task.seed, 1])
    pixels, drawn = _pictures(rng, pictures, side)
    learn_to_see(vlm, pixels, drawn, task.seed)
    learn_to_say(vlm, pixels, drawn, task.seed)
    save(vlm.model.state_dict(), file)
    return vlm


def facts_told(vlm: StudyVlm, seed: int, side: int) -> float:
    """Share of facts that a model gets right of pictures it has not seen; chance is 0.5."""
    pixels, drawn = _pictures(np.random.default_rng([seed, 2]), CHECKED, side)
    return fact_accuracy(vlm, pixels, drawn)


def save(values: Any, file: Path) -> None:
    """Save with PyTorch, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    torch.save(values, partial)
    partial.replace(file)


def _pictures(rng: np.random.Generator, count: int, side: int) -> tuple[Pixels, Sequence[Scene]]:
    """Scenes of all rules, half of them broken, half of them worn down."""
    drawn = scenes(rng, count, RULES, GRADES)
    drawn = [scene.twin() if rng.random() < 0.5 else scene for scene in drawn]
    pixels = photos(drawn, side)
    for k in np.flatnonzero(rng.random(count) < 0.5):
        pixels[k] = semantic_chain(pixels[k], rng, CHAIN)[0]
    return pixels, drawn
