"""The images of the alignment study: what is trained on, and what each axis is tested on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from aligngemini.experiments.study import StudyError, Task
from aligngemini.experiments.world.decoders import LINEAR, open_decoder, reconstruct
from aligngemini.experiments.world.scene import RULES
from aligngemini.experiments.world.sets import (
    LabelledImages,
    joined,
    photos,
    pixel_set,
    post_processed,
    saved,
    scenes,
    semantic_set,
)
from aligngemini.models.reconstruction import Vae, VaeError

SEMANTIC, PIXEL = "semantic", "pixel"
NEW_RULES, SEMANTIC_POST = "semantic: unseen rules", "semantic: post-processed"
NEW_DECODERS, PIXEL_POST = "pixel: unseen decoders", "pixel: post-processed"
GIVEN = "pixel: given decoder"
NOTHING = "nothing to find"
EITHER, EITHER_NEW = "either", "either: all unseen"
QUALITY = 92  # of JPEG, where both axes are mixed


@dataclass(frozen=True)
class SetSettings:
    """How many images there are, and of what.

    Attributes:
        side: Of the pictures, pixels.
        pairs: To train on, for either kind of supervision.
        tests: Pairs of each test set.
        rules: That semantic supervision shows.
        new_rules: That it never shows.
        decoder: That pixel supervision shows: of `world.decoders.LINEAR`, or what `open_vae` opens.
        new_decoders: That it never shows.
    """

    side: int = 84
    pairs: int = 600
    tests: int = 150
    rules: tuple[str, ...] = ("support", "shadow", "reflection")
    new_rules: tuple[str, ...] = ("containment", "count")
    decoder: str = "linear-8"
    new_decoders: tuple[str, ...] = ("linear-6", "linear-4")


Maker: TypeAlias = Callable[[Task, SetSettings], dict[str, LabelledImages]]


def training_sets(task: Task, settings: SetSettings) -> dict[str, LabelledImages]:
    """What the arms of a seed are supervised by: `semantic`, `pixel`, and half of each, `mixed`."""
    found = _kept(task, settings, "training", _training)
    half = settings.pairs // 2 * 2
    mixed = [LabelledImages(one.pixels[:half], one.fake[:half]) for one in found.values()]
    return {**found, "mixed": joined(*mixed)}


def held_out_sets(task: Task, settings: SetSettings) -> dict[str, LabelledImages]:
    """What every arm of a seed is tested on, by the figure it gives."""
    return _kept(task, settings, "tests", _tests)


def ordinary_photos(task: Task, settings: SetSettings) -> LabelledImages:
    """Photos of scenes that obey, on which a pair's two scores are brought to one scale."""
    rng = np.random.default_rng([task.seed, 13])
    pixels = saved(photos(scenes(rng, settings.tests, RULES), settings.side), QUALITY)
    return LabelledImages(pixels, np.zeros(len(pixels), bool))


def _training(task: Task, settings: SetSettings) -> dict[str, LabelledImages]:
    rng = np.random.default_rng([task.seed, 11])
    decoder = _open(settings.decoder)
    meaning = scenes(rng, settings.pairs, settings.rules)
    ordinary = scenes(rng, settings.pairs, RULES)
    return {
        SEMANTIC: semantic_set(rng, meaning, side=settings.side),
        PIXEL: pixel_set(rng, ordinary, decoder, side=settings.side),
    }


def _tests(task: Task, settings: SetSettings) -> dict[str, LabelledImages]:
    rng = np.random.default_rng([task.seed, 12])
    count, side = settings.tests, settings.side
    decoder = _open(settings.decoder)
    unseen = [_open(name) for name in settings.new_decoders]
    semantic = semantic_set(rng, scenes(rng, count, settings.rules), side=side, chain=None)
    pixel = pixel_set(rng, scenes(rng, count, RULES), decoder, side=side)
    share = count // len(unseen)
    found = {
        SEMANTIC: semantic,
        SEMANTIC_POST: post_processed(semantic),
        NEW_RULES: semantic_set(rng, scenes(rng, count, settings.new_rules), side=side, chain=None),
        PIXEL: pixel,
        PIXEL_POST: post_processed(pixel),
        NEW_DECODERS: joined(
            *(pixel_set(rng, scenes(rng, share, RULES), one, side=side) for one in unseen)
        ),
        NOTHING: LabelledImages(
            saved(photos(scenes(rng, 2 * count, RULES), side), QUALITY),
            np.arange(2 * count) % 2 == 1,
        ),
        EITHER: _either(rng, count, settings.rules, [decoder], side),
        EITHER_NEW: _either(rng, count, settings.new_rules, unseen, side),
    }
    if task.data is not None:
        given = pixel_set(rng, scenes(rng, count, RULES), _open(str(task.data)), side=side)
        found[GIVEN] = given
    return found


def _either(
    rng: np.random.Generator, count: int, rules: Sequence[str], decoders: Sequence[Vae], side: int
) -> LabelledImages:
    """A photo of an obeying scene each, and beside it what breaks, what was decoded, or both."""
    drawn = scenes(rng, count, rules)
    real = photos(drawn, side)
    fakes = []
    for k, scene in enumerate(drawn):
        broken, decoded = ((True, False), (False, True), (True, True))[k // len(rules) % 3]
        image = photos([scene.twin() if broken else scene], side)
        if decoded:
            image = reconstruct(decoders[k % len(decoders)], image)
        fakes.append(image[0])
    pixels = saved(np.concatenate([real, np.stack(fakes)]), QUALITY)
    return LabelledImages(pixels, np.arange(2 * count) >= count)


def _open(name: str) -> Vae:
    try:
        return open_decoder(name)
    except VaeError as error:
        known = ", ".join(LINEAR)
        raise StudyError(f"no decoder: {error}; those made on the spot are {known}") from error


def _kept(task: Task, settings: SetSettings, name: str, make: Maker) -> dict[str, LabelledImages]:
    """What `make` makes, from the cache where it was made before: all arms see the same images."""
    file = task.cache / f"{name}-seed{task.seed}.npz"
    if not file.is_file():
        made = make(task, settings)
        arrays: dict[str, npt.NDArray[Any]]
        arrays = {f"{key}/pixels": one.pixels for key, one in made.items()}
        arrays |= {f"{key}/fake": one.fake for key, one in made.items()}
        partial = file.with_name(f".partial.{file.name}")
        np.savez(partial, **arrays)  # type: ignore[arg-type]  # NumPy's stub has flags among the names
        partial.replace(file)
    with np.load(file) as stored:
        keys = dict.fromkeys(key.rpartition("/")[0] for key in stored)
        return {key: LabelledImages(stored[f"{key}/pixels"], stored[f"{key}/fake"]) for key in keys}
