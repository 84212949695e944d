"""How much must the chain wear a picture down before its pixels say nothing, and what is left?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from aligngemini.datasets.leakage import probe
from aligngemini.datasets.traces import traces
from aligngemini.evaluation.metrics import auc
from aligngemini.experiments.leakage_report import (
    CHAIN,
    LOT,
    MEANS,
    NETWORK,
    NO_RULE,
    NO_TRACE,
    NOTHING,
    PIXELS,
    STEPS,
    chain_of,
    conclude,
    figure,
)
from aligngemini.experiments.leakage_text import DESIGN, MEANING
from aligngemini.experiments.photos import FOLDERS, REAL, find_images, kept, read_patches
from aligngemini.experiments.small_decoders import open_decoder
from aligngemini.experiments.small_expert import ExpertSettings, score, train_small_expert
from aligngemini.experiments.small_reader import (
    Reader,
    ReaderSettings,
    draw_twins,
    read,
    train_reader,
)
from aligngemini.experiments.study import Control, Study, StudyError, Task
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.experiments.world.drawing import render
from aligngemini.images.degrade import Pixels, SemanticChain, semantic_chain
from aligngemini.models.reconstruction import VaeError


@dataclass(frozen=True)
class Settings:
    """Of the study.

    Attributes:
        strengths: Above 0; 1 is the default chain.
        decoder: As `open_decoder` takes it.
        decoder_steps: Of its training, if it is one of ours.
        pictures: Whose trace is looked for.
        side: Of pictures and scenes, pixels.
        scale: Factor that photos are shrunk by beforehand.
        scenes: Whose meaning is read, as many that obey as that break.
        held_out: Share of the pictures that test the network.
        expert: The network and its training.
        reader: The reader of scenes and its training.
        needs_data: Whether drawn scenes may not stand in for photos.
    """

    strengths: tuple[float, ...]
    decoder: str = "taef2"
    decoder_steps: int = 0
    pictures: int = 240
    side: int = 112
    scale: float = 0.5
    scenes: int = 240
    held_out: float = 0.4
    expert: ExpertSettings = field(default_factory=lambda: ExpertSettings(steps=200, jpeg=0))
    reader: ReaderSettings = field(default_factory=ReaderSettings)
    needs_data: bool = True


SETTINGS = {
    "smoke": Settings(
        (1.0,),
        decoder="kl-1",
        decoder_steps=2,
        pictures=12,
        side=48,
        scenes=12,
        expert=ExpertSettings(widths=(8, 8), strides=(2, 2), crop=32, pairs=2, steps=2, jpeg=0),
        reader=ReaderSettings(scenes=12, side=24, widths=(8, 8), strides=(2, 2), pairs=2, steps=2),
        needs_data=False,
    ),
    "tiny": Settings((0.25, 0.5, 0.75, 1.0)),
    "full": Settings((0.125, 0.25, 0.5, 0.75, 1.0, 1.25), "sd21", pictures=2000, side=336, scale=1),
}


def run(task: Task) -> dict[str, float]:
    """One step at every strength: what the three readers still read."""
    settings: Settings = task.settings
    found = kept(task.cache / "pictures.npz", partial(_pictures, settings, task.cache, task.data))
    reader = _reader(settings, task.seed, task.cache)
    rng = np.random.default_rng([task.seed, 2])
    scenes = draw_twins(settings.scenes, settings.reader.rules, rng)
    drawn = np.stack([render(scene, settings.side) for scene in scenes])
    broken = np.array([not scene.obeys for scene in scenes])
    figures: dict[str, float] = {}
    for strength in (0.0,) if task.cell == NOTHING else settings.strengths:
        chain = chain_of(task.cell, strength)
        real, fake = (_worn(found[name], chain, task.seed) for name in ("pictures", "made"))
        at = f"@{strength:g}"
        statistics = [np.stack([traces(one) for one in part]) for part in (fake, real)]
        figures[PIXELS + at] = probe(*statistics, seed=task.seed)[1].value
        if task.cell in (CHAIN, NOTHING) or strength == max(settings.strengths):
            figures[NETWORK + at] = _network(real, fake, settings, task.seed)
        meaning = read(reader, _worn(drawn, chain, task.seed, apart=True))
        figures[MEANS + at] = auc(meaning[~broken], meaning[broken])
        if task.cell == NOTHING:
            figures |= _controls(statistics, meaning[~broken], task.seed)
    return figures


def _controls(statistics: list[np.ndarray], obeying: np.ndarray, seed: int) -> dict[str, float]:
    """The probe where labels are a lot, the probe where no decoder was, the reader without rule."""
    rng = np.random.default_rng([seed, 3])
    fake, real = statistics
    turned = rng.random(len(real)) < 0.5
    turned[: len(real) // 2] = ~turned[len(real) - len(real) // 2 :]  # as many as not
    one, other = np.where(turned[:, None], fake, real), np.where(turned[:, None], real, fake)
    half = len(real) // 2
    real = rng.permutation(real)
    return {
        LOT: probe(one, other, seed=seed)[1].value,
        NO_TRACE: probe(real[:half], real[half : 2 * half], seed=seed)[1].value,
        NO_RULE: auc(obeying[::2], obeying[1::2]),
    }


def _network(real: Pixels, fake: Pixels, settings: Settings, seed: int) -> float:
    """AUC on held-out pairs of a pixel expert that learned at this strength."""
    order = np.random.default_rng([seed, 4]).permutation(len(real))
    cut = round(settings.held_out * len(order))
    test, training = order[:cut], order[cut:]
    network = train_small_expert(real[training], fake[training], settings.expert, seed)
    return auc(score(network, real[test]), score(network, fake[test]))


def _worn(pictures: Pixels, chain: SemanticChain, seed: int, *, apart: bool = False) -> Pixels:
    """Pictures after the chain; picture i of a seed always gets the same draws.

    Args:
        pictures: (N, S, S, 3) uint8 RGB.
        chain: What happens to them.
        seed: Of the draws.
        apart: Whether these are not the other half of pairs, and draws of their own.
    """
    return np.stack(
        [
            semantic_chain(one, np.random.default_rng([seed, number, int(apart)]), chain)[0]
            for number, one in enumerate(pictures)
        ]
    )


def _reader(settings: Settings, seed: int, cache: Path) -> Reader:
    """The reader of a seed, out of the cache if it is there."""
    file = cache / f"reader-{seed}.pt"
    if not file.is_file():
        steps = (NOTHING, CHAIN, *STEPS)
        strongest = max(settings.strengths)

        def worn(picture: Pixels, rng: np.random.Generator) -> Pixels:
            chain = chain_of(str(rng.choice(steps)), float(rng.uniform(0, strongest)))
            return semantic_chain(picture, rng, chain)[0]

        trained = train_reader(settings.reader, seed, worn)
        partial_file = file.with_suffix(".partial")
        torch.save(trained.state_dict(), partial_file)
        partial_file.replace(file)
    reader = Reader(settings.reader)
    reader.load_state_dict(torch.load(file, weights_only=True))
    return reader.eval()


def _pictures(settings: Settings, cache: Path, data: Path | None) -> Mapping[str, Pixels]:
    """Pictures, and what the decoder made of them."""
    rng = np.random.default_rng(0)
    if data is not None:
        images = find_images(data, REAL)
        images = [images[k] for k in rng.permutation(len(images))][: settings.pictures]
        pictures = read_patches(images, settings.side, rng, scale=settings.scale, each=1).pixels
    elif settings.needs_data:
        raise StudyError(f"this scale needs photos: give --data DIR, {FOLDERS}")
    else:
        scenes = draw_twins(settings.pictures, settings.reader.rules, rng)
        pictures = np.stack([render(scene, settings.side) for scene in scenes])
    try:
        decoder = open_decoder(settings.decoder, pictures, settings.decoder_steps, cache, data)
        return {"pictures": pictures, "made": reconstruct(decoder, pictures)}
    except VaeError as error:
        raise StudyError(f"no decoder {settings.decoder}: {error}") from error


STUDY = Study(
    name="leakage",
    question="How far must a picture be worn down until its pixels say nothing?",
    design=DESIGN,
    settings=SETTINGS,
    cells=lambda settings: [NOTHING, CHAIN, *STEPS],
    run=run,
    controls=(
        Control(NOTHING, LOT, "labels drawn by lot", tolerance=0.06),
        Control(NOTHING, NO_TRACE, "no decoder on either side", tolerance=0.06),
        Control(NOTHING, NO_RULE, "scenes that all obey", tolerance=0.06),
    ),
    figure=figure,
    conclude=conclude,
    meaning=MEANING,
    data=FOLDERS,
)
