"""What a file's own bookkeeping says, read before Pillow touches it.

Pillow parses segments, chunks, blocks and tags one by one in Python; a file of nothing but empty
ones keeps it busy for minutes. The walks here end at a count. They also tell what decoding will
cost, how many pictures there are and whether the file ends too early.
"""

import struct
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from aligngemini.images.exif import ORIENTATION
from aligngemini.images.item import ImageError
from aligngemini.images.limits import PLAIN_BYTES_PER_PIXEL
from aligngemini.images.png import chunks
from aligngemini.images.tiff import BITS_PER_SAMPLE, Tiff

MAX_PIECES = 200_000
"""Segments, chunks or blocks of one file. Real files have under 10,000; each costs Pillow up to
3 microseconds and 150 bytes."""

MAX_SCAN_PIXELS = 3_000_000_000
"""Pixels times passes of a JPEG. A pass visits every pixel, however few bytes it has, and takes
about 0.7 nanoseconds for each; real files have about 10 passes."""

_SCAN, _END = 0xDA, 0xD9  # JPEG markers
_MAX_GIF_BLOCKS = 1_000_000  # 255 MB of ordinary animation

# Memory for one pixel at the highest point, measured: the decoder's buffers, Pillow's copy and
# ours, as far as they exist at the same time.
BYTES_PER_PIXEL = {"WEBP": 17, "AVIF": 17, "HEIF": 13}
_TIFF = 8
_TIFF_COMPRESSED = 12  # libtiff holds a whole strip, and a strip may be the whole picture
_BMP_RLE = 28  # not memory but time: Pillow decodes these in Python

_MAX_SLOW_BYTES = 64 * 1024 * 1024  # for what decodes at 10 MB a second: passes, run lengths


class Layout(NamedTuple):
    """What the structure tells of the first picture.

    Attributes:
        bytes_per_pixel: Memory that decoding takes at its highest, per pixel.
        passes: How often decoding visits every pixel.
        pictures: How many there are, or None where only Pillow can tell.
        bits: Bits a channel, where more than 8 can be told from the structure.
        turned: The EXIF orientation that Pillow itself will apply (TIFF).
    """

    bytes_per_pixel: int = PLAIN_BYTES_PER_PIXEL
    passes: int = 1
    pictures: int | None = None
    bits: int = 8
    turned: int = 1


def survey(name: str, data: bytes) -> Layout:
    """Look at a file's structure before Pillow does.

    Args:
        name: The format, by Pillow's name.
        data: The whole file.

    Raises:
        ImageError: `corrupt`, when the structure has more pieces than any real file;
            `unsupported`, when the first picture is only a preview of one in the rest;
            `too-large`, when the bytes are too many for a slow encoding.
    """
    if name == "JPEG":
        return _survey_jpeg(data)
    if name == "PNG":
        return _survey_png(data)
    if name == "GIF":
        return Layout(pictures=count_gif_frames(data))
    if name == "TIFF":
        return _survey_tiff(data)
    if name == "BMP" and data[30:34] in (b"\1\0\0\0", b"\2\0\0\0"):
        _check_slow(data)
        return Layout(_BMP_RLE)
    return Layout(BYTES_PER_PIXEL.get(name, PLAIN_BYTES_PER_PIXEL))


def is_cut_short(name: str, data: bytes) -> bool:
    """Whether a file ends before its own bookkeeping says it should.

    Args:
        name: The format, by Pillow's name.
        data: The whole file.
    """
    return _CUT_SHORT[name](data)


def count_gif_frames(data: bytes) -> int:
    """How many frames a GIF has, counting no further than a million blocks.

    Pillow counts them too, but at a cost that a file of empty frames turns into minutes.

    Raises:
        ImageError: `corrupt`, when no frame comes within `MAX_PIECES` blocks.
    """
    position = 13 + _gif_table(data, 10)
    frames = blocks = 0
    while position < len(data) and data[position] != 0x3B and blocks < _MAX_GIF_BLOCKS:
        kind = data[position]
        if kind == 0x2C:
            frames += 1
            position += 11 + _gif_table(data, position + 9)
        else:
            position += 2 if kind == 0x21 else 1
        blocks += 1
        while kind in (0x21, 0x2C) and position < len(data) and blocks < _MAX_GIF_BLOCKS:
            length = data[position]
            position += 1 + length
            blocks += 1
            if not length:
                break
        if not frames and blocks > MAX_PIECES:
            raise ImageError("corrupt", f"over {MAX_PIECES} blocks before the first frame")
    return frames


def _gif_table(data: bytes, position: int) -> int:
    """Bytes of the colour table that the flags at `position` announce."""
    flags = data[position] if position < len(data) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers and where they are, up to the first scan or the end, skipping what Pillow skips."""
    position = 2
    for _ in range(MAX_PIECES):
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            return
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            yield marker, position
            if marker in (_SCAN, _END):
                return
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    raise ImageError("corrupt", f"over {MAX_PIECES} segments before the picture")


def _survey_jpeg(data: bytes) -> Layout:
    layers, progressive = 1, False
    for marker, position in _jpeg_markers(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            layers = next(iter(data[position + 9 : position + 10]), 1)
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        # Passes other than one over everything make libjpeg keep all coefficients.
        elif marker == _SCAN and (progressive or data[position + 4] != layers):
            _check_slow(data)
            return Layout(max(PLAIN_BYTES_PER_PIXEL, 4 + 2 * layers), data.count(b"\xff\xda"))
    return Layout()


def _check_slow(data: bytes) -> None:
    if len(data) > _MAX_SLOW_BYTES:
        raise ImageError("too-large", "over 67 MB in an encoding that is slow to decode")


def _survey_png(data: bytes) -> Layout:
    if sum(1 for _ in islice(chunks(data), MAX_PIECES)) == MAX_PIECES:
        raise ImageError("corrupt", f"over {MAX_PIECES} chunks")
    return Layout(bits=16 if data[24:25] == b"\x10" else 8)


def _survey_tiff(data: bytes) -> Layout:
    tiff = Tiff(data)
    if tiff.is_preview:
        raise ImageError(
            "unsupported", "the first picture is only a preview, as in a camera's raw file"
        )
    bits = max(tiff.values(BITS_PER_SAMPLE), default=8)
    return Layout(
        bytes_per_pixel=_TIFF_COMPRESSED if tiff.is_compressed else _TIFF,
        pictures=tiff.count_pages(),
        bits=bits if bits <= 16 else 8,
        turned=next((value for value in tiff.values(ORIENTATION) if 1 <= value <= 8), 1),
    )


def _is_jpeg_cut_short(data: bytes) -> bool:
    marker, position = max(_jpeg_markers(data), key=itemgetter(1), default=(0, 0))
    return marker not in (_SCAN, _END) or (marker == _SCAN and data.find(b"\xff\xd9", position) < 0)


def _is_png_cut_short(data: bytes) -> bool:
    return b"IEND" not in data


def _is_gif_cut_short(data: bytes) -> bool:
    return not data.rstrip(b"\0").endswith(b";")


def _is_webp_cut_short(data: bytes) -> bool:
    return len(data) < 12 or 8 + struct.unpack_from("<I", data, 4)[0] > len(data)


def _is_bmp_cut_short(data: bytes) -> bool:
    return bool(struct.unpack_from("<I", data, 2)[0] > len(data))


def _is_isobmff_cut_short(data: bytes) -> bool:
    position = 0
    for _ in range(MAX_PIECES):
        if position + 8 > len(data):
            return position != len(data)
        (size,) = struct.unpack_from(">I", data, position)
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        if size < 8:  # 0 means "to the end of the file"; 2 to 7 mean nothing
            return False
        position += size
    return False


def _is_tiff_cut_short(data: bytes) -> bool:
    return Tiff(data).is_cut_short


_CUT_SHORT: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _is_jpeg_cut_short,
    "PNG": _is_png_cut_short,
    "GIF": _is_gif_cut_short,
    "WEBP": _is_webp_cut_short,
    "BMP": _is_bmp_cut_short,
    "AVIF": _is_isobmff_cut_short,
    "HEIF": _is_isobmff_cut_short,
    "TIFF": _is_tiff_cut_short,
}
