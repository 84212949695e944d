"""PNG's chunks, as far as decoding has to know them beside Pillow."""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image as PILImage

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column and row of each pass, and the steps between them.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
_STEP = 1 << 20


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk, header and checksum included.

    The last one's end lies beyond the data where the file is cut short.
    """
    position = 8
    while position + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        yield data[position + 4 : position + 8], position, end
        position = end


def lacks_rows(image: PILImage.Image, data: bytes) -> bool:
    """Whether a loaded PNG holds fewer rows than its header declares.

    Pillow leaves such rows black without a word. Real black rows at the end are told from missing
    ones by counting what the compressed data hold, which other images are spared.

    Args:
        image: The loaded picture.
        data: The file it came from.
    """
    width, height = image.size
    last = image.crop((0, max(0, height - 2), width, height))  # two, for interlaced ones
    rows = [last.crop((0, row, width, row + 1)) for row in range(last.height)]
    if all(row.getbbox(alpha_only=False) for row in rows):
        return False
    return _unpacked_size(data) < _declared_size(data)


def _declared_size(data: bytes) -> int:
    """Bytes of all rows, each with its filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    total = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _unpacked_size(data: bytes) -> int:
    stream = zlib.decompressobj()
    total = 0
    for kind, start, end in chunks(data):
        packed = data[start + 8 : end - 4] if kind == b"IDAT" else b""
        while packed:
            total += len(stream.decompress(packed, _STEP))
            packed = stream.unconsumed_tail
    return total
