"""Files out of a request's body, counted while they come."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from aligngemini.evidence import Problem
from aligngemini.report.words import printable
from aligngemini.serve.problems import Refusal

LONGEST_NAME = 255  # characters
FIELD = b"file"


@dataclass(frozen=True)
class RequestLimits:
    """What one request may bring.

    Attributes:
        files: Files, or URLs.
        file_bytes: Bytes of one file; what is larger is a record with an error.
        request_bytes: Bytes of the whole body; what is larger is refused.
    """

    files: int = 32
    file_bytes: int = 64 << 20
    request_bytes: int = 256 << 20


class Sink(Protocol):
    """Takes the bytes of one file as they come."""

    def write(self, piece: memoryview) -> None:
        """Take the next bytes."""
        ...


@dataclass
class Upload:
    """One file of a request, in memory.

    Attributes:
        name: As given, without folders, safe to show.
        most: Bytes to take; the rest is passed over.
        data: Its bytes.
        problem: Why there are none.
    """

    name: str
    most: int
    data: bytearray = field(default_factory=bytearray, repr=False)
    problem: Problem | None = None

    def write(self, piece: memoryview) -> None:
        """See `Sink`."""
        self.data += piece[: self.most - len(self.data)]


async def read_uploads(
    stream: AsyncIterator[bytes], content_type: str, limits: RequestLimits
) -> list[Upload]:
    """Read the files of a `multipart/form-data` body into memory, in order.

    Args:
        stream: The body as it comes.
        content_type: The header of that name.
        limits: What is taken. Of a file that is too large, one byte more than allowed is.

    Raises:
        Refusal: See `read_form`.
    """
    uploads: list[Upload] = []

    def opened(name: str) -> Upload:
        uploads.append(Upload(name, limits.file_bytes + 1))
        return uploads[-1]

    await read_form(stream, content_type, limits, opened)
    return uploads


async def read_form(
    stream: AsyncIterator[bytes],
    content_type: str,
    limits: RequestLimits,
    opened: Callable[[str], Sink],
) -> None:
    """Read the files of a `multipart/form-data` body; they are the parts named `file`.

    Args:
        stream: The body as it comes.
        content_type: The header of that name.
        limits: What is taken; the size of one file is for `opened` to look after.
        opened: Told the clean name of each file, gives what takes its bytes.

    Raises:
        Refusal: The body is no such form, has no file or too many, or is too large.
    """
    form = _Form(content_type, limits, opened)
    async for chunk in stream:
        form.write(chunk)
    form.finish()


def clean_name(name: str) -> str:
    """A file's name as records may say it: no folders, nothing invisible, not endless."""
    return printable(name.replace("\\", "/").rpartition("/")[2])[:LONGEST_NAME]


class _Form:
    """Takes a body in pieces; the parser calls back."""

    def __init__(
        self, content_type: str, limits: RequestLimits, opened: Callable[[str], Sink]
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise Refusal(
                400, "bad-request", "send the images as multipart/form-data, in fields named file"
            )
        self.limits = limits
        self.files = 0
        self._opened = opened
        self._left = limits.request_bytes
        self._sink: Sink | None = None  # where the bytes of the part go; None: nowhere
        self._header = [bytearray(), bytearray()]
        self._disposition = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._grow(0, data[start:end]),
                    "on_header_value": lambda data, start, end: self._grow(1, data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._open,
                    "on_part_data": self._take,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken(error) from error

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            most = self.limits.request_bytes / 1e6
            raise Refusal(413, "request-too-large", f"the request has more than {most:.0f} MB")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(error) from error

    def finish(self) -> None:
        if not self._ended:
            raise Refusal(400, "bad-request", "the form ends before its last part does")
        if not self.files:
            raise Refusal(400, "no-file", "the form has no field named file with a file in it")

    def _begin(self) -> None:
        self._sink, self._disposition = None, b""

    def _grow(self, which: int, piece: bytes) -> None:
        self._header[which] += piece

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        name, filename = _names(self._disposition)
        if name != FIELD or filename is None:
            return
        self.files += 1
        if self.files > self.limits.files:
            raise Refusal(
                413, "too-many-files", f"the request has more than {self.limits.files} files"
            )
        self._sink = self._opened(clean_name(filename))

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None:
            self._sink.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True


def _names(disposition: bytes) -> tuple[bytes, str | None]:
    """Field and file name of a part."""
    _, options = parse_options_header(disposition)
    name, filename = options.get(b"name", b""), options.get(b"filename")
    return name, None if filename is None else filename.decode("utf-8", "replace")


def _broken(error: Exception) -> Refusal:
    return Refusal(400, "bad-request", f"the form cannot be read: {error}")
