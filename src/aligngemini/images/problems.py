"""Whatever Pillow raises, as one of our codes."""

import io
import re

from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from aligngemini.images.item import ImageError
from aligngemini.images.structure import is_cut_short

_VARIANT = re.compile(
    "unsupported|not (yet )?supported|cannot handle|unknown pixel mode|unknown data organization"
    "|conversion (from|not)",
    re.IGNORECASE,
)
_LONGEST_REASON = 160
_TOO_MUCH = (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning, MemoryError)


def to_image_error(error: Exception, name: str | None, data: bytes) -> ImageError:
    """The code and sentence for a failure while decoding.

    Args:
        error: What was raised.
        name: The format, by Pillow's name, or None for pictures that never were a file.
        data: The whole file; empty where only Pillow has it.
    """
    if isinstance(error, ImageError):
        return error
    if isinstance(error, _TOO_MUCH):
        return ImageError("too-large", "the picture needs more memory than it may take")
    reason = str(error)
    if isinstance(error, UnidentifiedImageError) and name and data:
        reason = _hidden_reason(name, data)
    reason = "".join(c if c.isprintable() else " " for c in reason)[:_LONGEST_REASON].strip()
    if _is_truncated(reason, name, data):
        return ImageError("truncated", f"the {name} file ends before the picture does")
    if isinstance(error, NotImplementedError) or _VARIANT.search(reason):
        return ImageError("unsupported", f"a kind of {name} that is not opened: {reason}")
    return ImageError("corrupt", f"damaged {name} data: {reason or type(error).__name__}")


def _is_truncated(reason: str, name: str | None, data: bytes) -> bool:
    if name and data and is_cut_short(name, data):
        return True
    # With their end markers these are not cut short, even if Pillow runs out of data before.
    said = "truncated" in reason.lower() or "end of file" in reason.lower()
    return said and (not data or name not in ("PNG", "JPEG"))


def _hidden_reason(name: str, data: bytes) -> str:
    """Why the format's plugin refused: `Image.open` says only that nobody wanted the file."""
    try:
        PILImage.OPEN[name][0](io.BytesIO(data), "")
    except Exception as error:  # anything may come out of a plugin, and all of it is a reason
        return str(error)
    return ""
