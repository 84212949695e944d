"""Untrusted text: what the readers pass on, and how it is made fit to show."""

from typing import NamedTuple

DETAIL_CHARS = 200


class Field(NamedTuple):
    """One piece of text from a file's metadata.

    Attributes:
        place: Where it stood: `exif`, `xmp`, `iptc`, `text` (PNG) or `comment`.
        name: Its key there, as the standard spells it (`Software`, `CreatorTool`, ...).
        text: The value, untrusted and of any length.
    """

    place: str
    name: str
    text: str


def clean(text: str, limit: int = DETAIL_CHARS) -> str:
    """The text on one line, cut to `limit` characters, nothing in it that does not print.

    Control, bidirectional and zero-width characters would let a file rewrite the line it is
    reported on.
    """
    # A margin is cut first, so that a text of megabytes costs nothing.
    line = " ".join(text[: 8 * limit].split())
    line = "".join(char for char in line if char.isprintable())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def decode(raw: bytes) -> str:
    """Bytes of no stated encoding as text: UTF-8 where they are, Latin-1 otherwise."""
    raw = raw.rstrip(b"\0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
