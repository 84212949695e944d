"""XMP packets: untrusted XML, of which a few properties are read."""

from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from aligngemini.branches.provenance.text import Field

MAX_PACKET = 4 << 20  # bytes
MAX_FIELDS = 200

# Local names, because writers do not agree on namespaces.
PROPERTIES = frozenset(
    {
        "AIGC",
        "CreatorTool",
        "Credit",
        "DigitalSourceType",
        "Software",
        "UserComment",
        "creator",
        "description",
        "provenance",
        "softwareAgent",
        "title",
    }
)


@dataclass(frozen=True)
class XmpFields:
    """What one packet says.

    Attributes:
        fields: The wanted properties, those before the damage if there is any.
        problem: Why the packet could not be read (to its end), or None.
    """

    fields: tuple[Field, ...]
    problem: str | None = None


def read_xmp(packet: bytes) -> XmpFields:
    """The properties of a packet that may say where the image is from.

    Both spellings are read, attribute and element, at any depth, lists item by item. A packet over
    `MAX_PACKET`, not well-formed, or with a DTD or entities of its own is a problem.

    Args:
        packet: The XML, with or without its `xpacket` frame.
    """
    if len(packet) > MAX_PACKET:
        return XmpFields((), f"over {MAX_PACKET} bytes")
    if b"\0" not in packet[:4]:  # or else it is UTF-16, where zero bytes are text
        packet = packet.strip(b"\0 \t\r\n")
    reader = _Reader()
    parser = XMLParser(target=reader, forbid_dtd=True)
    problem = None
    try:
        parser.feed(packet)
        parser.close()
    except DefusedXmlException as error:
        problem = f"it declares what XMP may not ({type(error).__name__})"
    except (ParseError, ValueError, LookupError) as error:
        problem = f"not well-formed ({error})"
    return XmpFields(tuple(reader.fields), problem)


class _Reader:
    """Collects the wanted properties while the parser runs; no tree is built."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self._owners: list[str | None] = [None]  # innermost property around each open element
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._flush()
        name = _local(tag)
        # Text belongs to the innermost property around it, lists and their items being between.
        self._owners.append(name if name in PROPERTIES else self._owners[-1])
        for key, value in attributes.items():
            if _local(key) in PROPERTIES:
                self._add(_local(key), value)
            elif name in PROPERTIES and _local(key) == "resource":
                self._add(name, value)

    def data(self, text: str) -> None:
        self._text.append(text)

    def end(self, _tag: str) -> None:
        self._flush()
        self._owners.pop()

    def close(self) -> None:
        """Nothing is left to finish."""

    def _flush(self) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        owner = self._owners[-1]
        if text and owner:
            self._add(owner, text)

    def _add(self, name: str, text: str) -> None:
        if len(self.fields) < MAX_FIELDS:
            self.fields.append(Field("xmp", name, text))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
