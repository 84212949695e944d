"""EXIF blocks: the fields that name a maker, a camera or a program."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL.ExifTags import IFD, Base
from PIL.Image import Exif

from aligngemini.branches.provenance.text import Field, decode
from aligngemini.images.quiet import quiet

# What Pillow raises over damaged blocks.
MALFORMED = (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error, OverflowError)

_TEXT_TAGS = {
    Base.ImageDescription: "ImageDescription",
    Base.Make: "Make",
    Base.Model: "Model",
    Base.Software: "Software",
    Base.Artist: "Artist",
    Base.HostComputer: "HostComputer",
    Base.ProcessingSoftware: "ProcessingSoftware",
    Base.Copyright: "Copyright",
}
_WIDE_TAGS = {Base.XPTitle: "XPTitle", Base.XPComment: "XPComment", Base.XPAuthor: "XPAuthor"}
_CLASSIC_TIFF = 42
_EXPOSURE = (Base.ExposureTime, Base.FNumber, Base.ISOSpeedRatings)


@dataclass
class ExifFields:
    """What one EXIF block says.

    Attributes:
        texts: The text fields that are not empty.
        camera: `make model` where the block has both and an exposure, else None.
        problems: What could not be read of it, in words.
    """

    texts: list[Field] = field(default_factory=list)
    camera: str | None = None
    problems: list[str] = field(default_factory=list)


def read_exif(block: bytes) -> ExifFields:
    """Read an EXIF block, or a whole TIFF file, which has the same structure.

    Args:
        block: With or without the `Exif` header.
    """
    found = ExifFields()
    try:
        with quiet():
            _read(block, found)
    except MALFORMED as error:
        found.problems.append(str(error) or type(error).__name__)
    return found


def _read(block: bytes, found: ExifFields) -> None:
    exif = Exif()
    exif.load(block)
    texts = {name: _text(exif.get(tag)) for tag, name in _TEXT_TAGS.items()}
    for tag, name in _WIDE_TAGS.items():
        value = exif.get(tag)
        if isinstance(value, bytes):
            texts[name] = value.decode("utf-16-le", "replace")
    details = exif.get_ifd(IFD.Exif)
    comment = details.get(Base.UserComment)
    if isinstance(comment, bytes):
        texts["UserComment"] = user_comment(comment)
    texts = {name: text.strip("\0 \t\r\n") for name, text in texts.items()}
    found.texts = [Field("exif", name, text) for name, text in texts.items() if text]
    exposed = any(details.get(tag) for tag in _EXPOSURE)
    if texts["Make"] and texts["Model"] and exposed:
        found.camera = f"{texts['Make']} {texts['Model']}"
    _check_complete(block.removeprefix(b"Exif\0\0"), exif, details, found)


def _check_complete(
    block: bytes, exif: Exif, details: Mapping[int, Any], found: ExifFields
) -> None:
    """Pillow passes over a field that it cannot read, and only the directory still lists it."""
    order = "<" if block.startswith(b"II") else ">"
    if struct.unpack_from(f"{order}H", block, 2)[0] != _CLASSIC_TIFF:
        return
    listed = _directory(block, order, struct.unpack_from(f"{order}I", block, 4)[0])
    lost = (listed & {*_TEXT_TAGS, *_WIDE_TAGS, IFD.Exif}) - set(exif)
    if isinstance(exif.get(IFD.Exif), int):
        listed = _directory(block, order, exif[IFD.Exif])
        lost |= (listed & {Base.UserComment, *_EXPOSURE}) - set(details)
    if lost:
        names = ", ".join(Base(tag).name for tag in sorted(lost))
        found.problems.append(f"fields that cannot be read: {names}")


def _directory(block: bytes, order: str, offset: int) -> set[int]:
    """The tags that a directory lists with a value."""
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    entries = (struct.unpack_from(f"{order}HHI", block, offset + 2 + 12 * k) for k in range(count))
    return {tag for tag, _, values in entries if values}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return decode(value)
    # Pillow reads ASCII fields as Latin-1; most writers put UTF-8 there.
    return decode(value.encode("latin-1", "replace")) if isinstance(value, str) else ""


def user_comment(raw: bytes) -> str:
    """The text of a UserComment, which names its encoding in its first eight bytes.

    `UNICODE` is UTF-16 of unstated byte order, told by where the zero bytes of its ASCII stand.
    """
    code, body = raw[:8], raw[8:]
    if code.startswith(b"UNICODE"):
        big = body[0::2].count(0) >= body[1::2].count(0)
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            return body.decode("utf-16", "replace")
        return body.decode("utf-16-be" if big else "utf-16-le", "replace")
    if code in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"\0" * 8):
        return decode(body)
    return decode(raw)
