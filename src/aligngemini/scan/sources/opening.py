"""What the user named for a scan, as a stream of items."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TextIO

from aligngemini.evidence import Problem
from aligngemini.images.item import ImageError
from aligngemini.images.sources import Skipped, expand
from aligngemini.scan.items import FileReader, ScanItem
from aligngemini.scan.sources import kinds, remote
from aligngemini.scan.sources.braces import expand_braces
from aligngemini.scan.sources.lists import list_items
from aligngemini.scan.sources.locations import LocalFile, Location
from aligngemini.scan.sources.parquet import parquet_items
from aligngemini.scan.sources.readers import WholeReader
from aligngemini.scan.sources.remote import RemoteFile, SourceError
from aligngemini.scan.sources.tar import tar_items
from aligngemini.scan.sources.zip import zip_items

_LOCAL = "file://"


def open_sources(
    specs: Sequence[str],
    *,
    skipped: Skipped | None = None,
    column: str | None = None,
    stdin: TextIO | None = None,
) -> Iterator[ScanItem]:
    """Every image that the user named, in the order given, without an end to their number.

    | named | gives |
    |---|---|
    | a file, a folder, a pattern, `-` | as `images.sources.expand`, but archives and Parquet files in folders are opened too |
    | `.tar` (also gz, bz2, xz, zst), `.zip` | `archive!member` for each image |
    | `.parquet` | `file#row` for each row with bytes; the path or URL that a row holds |
    | `.csv`, `.jsonl` | the path or URL that a row holds, relative to the list's folder |
    | `s3://`, `gs://`, `http(s)://`, ... | all of these, through fsspec |
    | `{000..012}`, `{a,b}` in any of them | one after the other |

    What cannot be read is an item with a problem, under the name of what failed; the rest goes on.

    Args:
        specs: What the user named.
        skipped: Takes the count of files and members that are no images.
        column: Of tables and lists, the one with the images; None finds it by its name.
        stdin: Where `-` reads names, one a line.

    Raises:
        SourceError: At once: a URL of a kind that cannot be opened here.
    """  # noqa: E501 - a table
    for spec in specs:
        if remote.is_url(spec) and not spec.startswith(_LOCAL):
            remote.check(spec)
    opening = _Opening(skipped if skipped is not None else Skipped(), column, stdin)
    return (item for spec in specs for item in opening.items(spec))


class _Opening:
    """What is the same for all sources of one call."""

    def __init__(self, skipped: Skipped, column: str | None, stdin: TextIO | None) -> None:
        self._skipped = skipped
        self._column = column
        self._stdin = stdin

    def items(self, spec: str) -> Iterator[ScanItem]:
        if remote.is_url(spec) and not spec.startswith(_LOCAL):
            for url in expand_braces(spec):
                yield from self._at_url(url)
            return
        path = spec.removeprefix(_LOCAL)
        for name in [path] if os.path.lexists(path) else expand_braces(path):
            yield from self._at_path(name)

    def _at_path(self, name: str) -> Iterator[ScanItem]:
        found = expand([name], stdin=self._stdin, skipped=self._skipped, also=kinds.CONTAINERS)
        for item in found:
            if remote.is_url(item.path):  # from standard input
                yield from self._at_url(item.path)
            elif item.problem is not None:
                yield ScanItem(item.path, problem=item.problem)
            else:
                yield from self._in_file(LocalFile.at(item.path))

    def _at_url(self, url: str) -> Iterator[ScanItem]:
        try:
            remote.check(url)
            for file in remote.find(url, self._skipped):
                yield from self._in_file(file)
        except SourceError as error:
            yield ScanItem(url, problem=Problem("unreadable", str(error)))
        except ImageError as error:
            yield ScanItem(url, problem=error.problem)

    def _in_file(self, file: Location) -> Iterator[ScanItem]:
        name = _plain_name(file)
        follow = partial(_follow, file)
        if kinds.ends_in(name, kinds.TAR):
            yield from _guarded(file, "archive", tar_items(file, self._skipped))
        elif kinds.ends_in(name, kinds.ZIP):
            yield from _guarded(file, "archive", zip_items(file, self._skipped))
        elif kinds.ends_in(name, kinds.PARQUET):
            yield from _guarded(file, "table", parquet_items(file, self._column, follow))
        elif kinds.ends_in(name, kinds.LISTS):
            yield from _guarded(file, "list", list_items(file, self._column, follow))
        else:
            yield _image(file)


def _guarded(file: Location, kind: str, items: Iterator[ScanItem]) -> Iterator[ScanItem]:
    """Items as far as they come, and one that says why no more do."""
    count = 0
    try:
        for item in items:
            yield item
            count += 1
    except ImageError as error:
        beyond = f" beyond {count} images" if count else ""
        message = f"the {kind} cannot be read{beyond}: {error.message}"
        yield ScanItem(file.name, problem=Problem(error.code, message))


def _image(file: Location) -> ScanItem:
    reader = FileReader(file.path) if isinstance(file, LocalFile) else WholeReader(file)
    return ScanItem(file.name, reader, file.stamp)


def _plain_name(file: Location) -> str:
    """Its name without what a URL has behind it."""
    if isinstance(file, RemoteFile) and remote.protocol_of(file.url) in remote.WEB:
        return file.url.partition("#")[0].partition("?")[0]
    return file.name


def _follow(source: Location, value: str, address: str) -> ScanItem:
    """The item for what a row of a table or a list names.

    A list is not the user: from a local one files and common protocols are followed, from one
    elsewhere no files of this machine.
    """
    base = source.url if isinstance(source, RemoteFile) else ""
    if remote.is_url(value):
        protocol = remote.protocol_of(value)
        if protocol not in (*remote.FROM_LISTS, remote.protocol_of(base)):
            problem = Problem("unsupported", f"a list may not name {protocol}://")
            return ScanItem(address, problem=problem)
        try:
            remote.check(value)
        except SourceError as error:
            return ScanItem(address, problem=Problem("unreadable", str(error)))
        return _image(RemoteFile(value))
    if not base:
        folder = os.path.dirname(source.name)  # noqa: PTH120 - Path drops "./"
        return _image(LocalFile.at(os.path.join(folder, value)))  # noqa: PTH118 - likewise
    if value.startswith("/"):
        problem = Problem("unsupported", "a list elsewhere may not name files of this machine")
        return ScanItem(address, problem=problem)
    return _image(RemoteFile(f"{base.rpartition('/')[0]}/{value}"))
