"""Real and fake images side by side: chosen, paired by shape, and brought to one size.

Size and shape tell collections apart before a single pixel is looked at. So they are matched before
anything else is done: within a pair both images lose the same share to the crop and end at the same
size, whichever of them was the larger.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from aligngemini.datasets.archives import read_members
from aligngemini.datasets.candidates import Candidate
from aligngemini.datasets.photos import Failure, map_ahead
from aligngemini.datasets.pixel_set_files import duplicate, write_whole
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.filters import FILTERS
from aligngemini.images.item import ImageError, digest

Pixels = npt.NDArray[np.uint8]

MAX_ASPECT = 3.0
"""Images longer than this are left out: matching one would cut away most of its partner."""

SPARE = 16  # looked at beyond what is missing, because some cannot be used


@dataclass(frozen=True)
class Seen:
    """An image that can be used.

    Attributes:
        candidate: What it is.
        sha256: Of its bytes.
        width: Pixels, orientation applied.
        height: Pixels.
    """

    candidate: Candidate
    sha256: str
    width: int
    height: int

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


@dataclass(frozen=True)
class Match:
    """A fake and the real that is treated like it.

    Attributes:
        fake: One of them.
        real: The other.
        width: Of both in the set, pixels.
        height: Of both in the set.
    """

    fake: Seen
    real: Seen
    width: int
    height: int

    @property
    def key(self) -> str:
        """Both images' hashes."""
        return f"{self.fake.sha256}-{self.real.sha256}"

    @property
    def kept(self) -> float:
        """Share of each image's area that the crop keeps."""
        ratio = self.fake.aspect / self.real.aspect
        return math.sqrt(min(ratio, 1 / ratio))


class Gatherer:
    """Takes images one after the other until enough can be used."""

    def __init__(self, unpacked: Path, executor: Executor, *, ahead: int, min_side: int) -> None:
        """Get ready.

        Args:
            unpacked: Folder for the images of archives, under names of our own.
            executor: Of threads that read and decode.
            ahead: Images to start before they are needed.
            min_side: Fewest pixels a side.
        """
        self.failures: list[Failure] = []
        self.known: dict[str, Seen] = {}
        self._unpacked, self._executor, self._ahead = unpacked, executor, ahead
        self._min_side = min_side
        self._first: dict[str, str] = {}

    def gather(
        self, candidates: Sequence[Candidate], count: int, found: Callable[[Seen], None]
    ) -> list[Seen]:
        """The first `count` usable images, no file twice; fewer where there are not as many.

        Args:
            candidates: In the order to try.
            count: How many are wanted.
            found: Called with each as it is found.
        """
        usable: list[Seen] = []
        coming = enumerate(candidates)
        while len(usable) < count:
            batch = list(islice(coming, count - len(usable) + SPARE))
            if not batch:
                break
            missing = self.unpack(c for _, c in batch if c.key not in self.known)
            look = partial(self._look, missing)
            for seen in map_ahead(self._executor, look, batch, self._ahead):
                if isinstance(seen, Failure):
                    self.failures.append(seen)
                elif original := self._first.get(seen.sha256):
                    self.failures.append(duplicate(-1, seen.candidate.name, original))
                elif len(usable) < count:
                    self._first[seen.sha256] = seen.candidate.name
                    usable.append(seen)
                    found(seen)
        return usable

    def unpack(self, candidates: Iterable[Candidate]) -> dict[str, str]:
        """Write out what lies in archives; gives the reason for each image there is none of."""
        wanted: dict[str, dict[int, str]] = {}
        for candidate in candidates:
            if candidate.member and not self.file(candidate).is_file():
                wanted.setdefault(candidate.path, {})[candidate.number] = candidate.key
        missing: dict[str, str] = {}
        for archive, members in wanted.items():
            for key, data in read_members(Path(archive), members):
                if isinstance(data, str):
                    missing[key] = data
                else:
                    write_whole(self._unpacked / key, data)
        return missing

    def file(self, candidate: Candidate) -> Path:
        """Where its bytes lie, once unpacked."""
        return self._unpacked / candidate.key if candidate.member else Path(candidate.path)

    def pixels(self, seen: Seen) -> Pixels:
        """An image that was found usable, decoded again.

        Raises:
            ImageError: It cannot be read any more, or was changed since.
        """
        data = read_bytes(self.file(seen.candidate))
        if digest(data) != seen.sha256:
            raise ImageError(
                "unreadable", "the file was changed since the set was begun; build another set"
            )
        return decode(data, path=seen.candidate.name).pixels

    def _look(self, missing: dict[str, str], numbered: tuple[int, Candidate]) -> Seen | Failure:
        number, candidate = numbered
        if candidate.key in self.known:
            return self.known[candidate.key]
        try:
            return self._seen(candidate, missing)
        except ImageError as error:
            return Failure(number, candidate.name, error.code, error.message)

    def _seen(self, candidate: Candidate, missing: dict[str, str]) -> Seen:
        if candidate.problem is not None:
            raise ImageError(candidate.problem.code, candidate.problem.message)
        if candidate.key in missing:
            raise ImageError("unreadable", missing[candidate.key])
        file = self.file(candidate)
        image = decode(read_bytes(file), path=candidate.name)
        seen = Seen(candidate, digest(image.data) or "", image.width, image.height)
        sides = f"the picture has {image.width} x {image.height} pixels"
        if min(image.width, image.height) < self._min_side:
            raise ImageError("too-small", f"{sides}; the set asks for {self._min_side} a side")
        if not 1 / MAX_ASPECT <= seen.aspect <= MAX_ASPECT:
            raise ImageError(
                "too-small", f"{sides}; one side may be {MAX_ASPECT:g} times the other at most"
            )
        return seen


def match(fakes: Sequence[Seen], reals: Sequence[Seen], max_side: int) -> list[Match]:
    """Pair fakes and reals by the order of their shapes, which cuts away the least in total.

    Args:
        fakes: At most as many pairs come out.
        reals: Likewise; what is left over has no partner.
        max_side: Longest side in the set, pixels.
    """
    count = min(len(fakes), len(reals))
    # Equal shapes keep the order they came in, which is a drawn one.
    by_shape = (sorted(group[:count], key=lambda seen: seen.aspect) for group in (fakes, reals))
    return [
        Match(fake, real, *_common_size(fake, real, max_side))
        for fake, real in zip(*by_shape, strict=True)
    ]


def _common_size(fake: Seen, real: Seen, max_side: int) -> tuple[int, int]:
    """The largest size of the pair's shape that enlarges neither."""
    aspect = math.sqrt(fake.aspect * real.aspect)
    longest = min(max_side, *(max(_crop(seen, aspect)) for seen in (fake, real)))
    if aspect >= 1:
        return longest, max(1, round(longest / aspect))
    return max(1, round(longest * aspect)), longest


def _crop(seen: Seen, aspect: float) -> tuple[int, int]:
    """Width and height of the largest part of that shape."""
    if seen.aspect > aspect:
        return max(1, round(seen.height * aspect)), seen.height
    return seen.width, max(1, round(seen.width / aspect))


def fit(pixels: Pixels, width: int, height: int, filter_name: str) -> Pixels:
    """Cut to a shape around the centre, then resize to a size of that shape.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        width: Wanted, pixels.
        height: Wanted.
        filter_name: One of `FILTERS`.
    """
    rows, columns = pixels.shape[:2]
    scale = min(columns / width, rows / height)
    # Rounding may make the part a hair larger than the whole.
    left, top = max(0.0, columns - width * scale) / 2, max(0.0, rows - height * scale) / 2
    box = (left, top, columns - left, rows - top)
    image = PILImage.fromarray(pixels)
    return np.asarray(image.resize((width, height), FILTERS[filter_name], box=box))
