"""What decoding gives: an image in memory, or the reason there is none."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from aligngemini.evidence import ErrorCode, Problem
from aligngemini.images.scope import scope_of
from aligngemini.verdict import Scope


class ImageError(Exception):
    """An input that cannot be judged, with a stable code and a sentence for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["ImageError"], tuple[ErrorCode, str]]:
        # The default rebuilds from args, which holds the message alone.
        return type(self), (self.code, self.message)

    @property
    def problem(self) -> Problem:
        """This error as a record field."""
        return Problem(self.code, self.message)


def digest(data: bytes) -> str | None:
    """SHA-256 of a file's bytes, lower-case hex; None where there are none."""
    return hashlib.sha256(data).hexdigest() if data else None


@dataclass(frozen=True)
class Image:
    """A decoded image.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, orientation applied.
        format: Pillow's name of the container (`JPEG`, `PNG`, `WEBP`, ...).
        data: The file's own bytes, which the provenance branch reads; empty for pixels that never
            were a file.
        path: The input as the user named it.
        notes: What decoding had to decide, in words (`first of 12 frames`, ...).
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    format: str | None = None
    data: bytes = field(default=b"", repr=False)
    path: str = ""
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @cached_property
    def sha256(self) -> str | None:
        """Hex digest of the file's bytes; None for pixels that never were a file."""
        return digest(self.data)

    @cached_property
    def pixels_sha256(self) -> str:
        """Hex digest of shape and pixels, for pixels that never were a file."""
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()

    @cached_property
    def scope(self) -> Scope:
        """Whether the picture is of the kind that detectors here were measured on."""
        return scope_of(self.pixels)
