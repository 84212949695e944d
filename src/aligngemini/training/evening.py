"""Photos and fakes brought to one compression, as far as the files tell how they were saved."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from typing import TypeAlias

from aligngemini.datasets.augment import compress_like
from aligngemini.datasets.pairs import Pair
from aligngemini.images.decode import read_bytes
from aligngemini.images.degrade import Pixels
from aligngemini.images.jpeg import JpegSettings, jpeg_settings

Compression: TypeAlias = Callable[[], JpegSettings | None]


class Evening:
    """Gives what is no JPEG file the compression of its pair's other image.

    A photo cut out of a JPEG file is compressed still, whatever its part was saved as: the pair
    knows how. A fake without a photo gets the compression of any of the photos.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        """Take the pairs; no file is opened yet."""
        self.others: dict[str, Compression] = {}
        for pair in pairs:
            self.others[pair.real] = partial(_compression, pair.fake)
            self.others[pair.fake] = partial(_compression, pair.real, pair.compression)
        self._any = cycle([self.others[pair.fake] for pair in pairs] or [lambda: None])

    def of(self, path: str) -> Callable[[Pixels], Pixels]:
        """What to put the pixels of one file through."""
        return partial(_even_out, path, self.others.get(path) or next(self._any))


def _compression(path: str, known: JpegSettings | None = None) -> JpegSettings | None:
    return known or jpeg_settings(read_bytes(path))


def _even_out(path: str, other: Compression, pixels: Pixels) -> Pixels:
    return pixels if _compression(path) else compress_like(pixels, other())
