"""A second chance for pictures that fail only because of what is written beside them."""

import zlib

from aligngemini.images.png import chunks

_PNG_KEPT = (b"tRNS", b"eXIf")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def without_metadata(name: str, data: bytes) -> bytes | None:
    """The same picture without the metadata that Pillow may stumble over.

    A prompt of over a megabyte in a PNG's text, a wrong checksum on a comment, EXIF that is
    none: none of them is a reason not to judge the pixels.

    Args:
        name: The format, by Pillow's name.
        data: The whole file.

    Returns:
        New bytes for Pillow alone, or None where there is nothing to take away. No pixel is
        touched.
    """
    if name == "PNG":
        stripped = _strip_png(data)
    elif name == "AVIF":
        stripped = data.replace(b"Exif", b"none", 1)  # the item's type; unknown ones are ignored
    else:
        return None
    return stripped if stripped != data else None


def _strip_png(data: bytes) -> bytes:
    """The critical chunks (an upper-case first letter), transparency and EXIF."""
    kept = [data[:8]]
    for kind, start, end in chunks(data):
        chunk = data[start:end]
        whole = end <= len(data)
        if whole and (kind[:1].isupper() or (kind in _PNG_KEPT and _is_intact(chunk))):
            kept.append(chunk)
    if not kept[-1].startswith(_PNG_END):
        kept.append(_PNG_END)  # nothing is lost with it; pixels that are missing still fail
    return b"".join(kept)


def _is_intact(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
