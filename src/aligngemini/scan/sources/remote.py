"""Files elsewhere, through fsspec: `s3://`, `gs://`, `http(s)://` and what else it knows."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from glob import has_magic
from typing import Any, BinaryIO, cast

from aligngemini.images.item import ImageError
from aligngemini.images.sources import Skipped
from aligngemini.scan.sources import kinds
from aligngemini.scan.sources.locations import AHEAD, Opened, explained

WEB = ("http", "https")

FROM_LISTS = (*WEB, "s3", "s3a", "gs", "gcs", "az", "abfs", "hf")
"""What a list may name. Of the rest, only what the user named is opened."""

_PACKAGES = {
    **dict.fromkeys(WEB, "aiohttp"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "adl"), "adlfs"),
    "hf": "huggingface_hub",
    "sftp": "paramiko",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONNECT, _SILENCE = 30, 60  # seconds that a web server may take to answer, and may say nothing
_CHANGES = (  # the surest first: listings and headers write times differently
    *("ETag", "etag", "md5Hash", "crc32c", "content_md5", "Content-MD5", "generation"),
    *("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created"),
)


class SourceError(ValueError):
    """A source that cannot be opened here at all; the message says what to do."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that fsspec opens."""

    url: str
    stamp: str = ""

    @property
    def name(self) -> str:
        """Its URL."""
        return self.url

    @contextmanager
    def open(self, *, seek: bool, ahead: int = AHEAD) -> Iterator[Opened]:
        """See `Location`."""
        with explained("unreadable"):
            system, path = _filesystem(self.url)
            options = {"block_size": ahead}
            if not seek and protocol_of(self.url) in WEB:
                # Fetched by one request, of which no more is read than is wanted.
                options = {"block_size": 0, "size": 1}
            with system.open(path, "rb", **options) as file:
                yield cast("BinaryIO", file), getattr(file, "size", None)


def is_url(name: str) -> bool:
    """Whether a name is a URL, and no path."""
    return _URL.match(name) is not None


def protocol_of(url: str) -> str:
    """What stands before `://`."""
    return url.partition("://")[0].lower()


def check(url: str) -> None:
    """Make sure that a URL of this kind can be opened here; nothing is fetched.

    Raises:
        SourceError: A package is missing, or nobody knows the protocol.
    """
    protocol = protocol_of(url)
    try:
        import fsspec  # noqa: PLC0415 - of the scan extra
    except ImportError:
        message = f"{protocol}:// needs fsspec: pip install 'aligngemini[scan]'"
        raise SourceError(message) from None
    if "::" in url:
        raise SourceError(f"{url}: chained URLs are not opened; name the archive itself")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        message = f"needs {package}: pip install {package}" if package else str(error)
        raise SourceError(f"{protocol}://: {message}") from error
    except ValueError:
        message = f"{url}: nobody here knows {protocol}://; use s3, gs, http, https or a path"
        raise SourceError(message) from None


def find(url: str, skipped: Skipped) -> Iterator[RemoteFile]:
    """The files that a URL stands for: itself, those below a folder, or those of a pattern.

    Args:
        url: `?` is no sign of a pattern on the web.
        skipped: Takes the count of files in folders that are no images, archives or tables.

    Raises:
        ImageError: While iterating: the listing failed, or a pattern matches nothing.
    """
    with explained("unreadable"):
        system, path = _filesystem(url)
        web = protocol_of(url) in WEB
        pattern = has_magic(url.replace("?", "") if web else url)
        if pattern and (web or not system.exists(path)):  # for names may hold such signs
            found = system.glob(path, detail=True)
            if not found:
                raise ImageError("not-found", "no file matches this pattern")
            for name, about in sorted(found.items()):
                yield from _entry(system, name, about, skipped)
        elif url.endswith("/") or (not web and system.isdir(path)):
            yield from _walk(system, path, skipped)
        else:
            yield RemoteFile(url, _stamp_at(system, path))


def _entry(
    system: Any, name: str, about: Mapping[str, Any], skipped: Skipped
) -> Iterator[RemoteFile]:
    if about.get("type") == "directory":
        yield from _walk(system, name, skipped)
    else:
        yield RemoteFile(system.unstrip_protocol(name), _stamp(about))


def _walk(system: Any, folder: str, skipped: Skipped) -> Iterator[RemoteFile]:
    for place, _, files in system.walk(folder, detail=True, on_error="raise"):
        below = place[len(folder) :]
        for name, about in sorted(files.items()):
            url = system.unstrip_protocol(about["name"])
            if kinds.is_hidden(f"{below}/{name}".strip("/")):
                continue
            if kinds.is_image(name) or kinds.ends_in(name, kinds.CONTAINERS):
                yield RemoteFile(url, _stamp(about))
            else:
                skipped.add(url)


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - of the scan extra

    options: dict[str, Any] = {"use_listings_cache": False}  # it would keep every listing
    if protocol_of(url) in WEB:
        import aiohttp  # noqa: PLC0415 - see `_PACKAGES`

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE)
        options = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    system, path = fsspec.url_to_fs(url, **options)
    return system, path


def _stamp_at(system: Any, path: str) -> str:
    try:
        return _stamp(system.info(path))
    except Exception:  # whoever reads it will learn the reason
        return ""


def _stamp(about: Mapping[str, Any]) -> str:
    """Size, and what else changes with a file; nothing where only the size is known."""
    known = next((about[name] for name in _CHANGES if about.get(name)), None)
    known = known.timestamp() if isinstance(known, datetime) else known
    return "" if known is None else f"{about.get('size')}-{known}"
