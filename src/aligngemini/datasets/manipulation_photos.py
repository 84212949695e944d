"""Photos for the manipulation set: read, and cut to size without moving JPEG's blocks."""

from dataclasses import dataclass

from aligngemini.datasets.manipulations.base import Mask, Pixels
from aligngemini.datasets.photos import Failure, Photo
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError, digest
from aligngemini.images.jpeg import jpeg_settings
from aligngemini.images.sources import Item

GRID = 16  # pixels between the blocks of a JPEG file with 4:2:0 chroma


@dataclass(frozen=True)
class CutPhoto:
    """A photo, cut to size.

    Attributes:
        photo: The part that is used.
        height: Of all of the photo, pixels.
        width: Of all of the photo, pixels.
    """

    photo: Photo
    height: int
    width: int

    def cut(self, mask: Mask) -> Mask:
        """The same part of a mask of all of the photo."""
        top, left = corner(self.height, self.width, *self.photo.pixels.shape[:2])
        height, width = self.photo.pixels.shape[:2]
        return mask[top : top + height, left : left + width]


def load_photo(number: int, item: Item, max_side: int | None) -> CutPhoto | Failure:
    """Read a photo and keep its centre, never resizing.

    Args:
        number: The item's place among the inputs.
        item: What to read.
        max_side: Longest side that is kept, pixels; None keeps all.
    """
    if item.problem is not None:
        return Failure(number, item.path, item.problem.code, item.problem.message)
    try:
        image = decode(read_bytes(item.path), path=item.path)
    except ImageError as error:
        return Failure(number, item.path, error.code, error.message)
    pixels = cut_centre(image.pixels, max_side)
    settings = jpeg_settings(image.data)
    photo = Photo(number, item.path, digest(image.data) or "", pixels, settings)
    return CutPhoto(photo, image.height, image.width)


def cut_centre(pixels: Pixels, max_side: int | None) -> Pixels:
    """The centre of an image, cut where JPEG's blocks begin, so that they can be met again."""
    height, width = (min(side, max_side or side) for side in pixels.shape[:2])
    top, left = corner(pixels.shape[0], pixels.shape[1], height, width)
    kept: Pixels = pixels[top : top + height, left : left + width].copy()
    return kept


def corner(height: int, width: int, kept_height: int, kept_width: int) -> tuple[int, int]:
    """Top and left of the part that is kept."""
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return top - top % GRID, left - left % GRID
