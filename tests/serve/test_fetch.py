"""URLs: nothing but public addresses is ever connected to, however they are named."""

import asyncio

import httpcore
import pytest

from aligngemini.images.item import ImageError
from aligngemini.serve.fetch import REDIRECTS, Fetcher, is_public, look_up

PUBLIC, OTHER = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"


class Net(httpcore.AsyncNetworkBackend):
    """A network of servers by address; remembers who was connected to."""

    def __init__(self, servers):
        self.servers = servers
        self.connected = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.connected.append((host, port))
        backend = httpcore.AsyncMockBackend(self.servers[host])
        return await backend.connect_tcp(host, port)

    async def sleep(self, seconds):
        pass


def answer(body=b"image", status="200 OK", **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode(), body]


def redirect(location, status="302 Found"):
    return answer(b"", status, Location=location)


def names(**hosts):
    """A resolver: each host's addresses, lists of lists where they change from time to time."""
    asked = []

    async def resolve(host, port):
        asked.append(host)
        if host.replace(".", "_") not in hosts:
            raise OSError("unknown")
        found = hosts[host.replace(".", "_")]
        return found.pop(0) if isinstance(found[0], list) else found

    resolve.asked = asked
    return resolve


def fetch(url, net, resolve=look_up):
    async def whole():
        return b"".join(
            [chunk async for chunk in Fetcher(resolve=resolve, backend=net).stream(url)]
        )

    return asyncio.run(whole())


def refused(url, net, resolve=look_up):
    with pytest.raises(ImageError) as caught:
        fetch(url, net, resolve)
    return caught.value


def test_an_image_is_fetched_from_the_address_that_was_looked_up():
    net, resolve = Net({PUBLIC: answer()}), names(example_com=[PUBLIC, OTHER])
    assert fetch("http://example.com/a.jpg?b#c", net, resolve) == b"image"
    assert net.connected == [(PUBLIC, 80)]
    assert resolve.asked == ["example.com"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",  # decimal
        "http://0177.0.0.1/",  # octal
        "http://0x7f.0.0.1/",  # hexadecimal
        "http://0/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",  # IPv4 in IPv6
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",  # translated
        "http://[2002:7f00:1::]/",  # 6to4
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://0.0.0.0/",
        "http://①②⑦.0.0.1/",  # digits that IDNA makes plain
    ],
)
def test_addresses_that_are_not_public_are_not_connected_to(url):
    net = Net({})
    assert refused(url, net).code in ("unreadable", "not-found")
    assert net.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "",
        "http://",
        "http://user:secret@example.com/",
        "http://example.com:22/",
        "https://example.com:80/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://\ud800/",
    ],
)
def test_urls_that_are_not_asked_for(url):
    net = Net({})
    refused(url, net, names(example_com=[PUBLIC]))
    assert net.connected == []


def test_one_address_that_is_not_public_among_others_is_enough():
    net = Net({PUBLIC: answer()})
    refused("http://example.com/", net, names(example_com=[PUBLIC, "10.0.0.1"]))
    assert net.connected == []


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://inside.com/",
        "//inside.com/",
        "file:///etc/passwd",
        "http://user@example.com/",
        "http://example.com:8080/",
    ],
)
def test_every_redirect_is_checked_again(location):
    net = Net({PUBLIC: redirect(location), "192.168.0.7": answer(b"secret")})

    async def resolve(host, port):
        return {"example.com": [PUBLIC], "inside.com": ["192.168.0.7"]}.get(host, [host])

    error = refused("http://example.com/", net, resolve)
    assert "302" not in error.message  # it was not for want of a place to go
    assert net.connected == [(PUBLIC, 80)]


def test_an_answer_that_changes_between_two_looks_is_checked_again():
    hosts = names(example_com=[[PUBLIC], ["127.0.0.1"]])
    net = Net({PUBLIC: redirect("/again"), "127.0.0.1": answer(b"secret")})
    refused("http://example.com/", net, hosts)
    assert net.connected == [(PUBLIC, 80)]


def test_the_name_is_looked_up_once_a_connection_and_never_by_anybody_else():
    hosts = names(example_com=[[PUBLIC], ["127.0.0.1"]])
    net = Net({PUBLIC: answer(), "127.0.0.1": answer(b"secret")})
    assert fetch("http://example.com/", net, hosts) == b"image"
    assert net.connected == [(PUBLIC, 80)]
    assert hosts.asked == ["example.com"]


def test_redirects_are_followed_so_far():
    class Chain(Net):
        async def connect_tcp(self, host, port, *rest, **more):
            left = self.servers[host]
            self.servers[host] = left - 1
            self.connected.append((host, port))
            said = redirect("/on") if left else answer()
            return await httpcore.AsyncMockBackend(said).connect_tcp(host, port)

    assert fetch("http://a.b/", Chain({PUBLIC: REDIRECTS}), names(a_b=[PUBLIC])) == b"image"
    net = Chain({PUBLIC: REDIRECTS + 1})
    assert "redirects more than" in refused("http://a.b/", net, names(a_b=[PUBLIC])).message
    assert len(net.connected) == REDIRECTS + 1


def test_https_does_not_lead_to_less():
    net = Net({PUBLIC: redirect("http://a.b/")})
    with pytest.raises(ImageError, match="from https to less"):
        fetch("https://a.b/", net, names(a_b=[PUBLIC]))


@pytest.mark.parametrize("said", [answer(b"", "404 Not Found"), redirect("", "304 Not Modified")])
def test_what_is_no_image_is_said(said):
    assert refused("http://a.b/", Net({PUBLIC: said}), names(a_b=[PUBLIC])).code == "not-found"


@pytest.mark.parametrize(
    "said", [[b"SSH-2.0\r\n"], [b""], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]]
)
def test_what_is_no_server_is_said(said):
    assert refused("http://a.b/", Net({PUBLIC: said}), names(a_b=[PUBLIC])).code == "unreadable"


def test_a_host_that_is_not_known_is_said():
    async def nowhere(host, port):
        raise OSError("unknown")

    assert refused("http://a.b/", Net({}), nowhere).code == "not-found"


def test_public_addresses_are_public():
    assert is_public(PUBLIC)
    assert is_public(OTHER)
    assert not is_public("fe80::1%eth0")
    assert not is_public("2001:db8::1")
    assert not is_public("192.0.2.1")
