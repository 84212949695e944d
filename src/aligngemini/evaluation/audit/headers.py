"""What a file says of itself before a single pixel is decoded."""

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage

from aligngemini.branches.provenance.containers import read_metadata
from aligngemini.branches.provenance.exif import read_exif
from aligngemini.branches.provenance.generators import find_generators
from aligngemini.branches.provenance.xmp import read_xmp
from aligngemini.images.files import read_bytes, read_head
from aligngemini.images.formats import load_plugin, sniff
from aligngemini.images.item import ImageError
from aligngemini.images.jpeg import settings_of
from aligngemini.images.problems import to_image_error
from aligngemini.images.quiet import quiet
from aligngemini.images.structure import survey

HEAD = 1 << 18
"""Bytes read of formats whose bookkeeping stands before the pixels."""

_HEAD_FIRST = ("JPEG", "PNG", "BMP")

METADATA = (
    *("EXIF", "a camera in EXIF", "XMP", "a colour profile", "C2PA", "a text or comment"),
    "a generator's traces",
)
"""What `Header.metadata` may name."""


@dataclass(frozen=True)
class Header:
    """One file's bookkeeping.

    Attributes:
        format: Of the container, by Pillow's name, told from the bytes.
        mode: Pillow's colour mode (`RGB`, `L`, `P`, `RGBA`, ...).
        width: Pixels, as stored: EXIF's orientation is not applied.
        height: Likewise.
        size: Of the file, bytes.
        quality: Of a JPEG, 1 to 100 (see `images.jpeg`); 0 where there is none.
        subsampling: Of a JPEG's colours, `4:4:4`, `4:2:2` or `4:2:0`; empty where there is none.
        progressive: Whether it is stored in several passes: a progressive JPEG, an interlaced PNG.
        metadata: Which of `METADATA` it carries.
    """

    format: str
    mode: str
    width: int
    height: int
    size: int
    quality: int = 0
    subsampling: str = ""
    progressive: bool = False
    metadata: frozenset[str] = frozenset()


def read_header(path: str | Path) -> Header:
    """Read a file's bookkeeping; no pixel is decoded.

    Of a JPEG, PNG or BMP the first 256 kB are read, unless its header is longer. Metadata that
    stands behind the pixels of a larger file is not seen.

    Args:
        path: An image file.

    Raises:
        ImageError: It cannot be read, or is no image that the package opens.
    """
    head, size = read_head(path, HEAD)
    name = sniff(head)
    if len(head) < size and name in _HEAD_FIRST:
        try:
            return _read(name, head, size)
        except ImageError:
            pass  # its header may be longer
    data = head if len(head) >= size else read_bytes(path)
    survey(name, data)
    return _read(name, data, size)


def _read(name: str, data: bytes, size: int) -> Header:
    load_plugin(name)
    with quiet():
        try:
            with PILImage.open(io.BytesIO(data), formats=[name]) as image:
                return _header(image, name, data, size)
        except Exception as error:  # decoders raise of every kind
            raise to_image_error(error, name, data) from error


def _header(image: PILImage.Image, name: str, data: bytes, size: int) -> Header:
    jpeg = settings_of(image)
    return Header(
        format=name,
        mode=image.mode,
        width=image.width,
        height=image.height,
        size=size,
        quality=0 if jpeg is None else jpeg.quality,
        subsampling="" if jpeg is None else jpeg.subsampling,
        progressive=bool(image.info.get("progressive") or image.info.get("interlace")),
        metadata=_metadata(data, profile=bool(image.info.get("icc_profile"))),
    )


def _metadata(data: bytes, *, profile: bool) -> frozenset[str]:
    found = read_metadata(data)
    exif = [read_exif(block) for block in found.exif]
    fields = [
        *found.texts,
        *(field for block in exif for field in block.texts),
        *(field for packet in found.xmp for field in read_xmp(packet).fields),
    ]
    there = (
        # A TIFF file is an EXIF block by itself; what counts are fields that say something.
        any(block.texts or block.camera for block in exif),
        any(block.camera for block in exif),
        bool(found.xmp),
        profile,
        found.credentials,
        bool(found.texts),
        any(signal.claim == "ai" for signal in find_generators(fields)),
    )
    return frozenset(name for name, present in zip(METADATA, there, strict=True) if present)
