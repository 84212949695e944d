"""What happens to images on their way to a reader: re-encoding, resizing, blur, noise.

Training, robustness sweeps and tests share these, all on Pillow's codecs, all taking and giving
(H, W, 3) uint8 RGB. Random chains draw everything from the generator that is passed in, so a seed
repeats them exactly.
"""

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageFilter

from aligngemini.images.filters import FILTERS

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
