"""Images from URLs that callers name, and nothing else from anywhere.

Whoever may name a URL may try to have this machine ask its neighbours for things. So every
connection, that of each redirect too, is made to an address that was looked up here, once, and
found to be public. How an address is spelled does not matter: what counts is what it resolves to.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import httpcore
import httpx

from aligngemini.images.item import ImageError
from aligngemini.version import __version__

Resolve = Callable[[str, int], Awaitable[list[str]]]

REDIRECTS = 5
TIMEOUTS = {"timeout": {"connect": 5.0, "read": 10.0, "write": 5.0, "pool": 5.0}}
_UNREACHABLE = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
REFUSED = "only images at public addresses are fetched"


async def look_up(host: str, port: int) -> list[str]:
    """Addresses of a host, as the system resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, in every reading of it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False  # with a scope (fe80::1%eth0), or no address
    if isinstance(ip, ipaddress.IPv6Address) and _holds_ipv4(ip):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _holds_ipv4(ip: ipaddress.IPv6Address) -> bool:
    """Whether an IPv4 address is hidden in it, which a router may take for the real one."""
    translated = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
    return (
        ip.ipv4_mapped is not None
        or ip.sixtofour is not None
        or ip.teredo is not None
        or int(ip) >> 32 == 0  # ::127.0.0.1
        or any(ip in network for network in translated)
    )


class PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, and to the very address that was found to be one."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend, resolve: Resolve = look_up) -> None:
        """Guard a backend.

        Args:
            inner: Makes the connections.
            resolve: Gives a host's addresses.
        """
        self._inner = inner
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, if every address of the host is public.

        Raises:
            ImageError: One is not, or there is none.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            raise ImageError("not-found", "the URL's host is not known")
        if not all(is_public(address) for address in addresses):
            raise ImageError("unreadable", REFUSED)
        return await self._inner.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> Any:
        """Never."""
        raise ImageError("unreadable", REFUSED)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


class Fetcher:
    """Fetches images; one connection each, no proxies, no cookies, no credentials."""

    def __init__(
        self,
        *,
        resolve: Resolve = look_up,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """Say how hosts are found.

        Args:
            resolve: Gives a host's addresses.
            backend: Makes connections to them; None takes the system's.
        """
        self._backend = PublicOnly(backend or httpcore.AnyIOBackend(), resolve)
        self._ssl = ssl.create_default_context()

    async def stream(self, url: str) -> AsyncGenerator[bytes, None]:
        """The bytes at a URL, as they come.

        Raises:
            ImageError: They cannot be had, or must not be asked for.
        """
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._ssl, network_backend=self._backend
        ) as pool:
            try:
                async for chunk in _follow(pool, checked(url)):
                    yield chunk
            except _UNREACHABLE as error:
                kind = type(error).__name__
                raise ImageError("unreadable", f"the URL gave no image ({kind})") from error


async def _follow(
    pool: httpcore.AsyncConnectionPool, target: httpx.URL
) -> AsyncGenerator[bytes, None]:
    for _ in range(REDIRECTS + 1):
        async with pool.stream(
            "GET", _to_core(target), headers=_headers(target), extensions=TIMEOUTS
        ) as response:
            if response.status == 200:
                async for chunk in response.aiter_stream():
                    yield chunk
                return
            target = _redirected(target, response)
    raise ImageError("unreadable", f"the URL redirects more than {REDIRECTS} times")


def checked(url: str | httpx.URL) -> httpx.URL:
    """A URL that may be asked for, as far as its spelling goes.

    Raises:
        ImageError: It may not.
    """
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ImageError("not-found", "that is no URL") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ImageError("unreadable", "only http:// and https:// are fetched")
    if target.userinfo:
        raise ImageError("unreadable", "a URL with a name or password in it is not fetched")
    if target.port is not None:  # the usual ones, 80 and 443, are None here
        raise ImageError("unreadable", "only the usual ports are asked, 80 and 443")
    return target


def _to_core(target: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=target.raw_scheme, host=target.raw_host, port=None, target=target.raw_path
    )


def _headers(target: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
    # Not compressed: the cap is on bytes that come in, and images do not shrink.
    return [
        ("Host", target.netloc),
        ("Accept", "image/*"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", f"aligngemini/{__version__}"),
    ]


def _redirected(target: httpx.URL, response: httpcore.Response) -> httpx.URL:
    """Where an answer that is no image sends us.

    Raises:
        ImageError: Nowhere, or where we do not go.
    """
    headers = {name.lower(): value for name, value in response.headers}
    location = headers.get(b"location")
    if response.status not in (301, 302, 303, 307, 308) or location is None:
        raise ImageError("not-found", f"the URL's server answered {response.status}")
    try:
        onward = target.join(location.decode("ascii", "replace"))
    except httpx.InvalidURL:
        raise ImageError("unreadable", "the URL redirects to what is no URL") from None
    if target.scheme == "https" and onward.scheme != "https":
        raise ImageError("unreadable", "the URL redirects from https to less")
    return checked(onward)
