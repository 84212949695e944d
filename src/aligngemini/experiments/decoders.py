"""Does a pixel expert that learned one decoder know the others?"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from aligngemini.datasets.pixel_set import psnr
from aligngemini.evaluation.metrics import auc
from aligngemini.experiments.decoders_report import (
    AI_IMAGES,
    ALL,
    GROUP,
    JPEG,
    LEFT_OUT,
    LOT,
    NO_TRACE,
    PSNR,
    QUALITY,
    conclude,
    figure,
)
from aligngemini.experiments.decoders_text import DESIGN, MEANING
from aligngemini.experiments.photos import (
    AI,
    FOLDERS,
    REAL,
    by_group,
    drawn_patches,
    find_images,
    kept,
    read_patches,
)
from aligngemini.experiments.small_decoders import FAMILIES, open_decoder
from aligngemini.experiments.small_expert import (
    ExpertSettings,
    Scores,
    compressed,
    score,
    train_small_expert,
)
from aligngemini.experiments.study import Control, Study, StudyError, Task
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.images.degrade import Pixels
from aligngemini.models.reconstruction import VaeError

FEWEST_PHOTOS = 8  # to train and test experts on
Scorer = Callable[[Pixels], Scores]


@dataclass(frozen=True)
class Settings:
    """Of the study.

    Attributes:
        decoders: Names, as `open_decoder` takes them; a cell each.
        patch: Side of the squares that are reconstructed, pixels.
        scale: Factor that photos and AI images are shrunk by beforehand.
        decoder_photos: Photos that decoders of ours are trained on, and nothing else.
        photos: Most of the others that are used.
        held_out: Share of them that only test; drawn anew for every seed.
        decoder_steps: Of the training of decoders of ours.
        fewest: AI images of one generator; smaller groups are joined.
        expert: The small expert and its training.
        recipe: In place of the small expert, a recipe of `aligngemini train pixel`.
        needs_data: Whether drawn pictures may not stand in for photos.
    """

    decoders: tuple[str, ...]
    patch: int = 96
    scale: float = 0.5
    decoder_photos: int = 100
    photos: int = 600
    held_out: float = 0.4
    decoder_steps: int = 700
    fewest: int = 20
    expert: ExpertSettings = field(default_factory=ExpertSettings)
    recipe: str | None = None
    needs_data: bool = True


SETTINGS = {
    "smoke": Settings(
        ("kl-1", "dc-1"),
        patch=48,
        decoder_photos=4,
        photos=16,
        decoder_steps=3,
        fewest=2,
        expert=ExpertSettings(widths=(8, 8), strides=(2, 2), crop=32, pairs=4, steps=3),
        needs_data=False,
    ),
    "tiny": Settings(("taef2", "kl-1", "kl-2", "dc-1")),
    "full": Settings(
        ("sd21", "sdxl", "sd3", "flux1", "flux2"),
        patch=336,
        scale=1.0,
        decoder_photos=0,
        photos=11_800,
        held_out=0.1,
        decoder_steps=0,
        recipe="aligngemini-sd21",
    ),
}


@dataclass(frozen=True)
class _Material:
    """What all cells and seeds look at.

    Attributes:
        photos: (N, S, S, 3) uint8 RGB.
        made: By decoder, what it made of them.
        ai: AI images under the photos' treatment.
        groups: Their generators.
        left_out: Images of either class that could not be used.
    """

    photos: Pixels
    made: Mapping[str, Pixels]
    ai: Pixels
    groups: Sequence[str]
    left_out: int


def run(task: Task) -> dict[str, float]:
    """One expert, trained on one decoder or on all, tested on every one and on AI images."""
    settings: Settings = task.settings
    material = _material(settings, task.cache, task.data)
    rng = np.random.default_rng(task.seed)
    order = rng.permutation(len(material.photos))
    cut = round(settings.held_out * len(order))
    test, training = order[:cut], order[cut:]
    photos = material.photos[test]
    if task.cell == NO_TRACE:
        half = len(training) // 2
        pixels = material.photos[training]
        scorer = _train(task, pixels[:half], pixels[half : 2 * half], paired=False)
        scores = scorer(photos)
        worn = scorer(compressed(photos, QUALITY))
        found = {NO_TRACE: auc(scores[::2], scores[1::2])}
        return found | _on_ai_images(scorer, material, worn, settings.fewest)
    names = settings.decoders if task.cell == ALL else (task.cell,)
    fakes = np.concatenate([material.made[name][training] for name in names])
    scorer = _train(task, material.photos[training], fakes)
    real, worn = scorer(photos), scorer(compressed(photos, QUALITY))
    found = {}
    for name in settings.decoders:
        found[name] = auc(real, scorer(material.made[name][test]))
    for name in settings.decoders:
        found[name + JPEG] = auc(worn, scorer(compressed(material.made[name][test], QUALITY)))
    found |= _on_ai_images(scorer, material, worn, settings.fewest)
    both = np.concatenate([real, scorer(material.made[names[0]][test])])
    lot = rng.permutation(len(both))
    found[LOT] = auc(both[lot[::2]], both[lot[1::2]])
    if task.cell != ALL:
        made = material.made[task.cell]
        found[PSNR] = float(np.mean(list(map(psnr, material.photos, made))))
    found[LEFT_OUT] = material.left_out
    return found


def _on_ai_images(
    scorer: Scorer, material: _Material, photos: Scores, fewest: int
) -> dict[str, float]:
    """AUC of each generator's images against photos after the same JPEG, and the mean of these."""
    if not len(material.ai):
        return {}
    scores = scorer(compressed(material.ai, QUALITY))
    found = {
        GROUP + name: auc(photos, scores[members])
        for name, members in by_group(material.groups, fewest)
    }
    return {AI_IMAGES: float(np.mean(list(found.values()))), **found}


def _train(task: Task, photos: Pixels, fakes: Pixels, *, paired: bool = True) -> Scorer:
    settings: Settings = task.settings
    if settings.recipe is not None:
        from aligngemini.experiments.decoders_full import train_full_expert  # noqa: PLC0415

        work = task.cache / f"{_file_name(task.cell)}-{task.seed}"
        return train_full_expert(settings.recipe, photos, fakes, work, task.seed)
    network = train_small_expert(photos, fakes, settings.expert, task.seed, paired=paired)
    return partial(score, network)


def _material(settings: Settings, cache: Path, data: Path | None) -> _Material:
    if data is None and settings.needs_data:
        raise StudyError(f"this scale needs photos: give --data DIR, {FOLDERS}")
    squares = kept(cache / "photos.npz", partial(_read, settings, data))
    made = {}
    for name in settings.decoders:
        file = cache / f"{_file_name(name)}.npz"
        make = partial(_reconstruct, name, squares, settings, cache, data)
        made[name] = kept(file, make)["made"]
    return _Material(
        squares["photos"],
        made,
        squares["ai"],
        [str(group) for group in squares["groups"]],
        int(squares["left_out"]),
    )


def _file_name(name: str) -> str:
    """Of a decoder or cell, which may be a path or a repository."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")


def _read(settings: Settings, data: Path | None) -> dict[str, np.ndarray]:
    """Photos for the decoders, photos for the experts, AI images."""
    rng = np.random.default_rng(0)
    side = settings.patch
    if data is None:
        count = settings.decoder_photos + settings.photos
        drawn = drawn_patches(count, side, seed=0)
        cut = settings.decoder_photos
        return _arrays(drawn[cut:], drawn[:cut], drawn[:0], [], 0)
    images = find_images(data, REAL)
    images = [images[k] for k in rng.permutation(len(images))]
    cut = settings.decoder_photos
    if len(images) < cut + FEWEST_PHOTOS:
        raise StudyError(
            f"{data} has {len(images)} photos; this scale needs {cut + FEWEST_PHOTOS} or more"
        )
    read = partial(read_patches, side=side, rng=rng, scale=settings.scale)
    ours = any(name.partition("-")[0] in FAMILIES for name in settings.decoders)
    first = read(images[:cut], each=4).pixels if ours else np.empty((0, side, side, 3), np.uint8)
    photos = read(images[cut : cut + settings.photos], each=1)
    ai = read(find_images(data, AI), each=1)
    return _arrays(photos.pixels, first, ai.pixels, ai.groups, photos.left_out + ai.left_out)


def _arrays(
    photos: Pixels, first: Pixels, ai: Pixels, groups: Sequence[str], left_out: int
) -> dict[str, np.ndarray]:
    return {
        "photos": photos,
        "for_decoders": first,
        "ai": ai,
        "groups": np.array(groups, str),
        "left_out": np.array(left_out),
    }


def _reconstruct(
    name: str,
    squares: Mapping[str, np.ndarray],
    settings: Settings,
    cache: Path,
    data: Path | None,
) -> dict[str, Pixels]:
    try:
        decoder = open_decoder(name, squares["for_decoders"], settings.decoder_steps, cache, data)
        return {"made": reconstruct(decoder, squares["photos"])}
    except VaeError as error:
        raise StudyError(f"no decoder {name}: {error}") from error


def cells(settings: Settings) -> list[str]:
    """A cell each decoder, one of all, and the null control."""
    return [*settings.decoders, ALL, NO_TRACE]


STUDY = Study(
    name="decoders",
    question="Does a pixel expert that learned one decoder know the others?",
    design=DESIGN,
    settings=SETTINGS,
    cells=cells,
    run=run,
    controls=(
        Control(NO_TRACE, NO_TRACE, "photos on both sides, no decoder anywhere", tolerance=0.06),
        Control(ALL, LOT, "labels of the test images drawn by lot", tolerance=0.06),
    ),
    figure=figure,
    conclude=conclude,
    meaning=MEANING,
    data=FOLDERS,
)
