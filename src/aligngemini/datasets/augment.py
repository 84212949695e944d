"""What happens to a photo and its reconstruction before a pixel expert sees them.

The steps are those of DDA (arXiv 2505.14359 and its published training code): the fake is brought
as close to its photo as compression and blending can, and from there on both go the same way, draw
for draw. Every image is (H, W, 3) uint8 RGB, every draw comes from the generator that is passed
in, and every codec and filter is Pillow's.
"""

from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageEnhance, ImageFilter

from aligngemini.datasets.pair_settings import Alignment, Augmentation, Range, Rescaling
from aligngemini.datasets.scaled_crop import Pixels, Step
from aligngemini.images.degrade import add_noise, reencode, sharpen
from aligngemini.images.filters import FILTERS
from aligngemini.images.jpeg import JpegSettings

SHARPEN_SIGMA = 3.0  # pixels


def align(
    real: Pixels,
    fake: Pixels,
    compression: JpegSettings | None,
    settings: Alignment,
    rng: np.random.Generator,
) -> Pixels:
    """Bring a fake close to its photo: perhaps compressed like it, perhaps blended with it.

    Args:
        real: (H, W, 3) the photo's pixels.
        fake: (H, W, 3) its reconstruction.
        compression: How the photo's file was compressed; None for one that was never JPEG, whose
            fake stays uncompressed too.
        settings: How likely and how far.
        rng: Source of every draw.
    """
    if rng.random() < settings.jpeg:
        fake = compress_like(fake, compression)
    ranges = [
        weights
        for probability, weights in (
            (settings.blend, settings.blend_weight),
            (settings.second_blend, settings.second_weight),
        )
        if rng.random() < probability
    ]
    for k in rng.permutation(len(ranges)):
        fake = blend(real, fake, _uniform(ranges[k], rng))
    return fake


def compress_like(pixels: Pixels, compression: JpegSettings | None) -> Pixels:
    """Save as JPEG with a photo's settings and open again; nothing for a photo that was no JPEG."""
    if compression is None:
        return pixels
    return reencode(pixels, compression.quality, subsampling=compression.subsampling)


def blend(real: Pixels, fake: Pixels, weight: float) -> Pixels:
    """`weight * fake + (1 - weight) * real`, rounded."""
    mixed = real + np.float32(weight) * (fake.astype(np.float32) - real)
    rounded: Pixels = np.rint(mixed).astype(np.uint8)
    return rounded


def draw_scales(settings: Rescaling | None, rng: np.random.Generator) -> list[tuple[float, str]]:
    """Factor and filter of each size a pair is shown at, its own first."""
    scales = [(1.0, "nearest")]
    if settings is not None:
        names = rng.choice(list(FILTERS), 2, replace=False)
        factors = _uniform(settings.down, rng), _uniform(settings.up, rng)
        scales += [(factor, str(name)) for factor, name in zip(factors, names, strict=True)]
    return scales


def draw_steps(settings: Augmentation, rng: np.random.Generator) -> list[Step]:
    """One draw of what happens to pixels in place, in DDA's order; the flips are `draw_flips`'.

    The steps repeat themselves: two images of one size get the same noise and the same pepper.
    """
    steps: list[Step] = []
    if rng.random() < settings.jpeg:
        low, high = settings.jpeg_quality
        steps.append(partial(reencode, quality=int(rng.integers(low, high + 1))))
    if rng.random() < settings.noise:
        steps.append(partial(_noise, sigma=settings.noise_sigma, seed=_draw_seed(rng)))
    if rng.random() < settings.pepper:
        share = _uniform(settings.pepper_share, rng)
        steps.append(partial(_pepper, share=share, seed=_draw_seed(rng)))
    if rng.random() < settings.blur:
        steps.append(_draw_blur(rng))
    if rng.random() < settings.sharpen:
        amount = _uniform(settings.sharpen_amount, rng)
        steps.append(partial(sharpen, sigma=SHARPEN_SIGMA, amount=amount))
    if rng.random() < settings.jitter:
        steps += _draw_jitter(settings, rng)
    if rng.random() < settings.grey:
        steps.append(_grey)
    return steps


def draw_flips(settings: Augmentation, rng: np.random.Generator) -> tuple[slice, slice]:
    """Slices that exchange top and bottom, and left and right, or leave them."""
    shares = (settings.flip, settings.mirror)
    rows, columns = (slice(None, None, -1 if rng.random() < share else 1) for share in shares)
    return rows, columns


def _noise(pixels: Pixels, *, sigma: float, seed: int) -> Pixels:
    return add_noise(pixels, sigma, np.random.default_rng(seed))


def _pepper(pixels: Pixels, *, share: float, seed: int) -> Pixels:
    black = np.random.default_rng(seed).random(pixels.shape[:2], dtype=np.float32) < share
    peppered: Pixels = np.where(black[..., None], np.uint8(0), pixels)
    return peppered


def _draw_blur(rng: np.random.Generator) -> Step:
    kind = rng.choice(["gaussian-3", "gaussian-5", "median", "motion"])
    if kind == "median":
        return partial(_filtered, pil_filter=ImageFilter.MedianFilter(3))
    if kind == "motion":
        kernel = _motion_kernel(_uniform((0, np.pi), rng))
    else:
        kernel = _gaussian_kernel(int(kind[-1]), _uniform((0.1, 2.0), rng))
    pil_filter = ImageFilter.Kernel(kernel.shape, kernel.ravel().tolist(), scale=kernel.sum())
    return partial(_filtered, pil_filter=pil_filter)


def _gaussian_kernel(size: int, sigma: float) -> npt.NDArray[np.float64]:
    line = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return np.outer(line, line)


def _motion_kernel(angle: float) -> npt.NDArray[np.float64]:
    """A line of five pixels through the middle of (5, 5)."""
    kernel = np.zeros((5, 5))
    along = np.arange(-2, 3)
    rows, columns = (np.rint(along * part(angle)).astype(int) + 2 for part in (np.sin, np.cos))
    kernel[rows, columns] = 1
    return kernel


def _filtered(pixels: Pixels, *, pil_filter: ImageFilter.Filter) -> Pixels:
    return np.asarray(PILImage.fromarray(pixels).filter(pil_filter))


def _draw_jitter(settings: Augmentation, rng: np.random.Generator) -> list[Step]:
    changes = (
        (ImageEnhance.Brightness, settings.brightness),
        (ImageEnhance.Contrast, settings.contrast),
        (ImageEnhance.Color, settings.saturation),
    )
    steps: list[Step] = [
        partial(_enhanced, kind=kind, factor=_uniform((1 - most, 1 + most), rng))
        for kind, most in changes
    ]
    steps.append(partial(_turned_hue, turn=_uniform((-settings.hue, settings.hue), rng)))
    return [steps[k] for k in rng.permutation(len(steps))]


def _enhanced(pixels: Pixels, *, kind: type, factor: float) -> Pixels:
    return np.asarray(kind(PILImage.fromarray(pixels)).enhance(factor))


def _turned_hue(pixels: Pixels, *, turn: float) -> Pixels:
    colours = np.array(PILImage.fromarray(pixels).convert("HSV"))
    colours[..., 0] += np.uint8(round(turn * 256) % 256)  # wraps around, as hues do
    return np.asarray(PILImage.fromarray(colours, "HSV").convert("RGB"))


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(PILImage.fromarray(pixels).convert("L").convert("RGB"))


def _uniform(values: Range, rng: np.random.Generator) -> float:
    low, high = values
    return float(rng.uniform(low, high))


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))
