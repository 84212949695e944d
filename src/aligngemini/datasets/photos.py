"""Photos for reconstruction: read in threads, cropped to what the VAEs take, batched by size."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError, digest
from aligngemini.images.jpeg import JpegSettings, jpeg_settings
from aligngemini.images.sources import Item

Pixels = npt.NDArray[np.uint8]
Given = TypeVar("Given")
Made = TypeVar("Made")

WAITING_PIXELS = 128_000_000
"""Most pixels that wait for others of their size; then the longest waiting size goes as it is."""


class Failure(NamedTuple):
    """A photo that gave no pair, or not all of them."""

    number: int
    path: str
    code: str
    reason: str


@dataclass(frozen=True)
class Photo:
    """A photo ready to be reconstructed.

    Attributes:
        number: Its place among the inputs, from 0.
        path: As the user named it.
        sha256: Of its file.
        pixels: (H, W, 3) uint8, the centre in multiples of the VAEs' factor.
        jpeg: How the file was compressed; None for other formats.
    """

    number: int
    path: str
    sha256: str
    pixels: Pixels = field(repr=False)
    jpeg: JpegSettings | None

    @property
    def name(self) -> str:
        """File name of the photo and its reconstructions, unique by the file's hash."""
        stem = re.sub(r"[^\w.-]+", "-", clean_text(Path(self.path).stem))[:50]  # of 255 bytes
        return f"{stem}-{self.sha256[:8]}.png"


def load_photo(number: int, item: Item, *, factor: int, max_side: int | None) -> Photo | Failure:
    """Read a photo and crop its centre, never resizing.

    Args:
        number: The item's place among the inputs.
        item: What to read.
        factor: Both sides of the crop are multiples of it.
        max_side: Longest side of the crop, pixels; None for no limit.
    """
    if item.problem is not None:
        return Failure(number, item.path, item.problem.code, item.problem.message)
    try:
        image = decode(read_bytes(item.path), path=item.path)
    except ImageError as error:
        return Failure(number, item.path, error.code, error.message)
    pixels = crop_to_multiple(image.pixels, factor, max_side)
    if not pixels.size:
        reason = f"the picture has {image.width} x {image.height} pixels; the VAE needs {factor}"
        return Failure(number, item.path, "too-small", reason)
    sha256 = digest(image.data) or ""
    return Photo(number, item.path, sha256, pixels.copy(), jpeg_settings(image.data))


def crop_to_multiple(pixels: Pixels, factor: int, max_side: int | None = None) -> Pixels:
    """The largest centred part whose sides are multiples of `factor`; empty where there is none."""
    sides = [min(side, max_side or side) // factor * factor for side in pixels.shape[:2]]
    top, left = ((whole - side) // 2 for whole, side in zip(pixels.shape, sides, strict=False))
    return pixels[top : top + sides[0], left : left + sides[1]]


def by_size(photos: Iterable[Photo], batch_size: int) -> Iterator[list[Photo]]:
    """Batches of photos of equal size; every photo comes out exactly once."""
    waiting: dict[tuple[int, ...], list[Photo]] = {}
    pixels = 0
    for photo in photos:
        size = photo.pixels.shape
        waiting.setdefault(size, []).append(photo)
        pixels += size[0] * size[1]
        if len(waiting[size]) < batch_size:
            if pixels <= WAITING_PIXELS:
                continue
            size = next(iter(waiting))
        batch = waiting.pop(size)
        pixels -= len(batch) * size[0] * size[1]
        yield batch
    yield from waiting.values()


def map_ahead(
    executor: Executor, function: Callable[[Given], Made], items: Iterable[Given], ahead: int
) -> Iterator[Made]:
    """An ordered map over an executor that starts at most `ahead` items before they are asked."""
    started: deque[Future[Made]] = deque()
    for item in items:
        started.append(executor.submit(function, item))
        if len(started) >= ahead:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()


def clean_text(path: str) -> str:
    """A path as valid Unicode; bytes that are none become question marks."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
