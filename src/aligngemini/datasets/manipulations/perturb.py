"""Perturbations that keep what a picture shows, done to a picture and its masks together."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image as PILImage
from PIL import ImageEnhance

from aligngemini.datasets.manipulations.base import Mask, Pixels
from aligngemini.datasets.manipulations.placing import resize_mask
from aligngemini.images.degrade import add_noise, blur, reencode, rescale, sharpen

_FILTERS = ("bilinear", "bicubic", "lanczos")
_ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


class Step(NamedTuple):
    """One change.

    Attributes:
        name: `scale`, `brightness`, `contrast`, `saturation`, `blur`, `sharpen`, `noise`, `jpeg` or
            `webp`.
        value: Factor, standard deviation (pixels or grey levels), strength or quality.
        option: Filter of `scale`, chroma subsampling of `jpeg`.
    """

    name: str
    value: float
    option: str = ""

    def __str__(self) -> str:
        return ":".join([self.name, f"{self.value:.4g}", *filter(None, [self.option])])


@dataclass(frozen=True)
class Perturbations:
    """Which changes happen how often, and how strong they are; all this project's choice.

    Attributes:
        resample: Probability that the picture is resized.
        scale: Factor of both sides, least and most.
        colour: Probability that brightness, contrast and saturation change.
        strength: Most that each of them changes, of 1.
        detail: Probability of blur, sharpening or noise, one of them.
        blur: Standard deviation, pixels, least and most.
        sharpen: Detail added, of 1, least and most.
        noise: Standard deviation, grey levels, least and most.
        recompress: Probability that the picture is saved lossily.
        quality: Of JPEG and WebP, least and most.
        webp: Probability that a lossy file is WebP.
        min_side: Resizing stops here, pixels.
    """

    resample: float = 0.5
    scale: tuple[float, float] = (0.5, 1.25)
    colour: float = 0.25
    strength: float = 0.15
    detail: float = 0.35
    blur: tuple[float, float] = (0.3, 1.0)
    sharpen: tuple[float, float] = (0.3, 1.2)
    noise: tuple[float, float] = (0.5, 5.0)
    recompress: float = 0.85
    quality: tuple[int, int] = (60, 98)
    webp: float = 0.1
    min_side: int = 64


@dataclass(frozen=True)
class Perturbed:
    """A picture and its masks after the same changes.

    Attributes:
        pixels: (h, w, 3) uint8 RGB; `scale` changes its size.
        masks: (h, w) or (h, w, K) bool, as they were given.
        steps: What was done, in order.
    """

    pixels: Pixels = field(repr=False)
    masks: Mask = field(repr=False)
    steps: tuple[Step, ...]

    @property
    def spec(self) -> str:
        """The steps in words: `scale:0.62:lanczos+jpeg:84:4:2:0`; empty where nothing was done."""
        return "+".join(map(str, self.steps))


def perturb(
    pixels: Pixels,
    masks: Mask,
    rng: np.random.Generator,
    settings: Perturbations = Perturbations(),
) -> Perturbed:
    """Change a picture at random as editors and platforms do, its masks along with it.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        masks: (H, W) or (H, W, K) bool.
        rng: Source of every draw.
        settings: How often and how much.
    """
    steps = draw_steps(rng, settings, min(pixels.shape[:2]))
    return apply_steps(pixels, masks, steps, rng)


def draw_steps(rng: np.random.Generator, settings: Perturbations, side: int) -> tuple[Step, ...]:
    """What to do to a picture whose shorter side has so many pixels."""
    steps = []
    if rng.random() < settings.resample:
        factor = math.exp(rng.uniform(*np.log(settings.scale)))
        factor = max(factor, min(1.0, settings.min_side / side))
        steps.append(Step("scale", factor, str(rng.choice(_FILTERS))))
    if rng.random() < settings.colour:
        low, high = 1 - settings.strength, 1 + settings.strength
        steps += [Step(name, float(rng.uniform(low, high))) for name in _ENHANCERS]
    if rng.random() < settings.detail:
        name = str(rng.choice(["blur", "sharpen", "noise"]))
        steps.append(Step(name, float(rng.uniform(*getattr(settings, name)))))
    if rng.random() < settings.recompress:
        quality = int(rng.integers(*settings.quality, endpoint=True))
        if rng.random() < settings.webp:
            steps.append(Step("webp", quality))
        else:
            steps.append(Step("jpeg", quality, str(rng.choice(["4:2:0", "4:4:4"], p=[0.7, 0.3]))))
    return tuple(steps)


def apply_steps(
    pixels: Pixels, masks: Mask, steps: tuple[Step, ...], rng: np.random.Generator
) -> Perturbed:
    """Do what the steps say.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        masks: (H, W) or (H, W, K) bool.
        steps: Of `draw_steps`, or one's own.
        rng: Of the noise.
    """
    for step in steps:
        if step.name == "scale":
            pixels = rescale(pixels, step.value, filter_name=step.option or "bicubic")
            masks = _resized(masks, *pixels.shape[:2])
        else:
            pixels = _changed(pixels, step, rng)
    return Perturbed(pixels, masks, tuple(steps))


def _changed(pixels: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    """A change that keeps every pixel's place."""
    name, value, option = step
    if name in _ENHANCERS:
        return np.asarray(_ENHANCERS[name](PILImage.fromarray(pixels)).enhance(value))
    if name == "blur":
        return blur(pixels, value)
    if name == "sharpen":
        return sharpen(pixels, 1.0, value)
    if name == "noise":
        return add_noise(pixels, value, rng)
    if name == "jpeg":
        return reencode(pixels, int(value), subsampling=option or "4:2:0")
    if name == "webp":
        return reencode(pixels, int(value), codec="WEBP")
    raise ValueError(f"there is no perturbation {name!r}")


def _resized(masks: Mask, height: int, width: int) -> Mask:
    if masks.ndim == 2:
        return resize_mask(masks, height, width)
    heads = [resize_mask(masks[..., k], height, width) for k in range(masks.shape[2])]
    return np.stack(heads, axis=-1)
