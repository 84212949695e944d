"""Where each container keeps its metadata. Pixels are never decoded here."""

import io
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as PILImage
from PIL import IptcImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from aligngemini.branches.provenance import png
from aligngemini.branches.provenance.text import Field, decode
from aligngemini.images.formats import load_plugin, sniff
from aligngemini.images.item import ImageError
from aligngemini.images.quiet import quiet

# What opening a damaged file makes Pillow and libheif raise.
MALFORMED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    PILImage.DecompressionBombError,
)

_EXIF_HEADER = b"Exif\0\0"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_MORE_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
_IIM_NAMES = {(2, 65): "OriginatingProgram", (2, 110): "Credit", (2, 115): "Source"}

# A C2PA manifest store names itself by the first of these, AVIF and HEIC its place by the second.
_STORE_UUID = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
_BMFF_UUID = bytes.fromhex("d8fec3d6 1b0e 483c 9297 5828877ec481")
_TIFF_TAG = 52545


@dataclass
class Metadata:
    """The metadata blocks of one file, not yet understood.

    Attributes:
        exif: EXIF blocks, with or without the `Exif` header.
        xmp: XMP packets.
        texts: Text chunks and comments.
        credentials: Whether the file holds a C2PA manifest.
        maybe_credentials: Whether it holds what may be one.
        problems: What was there and could not be read: the kind of metadata and the reason.
    """

    exif: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    texts: list[Field] = field(default_factory=list)
    credentials: bool = False
    maybe_credentials: bool = False
    problems: list[tuple[str, str]] = field(default_factory=list)


def read_metadata(data: bytes) -> Metadata:
    """Find the metadata blocks of a file.

    Args:
        data: The whole file, whatever it is; a format that is not known has no metadata.
    """
    found = Metadata()
    try:
        name = sniff(data)
        if name == "PNG":
            _from_png(data, found)
        elif name == "WEBP":
            _from_webp(data, found)
        else:
            load_plugin(name)
            with quiet(), PILImage.open(io.BytesIO(data), formats=[name]) as image:
                _from_pillow(image, data, found)
    except ImageError as error:
        found.problems.append(("file", error.message))
    except UnidentifiedImageError:
        found.problems.append(("file", f"{name} that could not be opened"))
    except MALFORMED as error:
        found.problems.append(("file", f"{name} that could not be opened ({error})"))
    # A manifest is known by its contents too, should damage hide its place. JPEG and PNG, which are
    # the largest, keep theirs before the pixels.
    head = 1 << 20 if data.startswith((png.SIGNATURE, b"\xff\xd8")) else len(data)
    found.credentials |= any(data.find(uuid, 0, head) >= 0 for uuid in (_STORE_UUID, _BMFF_UUID))
    return found


def _from_png(data: bytes, found: Metadata) -> None:
    chunks = png.PngMetadata(data)
    found.exif, found.xmp, found.texts = chunks.exif, chunks.xmp, chunks.texts
    found.credentials = chunks.credentials
    found.problems = [("text", problem) for problem in chunks.problems]


def _from_webp(data: bytes, found: Metadata) -> None:
    """Chunk by chunk, since libwebp hides those that the header forgot to announce."""
    at = 12
    for _ in range(png.MAX_CHUNKS):
        if at + 8 > len(data):
            return
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        blocks = {b"EXIF": found.exif, b"XMP ": found.xmp}.get(kind)
        if blocks is not None:
            blocks.append(data[at + 8 : at + 8 + length])
        found.credentials |= kind == b"C2PA"
        at += 8 + length + length % 2
    found.problems.append(("file", f"more than {png.MAX_CHUNKS} chunks"))


def _from_pillow(image: PILImage.Image, data: bytes, found: Metadata) -> None:
    if isinstance(image, JpegImageFile):
        _from_jpeg(image, found)
        return
    _from_info(dict(image.info), found)
    if isinstance(image, TiffImageFile):
        found.exif = [data]
        found.credentials = _TIFF_TAG in image.tag_v2
    elif image.format == "GIF":
        found.maybe_credentials = b"C2PA_GIF" in data
        # Pillow passes over XMP here, which stands in the file as one piece.
        start = data.find(b"XMP DataXMP")
        end = data.find(b"</x:xmpmeta>", start)
        if 0 <= start < end:
            found.xmp.append(data[start + 11 : end + 12])


def _from_info(info: dict[str | tuple[int, int], Any], found: Metadata) -> None:
    for key, blocks in (("exif", found.exif), ("xmp", found.xmp)):
        if isinstance(info.get(key), bytes):
            blocks.append(info[key])
    if isinstance(info.get("comment"), bytes):
        found.texts.append(Field("comment", "comment", decode(info["comment"])))


def _from_jpeg(image: JpegImageFile, found: Metadata) -> None:
    more_xmp: dict[bytes, list[tuple[int, bytes]]] = {}
    exif = b""
    for name, block in image.applist:
        if name == "APP1" and block.startswith(_EXIF_HEADER):
            exif += block.removeprefix(_EXIF_HEADER)
        elif name == "APP1" and block.startswith(_XMP_HEADER):
            found.xmp.append(block.removeprefix(_XMP_HEADER))
        elif name == "APP1" and block.startswith(_XMP_MORE_HEADER):
            # Packets over 64 KB go on in parts: GUID, total length, offset, bytes.
            part = block.removeprefix(_XMP_MORE_HEADER)
            offset = int.from_bytes(part[36:40], "big")
            more_xmp.setdefault(part[:32], []).append((offset, part[40:]))
        elif name == "APP11":
            found.maybe_credentials = True
        elif name == "COM":
            found.texts.append(Field("comment", "comment", decode(block)))
    if exif:
        found.exif.append(exif)
    found.xmp += [b"".join(part for _, part in sorted(parts)) for parts in more_xmp.values()]
    try:
        iim = IptcImagePlugin.getiptcinfo(image) or {}
    except MALFORMED as error:
        found.problems.append(("iptc", str(error)))
        iim = {}
    for tag, name in _IIM_NAMES.items():
        value = iim.get(tag)
        if isinstance(value, bytes):
            found.texts.append(Field("iptc", name, decode(value)))
