"""C2PA: the five states, in every container, and no network."""

import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import c2pa
import pytest
from fixtures.metadata import MIME, chunk, encode, facts, judge, xmp
from fixtures.signing import action, sign

CREATED_BY_AI = action("c2pa.created", "trainedAlgorithmicMedia")


def replace_png_manifest(data: bytes, change) -> bytes:
    at = data.index(b"caBX")
    length = int.from_bytes(data[at - 4 : at], "big")
    body = change(data[at + 4 : at + 4 + length])
    return data[: at - 4] + chunk(b"caBX", body) + data[at + 8 + length :]


@pytest.mark.parametrize("form", MIME)
def test_trusted_ai_claim_is_fake(form, trusted, believing):
    data = sign(encode(form), MIME[form], trusted, CREATED_BY_AI, generator="Paint Engine")
    evidence = judge(data, believing)
    assert evidence.verdict == "fake"
    (signal,) = evidence.signals
    assert (signal.kind, signal.state, signal.claim) == ("c2pa", "signed-trusted", "ai")
    assert signal.detail == (
        "C2PA: created by Paint Engine, trainedAlgorithmicMedia, signed by Trusted House"
    )


@pytest.mark.parametrize("form", MIME)
def test_ai_claim_of_a_stranger_is_undecided(form, stranger, believing):
    evidence = judge(sign(encode(form), MIME[form], stranger, CREATED_BY_AI), believing)
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", "signed-untrusted", "ai")}


def test_without_a_trust_list_nobody_is_trusted(trusted):
    evidence = judge(sign(encode("PNG"), "image/png", trusted, CREATED_BY_AI))
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", "signed-untrusted", "ai")}


@pytest.mark.parametrize("form", MIME)
def test_one_changed_byte_of_the_picture_is_invalid(form, trusted, believing):
    plain = encode(form)
    data = bytearray(sign(plain, MIME[form], trusted, CREATED_BY_AI))
    # A stretch of pixel data, found again in the signed file.
    at = data.index(plain[-60:-40])
    data[at] ^= 1
    evidence = judge(bytes(data), believing)
    assert evidence.verdict is None
    (signal,) = evidence.signals
    assert (signal.kind, signal.state, signal.claim) == ("c2pa", "invalid", "ai")
    assert "Hash.mismatch" in signal.detail


def test_a_changed_claim_is_never_believed(trusted, believing):
    data = sign(encode("PNG"), "image/png", trusted, action("c2pa.created", "digitalCapture"))
    forged = replace_png_manifest(
        data,
        lambda body: body.replace(b"digitalsourcetype/digitalC", b"digitalsourcetype/trainedA"),
    )
    assert forged != data
    evidence = judge(forged, believing)
    assert evidence.verdict is None
    assert {signal.state for signal in evidence.signals} <= {"invalid", "unreadable"}
    assert evidence.signals


@pytest.mark.parametrize("keep", [0, 8, 20, 400, 2000])
def test_truncated_manifest_is_unreadable_never_absent(keep, trusted, believing):
    data = sign(encode("PNG"), "image/png", trusted, CREATED_BY_AI)
    evidence = judge(replace_png_manifest(data, lambda body: body[:keep]), believing)
    assert evidence.verdict is None
    assert facts(evidence) == {("c2pa", "unreadable", None)}


def test_garbage_in_the_place_of_a_manifest_is_unreadable(believing):
    data = encode("PNG")
    evidence = judge(data[:33] + chunk(b"caBX", b"not a manifest") + data[33:], believing)
    assert facts(evidence) == {("c2pa", "unreadable", None)}


def test_manifest_in_the_wrong_place_is_unreadable(trusted, believing):
    signed = sign(encode("WEBP"), "image/webp", trusted, CREATED_BY_AI)
    manifest = signed[signed.index(b"jumb") - 4 :]
    evidence = judge(encode("GIF") + manifest, believing)
    assert evidence.verdict is None
    assert facts(evidence) == {("c2pa", "unreadable", None)}


@pytest.mark.parametrize("form", [*MIME, "BMP"])
def test_no_metadata_no_signal(form, believing):
    evidence = judge(encode(form), believing)
    assert evidence.signals == ()
    assert evidence.verdict is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("self#jumbf=/c2pa/urn:c2pa:0", {("c2pa", "unreadable", None)}),
        ("Gift of the painter's widow, 1911", set()),
    ],
)
def test_manifest_that_was_taken_out_is_still_named_in_xmp(value, found, believing):
    packet = xmp(f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{value}"')
    assert facts(judge(encode("JPEG", xmp=packet), believing)) == found


@pytest.fixture
def visitors(monkeypatch):
    """Requests that reached a server on this machine, and its address."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield requests, f"http://127.0.0.1:{server.server_port}/manifest"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_manifest_kept_elsewhere_is_not_fetched(form, trusted, believing, visitors):
    requests, url = visitors
    data = sign(encode(form), MIME[form], trusted, CREATED_BY_AI, remote=url, embed=False)
    evidence = judge(data, believing)
    assert requests == []
    assert evidence.verdict is None
    (signal,) = evidence.signals
    assert (signal.kind, signal.state, signal.claim) == ("c2pa", "unreadable", None)
    assert url in signal.detail


def test_the_server_above_would_notice_a_fetch(trusted, visitors):
    # Guards the guard: the C2PA library does fetch unless it is told not to.
    requests, url = visitors
    data = sign(encode("JPEG"), "image/jpeg", trusted, CREATED_BY_AI, remote=url, embed=False)
    with pytest.raises(c2pa.C2paError), c2pa.Context.from_dict({}) as context:
        c2pa.Reader.try_create("image/jpeg", io.BytesIO(data), context=context)
    assert requests == ["/manifest"]
