"""The one EXIF value that decoding needs."""

import struct

ORIENTATION = 0x0112
INTEGERS = {3: "H", 4: "I"}  # TIFF's types; the tag is meant to be the first


def orientation(exif: bytes) -> int:
    r"""How the picture is to be turned, as EXIF's IFD0 says.

    Reads this one value and no other, because the rest of a file's EXIF may be broken or made to
    be expensive.

    Args:
        exif: An EXIF block, with or without its `Exif\0\0` prefix.

    Returns:
        1 to 8; 1 (as it lies) where there is no such tag or its value has no meaning.

    Raises:
        ValueError: This is no EXIF block, or it ends too early.
    """
    block = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        raise ValueError("no byte order mark")
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", block, position)
            if tag == ORIENTATION:
                if kind not in INTEGERS or number != 1:
                    return 1
                (value,) = struct.unpack_from(order + INTEGERS[kind], block, position + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error as error:
        raise ValueError("the block ends too early") from error
    return 1
