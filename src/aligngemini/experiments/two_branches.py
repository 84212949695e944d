"""Two small branches on the drawn world, each aligned with its task, and pictures to judge.

The pixel branch is a small expert that learned one decoder's trace; the semantic branch is the
small reader that learned some rules. Pictures have one label a branch: whether a decoder made the
pixels, and whether a rule is broken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from aligngemini.experiments.budgets import ByBranch
from aligngemini.experiments.photos import kept
from aligngemini.experiments.small_decoders import open_decoder
from aligngemini.experiments.small_expert import ExpertSettings, Scores, score, train_small_expert
from aligngemini.experiments.small_reader import (
    Reader,
    ReaderSettings,
    draw_twins,
    read,
    train_reader,
)
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.experiments.world.drawing import render
from aligngemini.experiments.world.scene import draw_scene
from aligngemini.images.degrade import Pixels, reencode
from aligngemini.models.compact import ViewConfig, ViewNetwork
from aligngemini.models.reconstruction import Vae

SEEN, UNSEEN = "kl-1", "dc-1"
"""Decoders: what the pixel branch learns, and what it never sees."""

UNSEEN_RULES = ("shadow", "reflection")
QUALITY = 92  # every picture is saved once more by its reader, whoever made it


@dataclass(frozen=True)
class BranchSettings:
    """Of both branches and of what they learn from.

    Attributes:
        side: Of the pictures, pixels; a multiple of 8.
        decoder_scenes: That the two decoders are trained on.
        decoder_steps: Of their training.
        pairs: Scenes that the pixel branch learns from, with their reconstructions.
        expert: The pixel branch and its training.
        reader: The semantic branch and its training; its rules are those it sees.
    """

    side: int = 112
    decoder_scenes: int = 300
    decoder_steps: int = 500
    pairs: int = 300
    expert: ExpertSettings = field(default_factory=lambda: ExpertSettings(steps=250))
    reader: ReaderSettings = field(default_factory=lambda: ReaderSettings(scenes=2000, steps=350))


SMOKE = BranchSettings(
    side=48,
    decoder_scenes=4,
    decoder_steps=2,
    pairs=6,
    expert=ExpertSettings(widths=(8, 8), strides=(2, 2), crop=32, pairs=2, steps=2),
    reader=ReaderSettings(scenes=12, side=24, widths=(8, 8), strides=(2, 2), pairs=2, steps=2),
)


class Branches(NamedTuple):
    """Both branches of one seed.

    Attributes:
        pixel: The expert.
        semantic: The reader.
    """

    pixel: ViewNetwork
    semantic: Reader

    def scores(self, pictures: Pixels) -> dict[str, Scores]:
        """(N,) logits by branch, of (N, S, S, 3) uint8 RGB."""
        return {"pixel": score(self.pixel, pictures), "semantic": read(self.semantic, pictures)}


def world_decoder(name: str, settings: BranchSettings, cache: Path) -> Vae:
    """`SEEN` or `UNSEEN`, trained on scenes the first time."""
    rng = np.random.default_rng(0)
    scenes = draw_twins(settings.decoder_scenes, settings.reader.rules, rng)
    pictures = np.stack([render(scene, settings.side) for scene in scenes])
    return open_decoder(name, pictures, settings.decoder_steps, cache, None)


def open_branches(settings: BranchSettings, seed: int, cache: Path) -> Branches:
    """Both branches of a seed, trained unless the cache has them."""
    pixel = ViewNetwork(ViewConfig(settings.expert.widths, settings.expert.strides))
    semantic = Reader(settings.reader)
    file = cache / f"branches-{seed}.pt"
    if not file.is_file():
        rng = np.random.default_rng([seed, 10])
        photos = draw(settings.pairs, settings.reader.rules, rng, settings.side)
        decoder = world_decoder(SEEN, settings, cache)
        fakes = reconstruct(decoder, photos)
        _save(
            file,
            train_small_expert(photos, fakes, settings.expert, seed),
            train_reader(settings.reader, seed, lambda picture, _: picture),
        )
    states = torch.load(file, weights_only=True)
    for module, state in zip((pixel, semantic), states, strict=True):
        module.load_state_dict(state)
    return Branches(pixel.eval(), semantic.eval())


def draw(
    count: int,
    rules: Sequence[str],
    rng: np.random.Generator,
    side: int,
    *,
    broken: bool | None = None,
) -> Pixels:
    """Pictures of scenes, all rules in turn.

    Args:
        count: How many.
        rules: Which.
        rng: Source of every draw.
        side: Of the pictures, pixels.
        broken: Whether the rules are broken; None for every other scene.
    """
    scenes = [
        draw_scene(
            rng,
            rules[k % len(rules)],
            obeys=k // len(rules) % 2 == 0 if broken is None else not broken,
        )
        for k in range(count)
    ]
    return np.stack([render(scene, side) for scene in scenes])


def kept_logits(file: Path, judge: Callable[[], Mapping[str, Scores]]) -> Mapping[str, ByBranch]:
    """Logits by set and branch; made once.

    Args:
        file: A `.npz` file that keeps them.
        judge: Makes them, by `set/branch`.
    """
    found: dict[str, dict[str, Scores]] = {}
    for name, logits in kept(file, judge).items():
        group, _, branch = name.rpartition("/")
        found.setdefault(group, {})[branch] = logits
    return found


def saved(pictures: Pixels, quality: int = QUALITY) -> Pixels:
    """(N, S, S, 3), each through JPEG: the last thing that happens to every picture alike."""
    return np.stack([reencode(one, quality) for one in pictures])


def _save(file: Path, *modules: nn.Module) -> None:
    partial = file.with_suffix(".partial")
    torch.save([module.state_dict() for module in modules], partial)
    partial.replace(file)
