"""How an image reaches a reader, as one short text: `jpeg:75`, `scale:0.5+webp:80`, `share:3`.

| step | what it does |
|---|---|
| `as-is` | nothing |
| `jpeg:Q`, `webp:Q` | saved and opened again, Q from 1 to 100; JPEG with 4:2:0 |
| `scale:F` | both sides times F (bicubic), 0.05 to 4 |
| `side:N` | shrunk until the shorter side has N pixels (bicubic); a smaller picture stays |
| `blur:S` | Gaussian blur, sigma in pixels, 0 to 50 |
| `noise:S` | independent Gaussian noise, sigma in grey levels, 0 to 128 |
| `crop:F` | the centred part with F of each side, 0.05 to 1 |
| `screenshot`, `screenshot:N` | shown as wide as a phone's screen of N (1080) by 16/9 N pixels |
| `share:N` | N hops, 1 to 5, through what messengers and platforms do |
| `text:WORDS`, `text:WORDS@STYLE` | the words drawn in; styles: `images.text_overlays.STYLES` |
| `control:WORDS@STYLE` | their letters in an order without meaning, drawn alike |

Steps are joined by `+` and done in their order. A delivery depends on nothing but its text and the
pixels: the same picture is always delivered the same way, its noise included.
"""

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from aligngemini.images.degrade import add_noise, blur, reencode, rescale
from aligngemini.images.item import Image, ImageError
from aligngemini.images.text_overlays import STYLES, draw_text, without_meaning
from aligngemini.settings import SettingsError

Pixels = npt.NDArray[np.uint8]
Delivery: TypeAlias = Callable[[Pixels], Pixels]

AS_IS = "as-is"

SCREEN_WIDTH = 1080  # pixels, of a phone
HOPS: tuple[tuple[int, Literal["JPEG", "WEBP"], int], ...] = (
    (1600, "JPEG", 75),
    (2048, "JPEG", 85),
    (1080, "JPEG", 80),
    (1920, "WEBP", 80),
    (1280, "JPEG", 85),
)
"""Longest side, format and quality of each hop of `share`. Platforms change theirs every year, and
what people measured lies about here: these are this project's own."""


class DeliveryError(SettingsError):
    """A text that is no delivery; the message says why."""


@lru_cache(maxsize=256)
def parse_delivery(spec: str) -> Delivery:
    """The function that a delivery's text stands for.

    Args:
        spec: Steps joined by `+`; see the module.

    Returns:
        A function of (H, W, 3) uint8 RGB, giving the same of any size. It raises OSError or
        ValueError for a picture that cannot be delivered so: one too large for WebP, say.

    Raises:
        DeliveryError: There is no such step, or its number is out of range.
    """
    steps = [_parse_step(step.strip(), spec) for step in spec.split("+")]

    def deliver(pixels: Pixels) -> Pixels:
        for step in steps:
            pixels = step(pixels)
        return pixels

    return deliver


def deliver_image(image: Image, spec: str) -> Image:
    """An image as it arrives: other pixels, and no file behind them, for metadata do not travel.

    Args:
        image: Decoded.
        spec: See `parse_delivery`. `as-is` gives the image itself.

    Raises:
        DeliveryError: As `parse_delivery`.
        ImageError: `unsupported`: this picture cannot be delivered so.
    """
    deliver = parse_delivery(spec)
    if spec.strip() == AS_IS:
        return image
    try:
        pixels = deliver(image.pixels)
    except (OSError, ValueError) as error:
        raise ImageError("unsupported", f"cannot be delivered as {spec}: {error}") from error
    return Image(pixels, image.format, b"", image.path, (*image.notes, f"delivered as {spec}"))


def _parse_step(step: str, spec: str) -> Delivery:
    name, colon, argument = step.partition(":")
    if step == AS_IS:
        return lambda pixels: pixels
    if name in _TEXTS:
        return _text(name, argument, spec)
    if step == "screenshot":
        return lambda pixels: _screenshot(pixels, SCREEN_WIDTH)
    if name not in _NUMBERS or not colon:
        known = ", ".join([AS_IS, *(f"{known}:N" for known in _NUMBERS), "text:WORDS"])
        raise DeliveryError(f"{spec!r}: there is no step {step!r}; there are {known}")
    make, low, high, whole = _NUMBERS[name]
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise DeliveryError(
            f"{spec!r}: {name} takes {kind} from {low:g} to {high:g}, not {argument!r}"
        )
    return make(value)


def _text(name: str, argument: str, spec: str) -> Delivery:
    text, at, style = argument.rpartition("@")
    text, style = (text, style) if at else (argument, STYLES[0])
    if not text.strip() or style not in STYLES:
        raise DeliveryError(
            f"{spec!r}: {name} takes words, and behind @ one of {', '.join(STYLES)}"
        )
    try:
        words = _TEXTS[name](text)
    except ValueError as error:
        raise DeliveryError(f"{spec!r}: {error}") from error
    return lambda pixels: draw_text(pixels, words, style=style)


def _side(pixels: Pixels, side: int) -> Pixels:
    return rescale(pixels, min(1.0, side / min(pixels.shape[:2])))


def _crop(pixels: Pixels, share: float) -> Pixels:
    sides = [max(1, round(side * share)) for side in pixels.shape[:2]]
    top, left = ((all_of - kept) // 2 for all_of, kept in zip(pixels.shape[:2], sides, strict=True))
    return np.ascontiguousarray(pixels[top : top + sides[0], left : left + sides[1]])


def _noise(pixels: Pixels, sigma: float) -> Pixels:
    """The seed is the picture, so that no two pictures get one pattern."""
    digest = hashlib.sha256(pixels.tobytes()).digest()
    seed = int.from_bytes(digest[:8], "big")
    return add_noise(pixels, sigma, np.random.default_rng(seed))


def _screenshot(pixels: Pixels, width: int) -> Pixels:
    """Shown as large as the screen allows, by the bilinear filter that graphics hardware has."""
    fits = min(width / pixels.shape[1], width * 16 / 9 / pixels.shape[0])
    return rescale(pixels, fits, filter_name="bilinear")


def _share(pixels: Pixels, hops: int) -> Pixels:
    for longest, codec, quality in HOPS[:hops]:
        pixels = rescale(pixels, min(1.0, longest / max(pixels.shape[:2])))
        pixels = reencode(pixels, quality, codec=codec)
    return pixels


_Maker: TypeAlias = Callable[[float], Delivery]

# Lowest and highest value, and whether it must be whole.
_NUMBERS: dict[str, tuple[_Maker, float, float, bool]] = {
    "jpeg": (lambda q: lambda pixels: reencode(pixels, int(q)), 1, 100, True),
    "webp": (lambda q: lambda pixels: reencode(pixels, int(q), codec="WEBP"), 1, 100, True),
    "scale": (lambda f: lambda pixels: rescale(pixels, f), 0.05, 4, False),
    "side": (lambda n: lambda pixels: _side(pixels, int(n)), 32, 10_000, True),
    "blur": (lambda s: lambda pixels: blur(pixels, s), 0, 50, False),
    "noise": (lambda s: lambda pixels: _noise(pixels, s), 0, 128, False),
    "crop": (lambda f: lambda pixels: _crop(pixels, f), 0.05, 1, False),
    "screenshot": (lambda n: lambda pixels: _screenshot(pixels, int(n)), 240, 10_000, True),
    "share": (lambda n: lambda pixels: _share(pixels, int(n)), 1, len(HOPS), True),
}
_TEXTS: dict[str, Callable[[str], str]] = {"text": lambda text: text, "control": without_meaning}
