"""What happens to images on their way to a reader: re-encoding, resizing, blur, noise.

Training, robustness sweeps and tests share these, all on Pillow's codecs, all taking and giving
(H, W, 3) uint8 RGB. Random chains draw everything from the generator that is passed in, so a seed
repeats them exactly.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageFilter

from aligngemini.images.filters import FILTERS
from aligngemini.settings import SettingsError

Pixels = npt.NDArray[np.uint8]


def reencode(
    pixels: Pixels,
    quality: int,
    *,
    codec: Literal["JPEG", "WEBP"] = "JPEG",
    subsampling: str = "4:2:0",
) -> Pixels:
    """Save and open again.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quality: Pillow's scale, 1 to 100.
        codec: Lossy format to go through.
        subsampling: Chroma subsampling of JPEG: `4:4:4`, `4:2:2` or `4:2:0`.
    """
    file = io.BytesIO()
    options = {"subsampling": subsampling} if codec == "JPEG" else {}
    PILImage.fromarray(pixels).save(file, codec, quality=quality, **options)
    return np.asarray(PILImage.open(file, formats=[codec]).convert("RGB"))


def rescale(pixels: Pixels, factor: float, *, filter_name: str = "bicubic") -> Pixels:
    """Resize both sides by one factor (antialiased when shrinking; at least one pixel a side)."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(PILImage.fromarray(pixels).resize(size, FILTERS[filter_name]))


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; `sigma` in pixels."""
    return np.asarray(PILImage.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def sharpen(pixels: Pixels, sigma: float, amount: float) -> Pixels:
    """Unsharp mask; `sigma` in pixels, `amount` 1.0 adds the detail once more."""
    mask = ImageFilter.UnsharpMask(radius=sigma, percent=round(amount * 100), threshold=0)
    return np.asarray(PILImage.fromarray(pixels).filter(mask))


def add_noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Add independent Gaussian noise; `sigma` in grey levels."""
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(sigma)
    noisy: Pixels = np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    return noisy


DELIVERIES: dict[str, Callable[[Pixels], Pixels]] = {
    "as is": lambda pixels: pixels,
    "JPEG 90": lambda pixels: reencode(pixels, 90),
    "JPEG 75": lambda pixels: reencode(pixels, 75),
    "half size": lambda pixels: rescale(pixels, 0.5),
}
"""What an evaluation puts both classes through alike."""


def deliver(pixels: Pixels, rng: np.random.Generator, *, min_side: int = 160) -> Pixels:
    """One random journey through the web: camera or generator, editor, platform, reader.

    The same distribution for both classes, so that size, format and compression say nothing about
    the label. Ranges are this project's own choice.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        rng: Source of every draw.
        min_side: Shrinking stops here, in pixels.
    """
    if rng.random() < 0.65:
        pixels = _random_rescale(pixels, rng, 0.4, 1.3, min_side)
    draw = rng.random()
    if draw < 0.10:
        pixels = blur(pixels, rng.uniform(0.3, 1.0))
    elif draw < 0.20:
        pixels = sharpen(pixels, rng.uniform(0.5, 1.5), rng.uniform(0.3, 1.2))
    elif draw < 0.35:
        pixels = add_noise(pixels, rng.uniform(0.5, 5.0), rng)
    if rng.random() < 0.85:
        pixels = _random_reencode(pixels, rng, 60)
    if rng.random() < 0.25:
        pixels = _random_rescale(pixels, rng, 0.6, 1.0, min_side)
        pixels = _random_reencode(pixels, rng, 70)
    return pixels


def _random_rescale(
    pixels: Pixels, rng: np.random.Generator, low: float, high: float, min_side: int
) -> Pixels:
    factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    factor = max(factor, min(1.0, min_side / min(pixels.shape[:2])))
    return rescale(pixels, factor, filter_name=str(rng.choice(["bilinear", "bicubic", "lanczos"])))


def _random_reencode(pixels: Pixels, rng: np.random.Generator, lowest: int) -> Pixels:
    quality = int(rng.integers(lowest, 99))
    if rng.random() < 0.1:
        return reencode(pixels, quality, codec="WEBP")
    return reencode(pixels, quality, subsampling="4:2:0" if rng.random() < 0.7 else "4:4:4")


@dataclass(frozen=True)
class SemanticChain:
    """Ranges of the semantic set's degradation; each is `(low, high)`.

    No source gives the papers' values (AlignGemini, arXiv 2512.06746, names the steps and their
    order): these are this project's own.

    Attributes:
        scale: Factor of both sides while shrunk, drawn uniformly.
        noise: Standard deviation of Gaussian noise, grey levels.
        blur: Standard deviation of Gaussian blur, pixels of the shrunk picture.
        quality: JPEG, on Pillow's scale.
        filters: To shrink and to enlarge by, drawn each time.
        shrink_probability: That the picture is shrunk, and enlarged again at the end.
        noise_probability: That noise is added.
        blur_probability: That it is blurred.
        jpeg_probability: That it goes through JPEG.
    """

    scale: tuple[float, float] = (0.25, 0.5)
    noise: tuple[float, float] = (2.0, 10.0)
    blur: tuple[float, float] = (0.4, 1.5)
    quality: tuple[int, int] = (30, 70)
    filters: tuple[str, ...] = ("box", "bilinear", "hamming", "bicubic", "lanczos")
    shrink_probability: float = 1.0
    noise_probability: float = 1.0
    blur_probability: float = 1.0
    jpeg_probability: float = 1.0

    def __post_init__(self) -> None:
        bounds = {
            "scale": (0.01, 1.0),
            "noise": (0.0, 255.0),
            "blur": (0.0, 50.0),
            "quality": (1, 100),
        }
        for name, (least, most) in bounds.items():
            values = getattr(self, name)
            if len(values) != 2 or not least <= values[0] <= values[1] <= most:
                raise SettingsError(
                    f"{name} must be two numbers between {least} and {most}, the lower first, "
                    f"not {values}"
                )
        for name in ("shrink", "noise", "blur", "jpeg"):
            if not 0 <= getattr(self, f"{name}_probability") <= 1:
                raise SettingsError(f"{name}_probability must lie between 0 and 1")
        if not self.filters or not FILTERS.keys() >= set(self.filters):
            raise SettingsError(f"filters must be some of {', '.join(FILTERS)}")


@dataclass(frozen=True)
class Degradation:
    """What a chain did to one picture; a step that was left out is None.

    Attributes:
        scale: Factor of both sides while shrunk.
        shrink_filter: Filter it was shrunk by.
        noise: Standard deviation, grey levels.
        blur: Standard deviation, pixels of the shrunk picture.
        jpeg_quality: On Pillow's scale.
        enlarge_filter: Filter it was brought back to its size by.
    """

    scale: float | None
    shrink_filter: str | None
    noise: float | None
    blur: float | None
    jpeg_quality: int | None
    enlarge_filter: str | None


def semantic_chain(
    pixels: Pixels, rng: np.random.Generator, settings: SemanticChain = SemanticChain()
) -> tuple[Pixels, Degradation]:
    """Wear a picture's pixels down and leave what it shows (AlignGemini, section 3).

    Shrink, noise, blur, JPEG, enlarge to the old size, in this order. What is drawn depends on the
    generator alone: two pictures of one size, given generators of one seed, are degraded alike,
    down to the noise.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        rng: Source of every draw.
        settings: Ranges and probabilities.

    Returns:
        (H, W, 3) uint8 RGB, and what was done.
    """
    done = _draw_degradation(rng, settings)
    height, width = pixels.shape[:2]
    if done.scale is not None and done.shrink_filter is not None:
        pixels = rescale(pixels, done.scale, filter_name=done.shrink_filter)
    if done.noise is not None:
        pixels = add_noise(pixels, done.noise, rng)
    if done.blur is not None:
        pixels = blur(pixels, done.blur)
    if done.jpeg_quality is not None:
        pixels = reencode(pixels, done.jpeg_quality)
    if done.enlarge_filter is not None:
        enlarged = PILImage.fromarray(pixels).resize((width, height), FILTERS[done.enlarge_filter])
        pixels = np.asarray(enlarged)
    return pixels, done


def _draw_degradation(rng: np.random.Generator, settings: SemanticChain) -> Degradation:
    """Every number is drawn, used or not: a probability changes nothing but its own step."""
    happens = rng.random(4) < (
        settings.shrink_probability,
        settings.noise_probability,
        settings.blur_probability,
        settings.jpeg_probability,
    )
    shrink, noise, soften, jpeg = happens.tolist()
    scale, sigma, radius = (
        round(float(rng.uniform(*limits)), 4)
        for limits in (settings.scale, settings.noise, settings.blur)
    )
    quality = int(rng.integers(*settings.quality, endpoint=True))
    down, up = (str(rng.choice(settings.filters)) for _ in range(2))
    return Degradation(
        scale=scale if shrink else None,
        shrink_filter=down if shrink else None,
        noise=sigma if noise else None,
        blur=radius if soften else None,
        jpeg_quality=quality if jpeg else None,
        enlarge_filter=up if shrink else None,
    )
