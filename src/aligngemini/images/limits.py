"""What is refused before it is decoded, so that no file takes over 1 GB of memory or 10 seconds."""

from dataclasses import dataclass

from aligngemini.images.item import ImageError

PLAIN_BYTES_PER_PIXEL = 7
"""Memory for one pixel while an image without decoder buffers is read: 4 in Pillow, 3 in ours."""


@dataclass(frozen=True)
class Limits:
    """What is refused before decoding.

    The default of `max_pixels` lets the 108-megapixel pictures of phones through: at 7 bytes a
    pixel they take 0.77 GB. Formats whose decoders hold more than that get a share in proportion
    (WebP, at 17 bytes a pixel, 45 megapixels). Pillow's own ceiling, 179 megapixels unless the
    program changed it, stays in force above these limits.

    Attributes:
        max_bytes: Size of the file, in bytes.
        max_pixels: Width times height, for formats that decode without large buffers.
        min_side: Fewest pixels a side that a verdict can rest on.
    """

    max_bytes: int = 128 * 1024 * 1024
    max_pixels: int = 110_000_000
    min_side: int = 32

    def check_bytes(self, size: int) -> None:
        """Refuse a file by its size.

        Args:
            size: Bytes in the file.

        Raises:
            ImageError: `empty` or `too-large`.
        """
        if size == 0:
            raise ImageError("empty", "the file is empty")
        if size > self.max_bytes:
            raise ImageError(
                "too-large",
                f"the file has more than {self.max_bytes / 1e6:.0f} MB, the most that is read",
            )

    def check_size(
        self, size: tuple[int, int], bytes_per_pixel: int = PLAIN_BYTES_PER_PIXEL
    ) -> None:
        """Refuse a picture by the size its header declares.

        Args:
            size: Width and height, in pixels.
            bytes_per_pixel: Memory that decoding it takes at its highest, per pixel.

        Raises:
            ImageError: `too-large` or `too-small`.
        """
        width, height = size
        share = min(1.0, PLAIN_BYTES_PER_PIXEL / bytes_per_pixel)
        if width * height > self.max_pixels * share:
            raise ImageError(
                "too-large",
                f"the picture has {width} x {height} pixels; the most for its kind is "
                f"{self.max_pixels * share / 1e6:.3g} million",
            )
        if min(width, height) < self.min_side:
            raise ImageError(
                "too-small",
                f"the picture has {width} x {height} pixels; a verdict needs at least "
                f"{self.min_side} a side",
            )
