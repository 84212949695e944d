"""Patches of photos and of AI images for studies, all brought to one form."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from aligngemini.experiments.study import StudyError
from aligngemini.health.drawings import still_life
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import Pixels, rescale
from aligngemini.images.item import ImageError
from aligngemini.images.sources import expand

Array: TypeAlias = npt.NDArray[Any]

logger = logging.getLogger(__name__)

REAL, AI = ("real",), ("ai", "fake")
FOLDERS = "a folder with real/ and, one folder a generator, ai/"
"""What `--data` must be, in words."""


class Patches(NamedTuple):
    """Squares out of images.

    Attributes:
        pixels: (N, S, S, 3) uint8 RGB.
        groups: N names: the folder right below `real/` or `ai/` that an image lies in.
        left_out: Images that could not be used: unreadable, or too small.
    """

    pixels: Pixels
    groups: list[str]
    left_out: int


class Image(NamedTuple):
    """An image of a data folder and the group it belongs to."""

    path: str
    group: str


def find_images(data: Path, names: Sequence[str]) -> list[Image]:
    """The images of one class, in sorted order.

    Args:
        data: See `FOLDERS`.
        names: What the folder of that class may be called, `REAL` or `AI`.

    Raises:
        StudyError: There is no such folder, or no image in it.
    """
    found = []
    for name in names:
        root = data / name
        if root.is_dir():
            for item in expand([str(root)]):
                inside = Path(item.path).relative_to(root).parts
                found.append(Image(item.path, inside[0] if len(inside) > 1 else name))
    if not found:
        raise StudyError(f"{data} has no images in {' or '.join(names)}/; give {FOLDERS}")
    return found


def read_patches(
    images: Sequence[Image], side: int, rng: np.random.Generator, *, scale: float = 1.0, each: int
) -> Patches:
    """Squares at random places of images.

    Args:
        images: Where from; those that cannot be used are counted, and named in the log.
        side: Of a square, pixels.
        rng: Source of every draw.
        scale: Factor that both sides of an image are shrunk by beforehand. A half takes the traces
            of earlier JPEG compression away.
        each: Squares of one image.
    """
    pixels: list[Pixels] = []
    groups: list[str] = []
    left_out = 0
    for image in images:
        try:
            whole = decode(read_bytes(image.path), path=image.path).pixels
        except ImageError as error:
            logger.warning("%s is left out: %s", image.path, error.message)
            left_out += 1
            continue
        if scale != 1:
            whole = rescale(whole, scale)
        if min(whole.shape[:2]) < side:
            logger.warning("%s is left out: fewer than %d pixels a side", image.path, side)
            left_out += 1
            continue
        pixels += [square(whole, side, rng) for _ in range(each)]
        groups += [image.group] * each
    if not pixels:
        raise StudyError(f"none of {len(images)} images has {side} pixels a side at scale {scale}")
    return Patches(np.stack(pixels), groups, left_out)


def square(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A square at a random place of an image that is large enough."""
    top, left = (int(rng.integers(length - side + 1)) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def squares(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Squares at one random place of all images (N, H, W, 3)."""
    top, left = (int(rng.integers(length - side + 1)) for length in pixels.shape[1:3])
    return pixels[:, top : top + side, left : left + side]


def drawn_patches(count: int, side: int, seed: int) -> Pixels:
    """Drawn pictures in place of photos, where there are none: (N, S, S, 3) uint8 RGB."""
    return np.stack([still_life(side, side, 1000 * seed + number) for number in range(count)])


def by_group(groups: Sequence[str], fewest: int) -> Iterator[tuple[str, list[int]]]:
    """Groups by falling size with the numbers of their members; small ones join as `others`."""
    members: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    large = {name: part for name, part in members.items() if len(part) >= fewest}
    yield from sorted(large.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    others = [number for name, part in members.items() if name not in large for number in part]
    if others:
        yield "others", sorted(others)


def kept(file: Path, make: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """Arrays by name out of a `.npz` file, made and written there first if it is not there."""
    if not file.is_file():
        partial = file.with_name(f".partial-{file.name}")
        with partial.open("wb") as stream:
            arrays: Any = make()
            np.savez(stream, **arrays)
        partial.replace(file)
    with np.load(file) as found:
        return dict(found)
