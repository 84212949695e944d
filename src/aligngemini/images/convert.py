"""Any of Pillow's modes to 8-bit RGB, a strip at a time."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageCms

from aligngemini.images.item import ImageError

Pixels = npt.NDArray[np.uint8]
Rule = Callable[[PILImage.Image], Pixels]

_STRIP_PIXELS = 1 << 18  # a strip and what is made of it stay in the processor's cache
_MATRIX = ("RGBX", "CMYK", "YCbCr", "HSV")
_GREY = ("1", "L")
_STRETCHED = ("I", "F")


def to_rgb(image: PILImage.Image, orientation: int = 1, bits: int = 16) -> tuple[Pixels, list[str]]:
    """The pixels of a loaded image, by the rules of `aligngemini.images.decode`.

    Strips keep the peak at Pillow's own copy of the picture plus the result: with 108 megapixels
    that is the difference between 0.8 and 1.1 GB.

    Args:
        image: Already loaded; its present frame is the one that is read.
        orientation: EXIF's 1 to 8: how the result is turned.
        bits: How many bits of a 16-bit grey value are in use.

    Returns:
        (height, width, 3) pixels, and what had to be decided, in words.

    Raises:
        ImageError: `unsupported`, for a mode without a rule.
    """
    width, height = image.size
    notes: list[str] = []
    rule = _rule(image, bits, notes)
    pixels = np.empty((width, height, 3) if orientation >= 5 else (height, width, 3), np.uint8)
    lying = _as_stored(pixels, orientation)
    for top, strip in _strips(image):
        lying[top : top + strip.height] = rule(strip)
    return pixels, notes


def _strips(image: PILImage.Image) -> Iterator[tuple[int, PILImage.Image]]:
    """Full-width pieces of the image from the top down, each with its first row."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _as_stored(pixels: Pixels, orientation: int) -> Pixels:
    """A view of the upright picture in which rows and columns lie as they do in the file."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels


def _rule(image: PILImage.Image, bits: int, notes: list[str]) -> Rule:
    """How strips of this image become RGB; notes of it are added to `notes`."""
    mode = image.mode
    if mode.startswith("I;16"):
        return partial(_high_byte, bits=bits)
    if mode in _STRETCHED:
        low, high = _finite_range(image)
        notes.append(f"values from {low:g} to {high:g} stretched to 0 to 255")
        return partial(_stretch, low=low, high=high)
    if mode == "LAB":
        notes.append("converted from LAB")
        return _from_lab
    if image.has_transparency_data and not _is_wide_key(image):
        return partial(_on_white, notes=notes)
    if mode == "RGB":
        return np.asarray
    if mode in _MATRIX:
        notes.append(f"converted from {mode}")
    elif mode not in (*_GREY, "P"):
        raise ImageError("unsupported", f"pixels of Pillow's mode {mode} have no rule")
    return lambda strip: np.asarray(strip.convert("RGB"))


def _high_byte(strip: PILImage.Image, bits: int) -> Pixels:
    values = np.asarray(strip)
    grey = (values >> (bits - 8)).astype(np.uint8)
    key = strip.info.get("transparency")
    if isinstance(key, int):
        grey[values == key] = 255
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))


def _finite_range(image: PILImage.Image) -> tuple[float, float]:
    lows, highs = [], []
    for _, strip in _strips(image):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    return min(lows, default=0.0), max(highs, default=0.0)


def _stretch(strip: PILImage.Image, low: float, high: float) -> Pixels:
    values = np.asarray(strip, np.float64)
    scaled = (values - low) * (255.0 / (high - low) if high > low else 0.0)
    grey = np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)
    return np.broadcast_to(grey[..., None], (*grey.shape, 3))


@lru_cache(maxsize=1)
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _from_lab(strip: PILImage.Image) -> Pixels:
    return np.asarray(ImageCms.applyTransform(strip, _lab_to_srgb()))


def _is_wide_key(image: PILImage.Image) -> bool:
    """Whether a transparent colour is given in 16 bits, which Pillow would compare with 8."""
    key = image.info.get("transparency")
    return isinstance(key, tuple) and max(key) > 255


def _on_white(strip: PILImage.Image, notes: list[str]) -> Pixels:
    rgba = strip if strip.mode == "RGBA" else strip.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return np.asarray(rgba)[..., :3]
    if "transparency shown on white" not in notes:
        notes.append("transparency shown on white")
    page = PILImage.new("RGB", rgba.size, "white")
    page.paste(rgba, mask=alpha)
    return np.asarray(page)
