"""PNG chunks that carry metadata, wherever in the file they stand.

Pillow reads what follows the pixels only by decoding them, and refuses a file whose text is long.
"""

import zlib

from aligngemini.branches.provenance.text import Field, decode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 4 << 20  # bytes of one text chunk once inflated
MAX_TOTAL_TEXT = 32 << 20
MAX_CHUNKS = 100_000

_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_READ = (*_TEXT_CHUNKS, b"eXIf")
_XMP_KEY = "XML:com.adobe.xmp"


class PngMetadata:
    """What the chunks of one PNG hold.

    Attributes:
        exif: EXIF blocks, the `eXIf` chunk and ImageMagick's hexadecimal form of it.
        xmp: XMP packets.
        texts: Every other text chunk.
        credentials: Whether there is a C2PA chunk.
        problems: What was there and could not be read, in words.
    """

    def __init__(self, data: bytes) -> None:
        """Walk the chunks of `data`, which starts with the PNG signature."""
        self.exif: list[bytes] = []
        self.xmp: list[bytes] = []
        self.texts: list[Field] = []
        self.credentials = False
        self.problems: list[str] = []
        self._room = MAX_TOTAL_TEXT
        self._walk(data)

    def _walk(self, data: bytes) -> None:
        at = len(SIGNATURE)
        for _ in range(MAX_CHUNKS):
            kind = data[at + 4 : at + 8]
            if len(kind) < 4 or kind == b"IEND":
                return
            length = int.from_bytes(data[at : at + 4], "big")
            body = data[at + 8 : at + 8 + length] if kind in _READ else b""
            at += 12 + length
            if kind in _TEXT_CHUNKS:
                self._text(kind, body, complete=at <= len(data))
            elif kind == b"eXIf":
                self.exif.append(body)
            self.credentials |= kind == b"caBX"
        self.problems.append(f"more than {MAX_CHUNKS} chunks")

    def _text(self, kind: bytes, body: bytes, *, complete: bool) -> None:
        key, _, rest = body.partition(b"\0")
        name = decode(key)
        try:
            if not complete:
                raise ValueError("the file ends inside it")
            self._sort(name, self._value(kind, rest))
        except (ValueError, zlib.error) as error:
            self.problems.append(f"{kind.decode()} chunk {name!r}: {error}")

    def _sort(self, name: str, value: bytes) -> None:
        if name == _XMP_KEY:
            self.xmp.append(value)
        elif name in ("Raw profile type exif", "Raw profile type APP1", "Raw profile type xmp"):
            self._raw_profile(name, value)
        else:
            # tEXt is Latin-1 by the standard and UTF-8 by habit.
            self.texts.append(Field("text", name, decode(value)))

    def _value(self, kind: bytes, rest: bytes) -> bytes:
        packed = kind == b"zTXt"
        if packed:
            rest = rest[1:]
        elif kind == b"iTXt":
            if len(rest) < 4:
                raise ValueError("too short")
            packed = rest[0] == 1
            _language, _, rest = rest[2:].partition(b"\0")
            _translated, _, rest = rest.partition(b"\0")
        limit = min(MAX_TEXT, self._room)
        if packed:
            inflate = zlib.decompressobj()
            rest = inflate.decompress(rest, limit + 1)
            if not inflate.eof and len(rest) <= limit:
                raise ValueError("its compressed data is cut short")
        if len(rest) > limit:
            raise ValueError("too long to read")
        self._room -= len(rest)
        return rest

    def _raw_profile(self, name: str, value: bytes) -> None:
        # ImageMagick's form: a line with the name, a line with the length, then hexadecimal.
        lines = value.strip().split(b"\n", 2)
        block = bytes.fromhex(lines[2].decode("ascii", "replace")) if len(lines) == 3 else b""
        xmp_header = b"http://ns.adobe.com/xap/1.0/\0"
        if name.endswith("xmp") or block.startswith(xmp_header):
            self.xmp.append(block.removeprefix(xmp_header))
        else:
            self.exif.append(block)
